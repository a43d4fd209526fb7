"""Channels: what reaches the world, and all that stands between a definition and it.

    channels = load_channels()          # those that come with Nexus, and installed plugins
    await channels.call(request, attempt=1, timeout=timedelta(seconds=10))

A channel itself is written against `nexus.contracts`.
"""

from nexus.channels.loading import ChannelLoadError, load_channels
from nexus.channels.operator_settings import SettingsFileError
from nexus.channels.runner import Channels, Preview

__all__ = ["ChannelLoadError", "Channels", "Preview", "SettingsFileError", "load_channels"]
