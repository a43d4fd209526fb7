"""Mails as steps send them, and the operator who says where they go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from nexus.channels import Channels
from nexus.channels.email import EmailChannel
from nexus.channels.operator_settings import OperatorSettings
from nexus.contracts import ChannelError
from nexus.core.calls import CallRequest
from tests.channels.calling import request

HELLO: Mapping[str, object] = {
    "to": "{{ data.email }}",
    "subject": "Hello {{ data.name }}",
    "text": "Dear {{ data.name }}",
}
PASSWORD = "correct horse battery"


class Operator:
    """Writes the operator's file."""

    def __init__(self, path: Path) -> None:
        self.path = path / "channels.json"

    def channels(self, port: int, *, acme: object = None, **settings: object) -> Channels:
        """The channels of an operator whose server listens at this port."""
        everybody = {
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "helo": "nexus.test",
            "from": "Sales <sales@example.com>",
            **settings,
        }
        given = {key: value for key, value in everybody.items() if value is not None}
        self.path.write_text(json.dumps({"*": {"email": given}, "acme": {"email": acme or {}}}))
        operator = OperatorSettings(self.path)
        operator.load()
        return Channels({"email": EmailChannel()}, operator)


def mail(**given: object) -> CallRequest:
    return request("email", {**HELLO, **given})


def numbered(number: int) -> CallRequest:
    return request("email", HELLO, key=f"i-1/lead-1/{number}/run/0")


def together(
    channels: Channels, requests: Sequence[CallRequest], *, seconds: float = 10
) -> list[Any]:
    """What comes of several calls at once, in one event loop."""

    async def call() -> list[Any]:
        timeout = timedelta(seconds=seconds)
        made = [channels.call(one, attempt=1, timeout=timeout) for one in requests]
        found = await asyncio.gather(*made, return_exceptions=True)
        await channels.close()
        return found

    return asyncio.run(call())


def one_by_one(channels: Channels, requests: Sequence[CallRequest]) -> list[Any]:
    """The same, each after the one before."""

    async def call() -> list[Any]:
        found: list[Any] = []
        for one in requests:
            try:
                found.append(await channels.call(one, attempt=1, timeout=timedelta(seconds=10)))
            except ChannelError as error:
                found.append(error)
        await channels.close()
        return found

    return asyncio.run(call())
