"""What operators set for webhooks, what steps give them, and the rules about headers."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, SecretStr, model_validator
from standardwebhooks import Webhook

from nexus.contracts import OPERATOR, Strict

Method = Literal["POST", "PUT", "PATCH", "DELETE", "GET"]

_PREFIX = "whsec_"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HOST = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:]+")
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def wrong_header(name: str, value: str) -> str | None:
    """Why a header cannot be sent; None if it can."""
    if not _TOKEN.fullmatch(name):
        return "is no name of a header"
    low = name.lower()
    if low in _OURS or low.startswith(("webhook-", "proxy-")):
        return "is a header that the channel writes itself, or that nobody may"
    if _CONTROL.search(value):
        return "has a line break or a control character in its value"
    return None


def _checked(headers: Mapping[str, str]) -> None:
    seen: set[str] = set()
    for name, value in headers.items():
        why = wrong_header(name, value)
        if why is None and name.lower() in seen:
            why = "is there twice"
        if why is not None:
            raise ValueError(f"{name[:60]!r} {why}")
        seen.add(name.lower())


def _header(value: str | int | float | bool) -> str:
    # Templates keep the type of what they show; a header is always text.
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def _headers(
    given: dict[str, str | int | float | bool | None],
) -> dict[str, str | int | float | bool | None]:
    _checked({name: _header(value) for name, value in given.items() if value is not None})
    return given


def _secret_headers(given: dict[str, SecretStr]) -> dict[str, SecretStr]:
    _checked({name: value.get_secret_value() for name, value in given.items()})
    return given


def signer(secret: str) -> Webhook:
    """Who signs with a secret: `whsec_` and base64, or any other text as it is.

    Raises:
        ValueError: There is nothing to sign with; the secret is not in the message.
    """
    try:
        if secret.startswith(_PREFIX):
            digits = secret.removeprefix(_PREFIX).rstrip("=")
            key = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
        else:
            key = secret.encode()
    except (binascii.Error, ValueError):
        raise ValueError(f"what follows {_PREFIX} is not base64") from None
    if not key:
        raise ValueError("a secret is empty")
    return Webhook(key)


def _secrets(given: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for secret in given:
        signer(secret.get_secret_value())
    return given


def _hosts(given: tuple[str, ...]) -> tuple[str, ...]:
    for host in given:
        if not _HOST.fullmatch(host):
            raise ValueError(
                f"{host!r} is no host: expected a name in small letters, such as api.example.com, "
                "or *.example.com for all below it"
            )
    return given


class WebhookSettings(Strict):
    """What applies to all calls of a tenant, or of a name.

    Attributes:
        url: Where calls go whose steps say nothing else.
        secrets: Sign with each of these, the newest first; receivers take any that they know.
        require_signature: Make no call that cannot be signed.
        hosts: The only hosts that may be called; None for every public one. `*.example.com`
            is every name below `example.com`.
        headers: Sent with each call, to `hosts` alone and encrypted: tokens that authorize.
    """

    url: str | None = None
    secrets: Annotated[
        tuple[SecretStr, ...], AfterValidator(_secrets), Field(json_schema_extra=OPERATOR)
    ] = ()
    require_signature: Annotated[
        bool, Field(alias="requireSignature", json_schema_extra=OPERATOR)
    ] = False
    hosts: Annotated[
        tuple[str, ...] | None,
        AfterValidator(lambda given: None if given is None else _hosts(given)),
        Field(json_schema_extra=OPERATOR),
    ] = None
    headers: Annotated[dict[str, SecretStr], AfterValidator(_secret_headers)] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _headers_have_hosts(self) -> WebhookSettings:
        # Definitions say where calls go: without this, an author could have them sent home.
        if self.headers and self.hosts is None:
            raise ValueError("headers need hosts: the hosts that they may be sent to")
        return self

    def signers(self) -> Iterable[Webhook]:
        """Who signs, the newest first."""
        return [signer(secret.get_secret_value()) for secret in self.secrets]

    def allows(self, host: str) -> bool:
        """Whether a host may be called, as far as `hosts` says."""
        return self.hosts is None or any(
            host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in self.hosts
        )


class WebhookParameters(Strict):
    """What a step gives `with`.

    Attributes:
        url: http or https.
        method: What is done to it.
        headers: Beside those that are always sent; one that is null is left out.
        body: JSON; null for none. A text is sent as it is under a `Content-Type` that is not JSON.
            Without it, POST, PUT and PATCH send an envelope with the record's data.
    """

    url: str | None = None
    method: Method = "POST"
    headers: Annotated[dict[str, str | int | float | bool | None], AfterValidator(_headers)] = (
        Field(default_factory=dict)
    )
    body: JsonValue = None

    @model_validator(mode="after")
    def _nothing_to_get(self) -> WebhookParameters:
        if self.method == "GET" and self.body is not None:
            raise ValueError("a GET has no body")
        return self

    def header_texts(self) -> dict[str, str]:
        """The headers as they are sent, names in small letters."""
        return {
            name.lower(): _header(value)
            for name, value in self.headers.items()
            if value is not None
        }
