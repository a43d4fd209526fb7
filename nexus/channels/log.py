"""The channel `log`: writes a line, reaches nobody. For trying things out."""

from __future__ import annotations

import logging
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from nexus.contracts import Channel, ChannelCall, ChannelError, Strict

_log = logging.getLogger("nexus.channels.log")


class LogSettings(Strict):
    """Nothing to set."""


class LogParameters(Strict):
    """What is written; other keys stand beside the message.

    Attributes:
        message: The line.
        fail: How many attempts are to fail before one succeeds; true for all of them.
    """

    model_config = ConfigDict(extra="allow", alias_generator=to_camel)

    message: str = ""
    fail: Annotated[bool | int, Field(ge=0)] = False


class LogChannel(Channel[LogSettings, LogParameters]):
    """Writes one line for each call."""

    name = "log"
    Settings = LogSettings
    Parameters = LogParameters

    async def execute(self, call: ChannelCall[LogSettings, LogParameters]) -> object:
        """Write the line, or fail as asked."""
        return self._write(call)

    async def compensate(self, call: ChannelCall[LogSettings, LogParameters]) -> object:
        """Write that a line is taken back."""
        return self._write(call)

    def _write(self, call: ChannelCall[LogSettings, LogParameters]) -> object:
        fail = call.parameters.fail
        if fail is True or (fail is not False and call.attempt <= fail):
            final = fail is True
            raise ChannelError("failed_on_purpose", "It was told to fail.", retryable=not final)
        others = call.parameters.model_extra or {}
        said = " ".join(f"{key}={value!r}" for key, value in others.items())
        _log.info("%s %s [%s] %s", call.request.tenant, call.parameters.message, call.key, said)
        return {"logged": call.parameters.message}
