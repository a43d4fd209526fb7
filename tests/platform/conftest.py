"""One platform for the tests that leave it whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platform import Platform


@pytest.fixture(scope="package")
def platform(temporal_cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The whole platform on SQLite; whoever kills a part of it starts it again.

    Its channels may call this machine, and tests may write their settings at any time.
    """
    folder = tmp_path_factory.mktemp("platform")
    platform = Platform(temporal_cli, folder)
    settings = folder / "channels.json"
    settings.write_text("{}")
    platform.environment["NEXUS_CHANNELS"] = str(settings)
    platform.environment["NEXUS_WEBHOOK_ALLOW_PRIVATE"] = "1"
    platform.start()
    yield platform
    platform.stop()
