"""Calls as an instance would make them, without one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nexus.channels import Channels
from nexus.contracts import ChannelError
from nexus.core.calls import CallRequest

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SCOPE: Mapping[str, object] = {
    "data": {"name": "Ann", "email": "ann@example.com", "score": 60, "tags": ["a", "b"]},
    "subject": {"type": "account", "id": "acme"},
    "steps": {},
}


def request(channel: str, given: Mapping[str, object] | None = None, **changes: Any) -> CallRequest:
    """A call of a step that says `with` this."""
    values: dict[str, Any] = {
        "key": "i-1/lead-1/1/run/0",
        "tenant": "acme",
        "instance": "i-1",
        "definition": "outreach",
        "version": "1.0.0",
        "record": "lead-1",
        "stage": "contacted",
        "step": "run/0",
        "channel": channel,
        "requested_at": NOON,
        "given": given or {},
        "scope": SCOPE,
    }
    return CallRequest(**{**values, **changes})


def called(channels: Channels, made: CallRequest, *, attempt: int = 1, seconds: float = 10) -> Any:
    """What the channel answers."""
    return asyncio.run(channels.call(made, attempt=attempt, timeout=timedelta(seconds=seconds)))


def fails(
    channels: Channels, made: CallRequest, code: str, *words: str, **how: Any
) -> ChannelError:
    """How a call fails: with this code, saying these words."""
    with pytest.raises(ChannelError) as caught:
        called(channels, made, **how)
    assert caught.value.code == code, caught.value
    for word in words:
        assert word in caught.value.message, caught.value.message
    return caught.value
