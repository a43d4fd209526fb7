"""The channel `matrix`: says something in a room, and takes it back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

import httpx

from nexus.contracts import Channel, ChannelCall, ChannelError
from nexus_channel_matrix.models import MatrixParameters, MatrixSettings

_Call = ChannelCall[MatrixSettings, MatrixParameters]

LONGEST_PAUSE = 3600.0  # seconds that a server may ask for


class MatrixChannel(Channel[MatrixSettings, MatrixParameters]):
    """Posts to rooms."""

    name = "matrix"
    Settings = MatrixSettings
    Parameters = MatrixParameters

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def execute(self, call: _Call) -> object:
        """Post a message.

        Returns:
            `{"event": "$…"}`, the id of the message.
        """
        said = call.parameters
        message = {"msgtype": "m.text", "body": said.text}
        if said.html is not None:
            message |= {"format": "org.matrix.custom.html", "formatted_body": said.html}
        return await self._put(call, "send/m.room.message", message)

    async def compensate(self, call: _Call) -> object:
        """Take a message back."""
        event = quote(call.parameters.event, safe="")
        return await self._put(call, f"redact/{event}", {})

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _put(self, call: _Call, what: str, body: Mapping[str, str]) -> object:
        room = call.parameters.room or call.settings.room
        if room is None:
            raise ChannelError(
                "not_configured",
                "No room is named, neither in the settings nor in the step.",
                retryable=False,
            )
        # The key is the transaction: a server that has this one answers with the same event.
        path = f"{quote(room, safe='')}/{what}/{quote(call.key, safe='')}"
        try:
            answer = await self._connections().put(
                f"{call.settings.server}/_matrix/client/v3/rooms/{path}",
                json=body,
                headers={"Authorization": f"Bearer {call.settings.token.get_secret_value()}"},
                timeout=call.timeout.total_seconds(),
            )
        except httpx.TimeoutException:
            raise ChannelError("timed_out", "The server did not answer in time.") from None
        except httpx.TransportError as error:
            raise ChannelError(
                "unreachable", f"The server cannot be reached ({type(error).__name__})."
            ) from None
        return _event(answer)

    def _connections(self) -> httpx.AsyncClient:
        # Opened by the first call, since it belongs to the event loop that makes the calls.
        if self._client is None:
            self._client = httpx.AsyncClient()
        return self._client


def _event(answer: httpx.Response) -> object:
    """The id of a message, from the server's answer."""
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        told = {}
    if answer.is_success and "event_id" in told:
        return {"event": told["event_id"]}
    why = f"The server answered {answer.status_code} {told.get('errcode', '')}".rstrip() + "."
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise ChannelError("too_many", why, retry_after=_pause(answer, told))
    if answer.is_client_error:
        raise ChannelError("refused", why, retryable=False)
    raise ChannelError("server_failed", why)


def _pause(answer: httpx.Response, told: Mapping[str, object]) -> timedelta | None:
    """How long the server wants to be left alone: in a header, or, from older ones, in the body."""
    asked = answer.headers.get("retry-after", "")
    older = told.get("retry_after_ms")
    if asked.isdecimal():
        seconds = float(asked)
    elif isinstance(older, int):
        seconds = older / 1000
    else:
        return None
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST_PAUSE))
