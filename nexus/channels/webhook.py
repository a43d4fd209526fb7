"""The channel `webhook`: HTTP to a receiver, signed as Standard Webhooks has it.

`webhook-id` is the call's idempotency key at every attempt, so that a receiver
which has done what was asked can tell that it is asked once more.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import httpcore
import httpx

from nexus.channels.addresses import (
    AddressRefused,
    Destination,
    Resolve,
    VettedBackend,
    look_up,
    read_url,
)
from nexus.channels.secrecy import without
from nexus.channels.webhook_models import WebhookParameters, WebhookSettings
from nexus.contracts import Channel, ChannelCall, ChannelError
from nexus.core.errors import DefinitionError
from nexus.core.json_text import check_data, load

ALLOW_PRIVATE = "NEXUS_WEBHOOK_ALLOW_PRIVATE"
"""Set to 1, webhooks may go to loopback and private networks."""

MOST_REDIRECTS = 5
MOST_READ = 64 * 1024
"""Bytes of a response that are read."""
MOST_KEPT = 30_000
"""Bytes of a body, as JSON, that an instance is given; it keeps little more than that."""
LONGEST_WAIT = timedelta(hours=1)
"""That a receiver's `Retry-After` can ask for."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_LATER: Final = frozenset({408, 425, 429})
_QUOTED = 200  # characters of a response in the message of a failure

_Call = ChannelCall[WebhookSettings, WebhookParameters]


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """What is sent next; a redirect changes it.

    `custom` are the headers of the step and of the operator.
    """

    to: Destination
    method: str
    content: bytes | None
    kind: str
    custom: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Incoming:
    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool


class WebhookChannel(Channel[WebhookSettings, WebhookParameters]):
    """Calls receivers.

    Args:
        allow_private: Whether loopback and private networks may be called; None for what
            `NEXUS_WEBHOOK_ALLOW_PRIVATE` says.
        resolve: Who knows the addresses of names.
        tls: Whom to trust; None for the usual authorities, or those in `SSL_CERT_FILE`.
    """

    name = "webhook"
    Settings = WebhookSettings
    Parameters = WebhookParameters

    def __init__(
        self,
        *,
        allow_private: bool | None = None,
        resolve: Resolve = look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if allow_private is None:
            allow_private = os.environ.get(ALLOW_PRIVATE, "").strip() == "1"
        self._allow_private = allow_private
        self._backend = VettedBackend(allow_private=allow_private, resolve=resolve)
        self._tls = tls
        self._opened: httpcore.AsyncConnectionPool | None = None

    async def execute(self, call: _Call) -> object:
        """Send it, and follow redirects.

        Returns:
            `{"status", "headers": {"content-type"}, "body"}`; with `"truncated": true` where the
            body was too long.

        Raises:
            ChannelError: `invalid_parameters`, `address_refused`, `not_configured`,
                `too_many_redirects` and `refused_by_receiver` are final; `unreachable`,
                `timed_out` and `receiver_failed` are not.
        """
        return await self._deliver(call, call.key)

    async def compensate(self, call: _Call) -> object:
        """Send what `compensate` gives, under a `webhook-id` of its own."""
        return await self._deliver(call, f"{call.key}~compensate")

    async def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.aclose()
            self._opened = None

    # --- one try ------------------------------------------------------------------------------

    async def _deliver(self, call: _Call, webhook_id: str) -> object:
        if call.settings.require_signature and not call.settings.secrets:
            raise ChannelError(
                "not_configured",
                "Webhooks have to be signed here, and no secret is set to sign with.",
                retryable=False,
            )
        try:
            outgoing = _first(call)
            async with asyncio.timeout(call.timeout.total_seconds()):
                return await self._follow(call, webhook_id, outgoing)
        except AddressRefused as error:
            raise ChannelError("address_refused", str(error), retryable=False) from error
        except TimeoutError:
            raise ChannelError(
                "timed_out",
                f"{outgoing.to.authority} did not answer within "
                f"{call.timeout.total_seconds():g} s.",
            ) from None

    async def _follow(self, call: _Call, webhook_id: str, outgoing: _Outgoing) -> object:
        for _ in range(MOST_REDIRECTS + 1):
            incoming = await self._exchange(call, webhook_id, outgoing)
            if incoming.status in _REDIRECTS and incoming.headers.get("location"):
                outgoing = _redirected(outgoing, incoming)
                continue
            _judge(call, outgoing, incoming)
            return _response(incoming)
        raise ChannelError(
            "too_many_redirects",
            f"{outgoing.to.authority} is the {MOST_REDIRECTS + 1}th place that the call was sent "
            f"on to; at most {MOST_REDIRECTS} are followed.",
            retryable=False,
        )

    async def _exchange(self, call: _Call, webhook_id: str, outgoing: _Outgoing) -> _Incoming:
        to = outgoing.to
        if not call.settings.allows(to.host):
            raise AddressRefused(f"{to.host!r} is not among the hosts that may be called.")
        if call.settings.headers and to.scheme != "https" and not self._allow_private:
            raise AddressRefused(
                f"{to.authority} is not to be called without encryption, since the settings have "
                "headers."
            )
        headers = {
            **_headers(outgoing, webhook_id),
            **_signature(call.settings, webhook_id, outgoing.content),
        }
        try:
            async with self._pool().stream(
                outgoing.method,
                to.url,
                headers=[(name.encode(), value.encode()) for name, value in headers.items()],
                content=outgoing.content,
            ) as response:
                body = bytearray()
                async for chunk in response.aiter_stream():
                    body += chunk
                    if len(body) > MOST_READ:
                        break
                return _Incoming(
                    response.status,
                    {
                        name.decode("latin-1").lower(): value.decode("latin-1")
                        for name, value in response.headers
                    },
                    bytes(body[:MOST_READ]),
                    len(body) > MOST_READ,
                )
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            httpcore.UnsupportedProtocol,
            ssl.SSLError,
        ) as error:
            raise ChannelError("unreachable", f"{to.authority}: {_told(error)}.") from error

    def _pool(self) -> httpcore.AsyncConnectionPool:
        if self._opened is None:
            # No bound on connections: the worker bounds its calls, and slow receivers of one
            # tenant must not keep those of another waiting here.
            self._opened = httpcore.AsyncConnectionPool(
                ssl_context=self._tls or httpx.create_ssl_context(),
                max_connections=None,
                # A receiver that answers twice must not have its second answer taken for that
                # of the next call, so that no connection serves two.
                max_keepalive_connections=0,
                network_backend=self._backend,
            )
        return self._opened


# --- what is sent ---------------------------------------------------------------------------


def _first(call: _Call) -> _Outgoing:
    given = call.parameters
    url = given.url or call.settings.url
    if not url:
        raise ChannelError(
            "invalid_parameters",
            "There is no url: neither the step nor the channel's settings give one.",
            retryable=False,
        )
    custom = given.header_texts()
    # The operator's headers are the stronger ones: no step authorizes itself as somebody else.
    for name, value in call.settings.headers.items():
        custom[name.lower()] = value.get_secret_value()
    kind = custom.pop("content-type", "application/json")
    return _Outgoing(read_url(url), given.method, _content(call, kind), kind, custom)


def _content(call: _Call, kind: str) -> bytes | None:
    given = call.parameters
    body: object = given.body
    if "body" not in given.model_fields_set and given.method not in ("GET", "DELETE"):
        body = _envelope(call)
    if body is None:
        return None
    plain = isinstance(body, str) and "json" not in kind.lower()
    try:
        return (str(body) if plain else _json(body)).encode()
    except ValueError:
        raise ChannelError(
            "invalid_parameters",
            "with/body: it holds half a character, or a number that JSON has not.",
            retryable=False,
        ) from None


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _envelope(call: _Call) -> dict[str, object]:
    request = call.request
    at = request.requested_at.astimezone(UTC).isoformat(timespec="milliseconds")
    return {
        "type": f"{request.definition}.{request.stage}.{request.channel}",
        "timestamp": at.replace("+00:00", "Z"),
        "data": request.scope.get("data", {}),
        "source": {
            "tenant": request.tenant,
            "instance": request.instance,
            "definition": request.definition,
            "version": request.version,
            "record": request.record,
            "stage": request.stage,
            "step": request.step,
            "operation": request.operation,
        },
    }


def _headers(outgoing: _Outgoing, webhook_id: str) -> dict[str, str]:
    headers = {
        "host": outgoing.to.authority,
        "accept": "application/json, */*;q=0.5",
        "connection": "close",
        # What is not packed needs no bound on what it unpacks to.
        "accept-encoding": "identity",
        "user-agent": "Nexus",
        # For receivers that know no Standard Webhooks, but this.
        "idempotency-key": webhook_id,
        **outgoing.custom,
    }
    if outgoing.content is not None:
        headers["content-type"] = outgoing.kind
    if outgoing.content is not None or outgoing.method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = str(len(outgoing.content or b""))
    return headers


def _signature(settings: WebhookSettings, webhook_id: str, content: bytes | None) -> dict[str, str]:
    now = datetime.now(UTC)
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
    }
    text = (content or b"").decode()
    signatures = [signer.sign(webhook_id, now, text) for signer in settings.signers()]
    if signatures:
        headers["webhook-signature"] = " ".join(signatures)
    return headers


def _redirected(outgoing: _Outgoing, incoming: _Incoming) -> _Outgoing:
    """What to send where a receiver points.

    301 and 302 keep method and body: a webhook that came as a GET would be
    answered, and lost.
    """
    to = read_url(incoming.headers["location"], base=outgoing.to)
    if outgoing.to.scheme == "https" and to.scheme == "http":
        raise AddressRefused(
            f"{outgoing.to.authority} redirects to {to.authority} without encryption."
        )
    # What authorizes at one place is not for another.
    custom = outgoing.custom if to.origin == outgoing.to.origin else {}
    following = replace(outgoing, to=to, custom=custom)
    if incoming.status == 303:
        return replace(following, method="GET", content=None)
    return following


# --- what comes back ------------------------------------------------------------------------


def _judge(call: _Call, outgoing: _Outgoing, incoming: _Incoming) -> None:
    status = incoming.status
    if 200 <= status < 300:
        return
    headers = [header.get_secret_value() for header in call.settings.headers.values()]
    text = without(headers, _text(incoming))  # before it is cut: nothing finds half of one
    said = " ".join(text[: 4 * _QUOTED].split())[:_QUOTED]
    message = f"{outgoing.to.authority} answered {status}" + (f": {said}" if said else ".")
    if status in _LATER or status >= 500:
        raise ChannelError("receiver_failed", message, retry_after=_retry_after(incoming))
    raise ChannelError("refused_by_receiver", message, retryable=False)


def _retry_after(incoming: _Incoming) -> timedelta | None:
    """Seconds, or a date; what cannot be read asks for nothing."""
    text = incoming.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=min(int(text[:9]), LONGEST_WAIT.total_seconds()))
    else:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)
    return min(max(wait, timedelta()), LONGEST_WAIT) or None


def _response(incoming: _Incoming) -> dict[str, object]:
    kind = incoming.headers.get("content-type", "")
    response: dict[str, object] = {
        "status": incoming.status,
        "headers": {"content-type": kind[:200]} if kind else {},
    }
    body = _parsed(incoming)
    if body is None:
        text, cut = _fitting(_text(incoming))
        body = text or None
        if cut or incoming.cut:
            response["truncated"] = True
    return {**response, "body": body}


def _parsed(incoming: _Incoming) -> object:
    """The body as JSON; None if it is none, or more than is kept."""
    if incoming.cut or not incoming.body or len(incoming.body) > MOST_KEPT:
        return None
    try:
        value = load(incoming.body, "")
    except DefinitionError:
        return None
    return None if check_data(value) or _size(value) > MOST_KEPT else value


def _text(incoming: _Incoming) -> str:
    if incoming.headers.get("content-encoding", "identity").lower() != "identity":
        return ""  # packed, though nobody asked for that
    return incoming.body.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _fitting(text: str) -> tuple[str, bool]:
    """As much of a text as is kept, and whether that is less than all."""
    whole = len(text)
    while (size := _size(text)) > MOST_KEPT:
        text = text[: max(len(text) * MOST_KEPT // size - 1, 0)]
    return text, len(text) < whole


def _size(value: object) -> int:
    return len(_json(value).encode())


def _told(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return said.rstrip(".")[:_QUOTED]
