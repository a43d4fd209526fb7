"""The channel `email`: mails over SMTP.

A mail has the same Message-ID and the same bytes at every attempt. Where a
server's answer is lost after it has taken a mail, the mail is sent again: SMTP
knows no idempotency, and most mailboxes show a Message-ID once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import aiosmtplib
from pydantic import Field, SecretStr, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from nexus.channels.email_connections import Connections, Server, said
from nexus.channels.email_message import (
    Attached,
    Draft,
    Mail,
    addresses,
    compose,
    decoded,
    line,
    one_address,
    wrong,
)
from nexus.contracts import HTML, OPERATOR, Channel, ChannelCall, ChannelError, Strict

IMPLICIT_TLS = 465
ANY_DOMAIN = "*"
MOST_ATTACHMENTS = 20


class EmailSettings(Strict):
    """Which server, and as whom.

    Attributes:
        host: Name of the mail server (operator).
        port: Its port (operator).
        security: `starttls`, `tls` from the first byte, or `none`; by default what the port is
            for, and `starttls` for all but 465 (operator).
        username: To log in as; None for no login (operator).
        password: For that; by reference (operator).
        ca_file: PEM file with certificates to trust instead of the system's (operator).
        helo: The name that this machine gives itself (operator).
        connections: Most connections at once, from one process (operator).
        from_domains: Domains of senders that definitions may choose; `*` for any. By default the
            domain of the operator's `from`, if there is one (operator).
        sender: `from`: who mails are from, such as `Sales <sales@example.com>`.
        reply_to: Where answers go.
    """

    host: Annotated[str, Field(min_length=1, json_schema_extra=OPERATOR)]
    port: Annotated[int, Field(ge=1, le=65_535, json_schema_extra=OPERATOR)] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"] | None, Field(json_schema_extra=OPERATOR)
    ] = None
    username: Annotated[str | None, Field(json_schema_extra=OPERATOR)] = None
    password: SecretStr | None = None
    ca_file: Annotated[str | None, Field(json_schema_extra=OPERATOR)] = None
    helo: Annotated[str | None, Field(json_schema_extra=OPERATOR)] = None
    connections: Annotated[int, Field(ge=1, le=50, json_schema_extra=OPERATOR)] = 4
    from_domains: Annotated[tuple[str, ...] | None, Field(json_schema_extra=OPERATOR)] = None
    sender: Annotated[str | None, Field(alias="from")] = None
    reply_to: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _keep_to_the_operators_domain(cls, values: object, info: ValidationInfo) -> object:
        """Whoever writes definitions sends as the operator lets them."""
        operator = (info.context or {}).get("operator", {})
        if (
            not isinstance(values, Mapping)
            or "from_domains" in operator
            or not operator.get("sender")
        ):
            return values
        return {**values, "from_domains": (_domain(str(operator["sender"])),)}

    def server(self) -> Server:
        """Where to connect."""
        default = "tls" if self.port == IMPLICIT_TLS else "starttls"
        return Server(
            host=self.host,
            port=self.port,
            security=self.security or default,  # type: ignore[arg-type]
            username=self.username,
            password=self.password.get_secret_value() if self.password else None,
            ca_file=self.ca_file,
            helo=self.helo,
            most=self.connections,
        )


class Attachment(Strict):
    """One file that goes with a mail: `content`, a text, or `contentBase64`, any bytes."""

    filename: Annotated[str, Field(min_length=1, max_length=200)]
    content: str | None = None
    content_base64: Annotated[str | None, Field(alias="contentBase64")] = None
    content_type: Annotated[str | None, Field(pattern=r"^[\w.+-]+/[\w.+-]+$")] = None


class EmailParameters(Strict):
    """What a step gives: who gets it, and what stands in it.

    Attributes:
        to, cc, bcc: Addresses, in one text or a list; at least one among them.
        subject: One line.
        text: The mail as plain text; made from `html` where there is none.
        html: The mail as HTML; its styles are put into its elements.
        sender: `from`: another sender, of a domain that the operator allows.
        reply_to: Where answers go.
        headers: Further headers, of a short list.
        attachments: Files.
    """

    to: str | tuple[str, ...] = ()
    cc: str | tuple[str, ...] = ()
    bcc: str | tuple[str, ...] = ()
    subject: str = ""
    text: str | None = None
    html: Annotated[str | None, Field(json_schema_extra=HTML)] = None
    sender: Annotated[str | None, Field(alias="from")] = None
    reply_to: str | None = None
    headers: Mapping[str, str] = Field(default_factory=dict)
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=MOST_ATTACHMENTS)] = ()

    @model_validator(mode="after")
    def _says_what_to_whom(self) -> EmailParameters:
        if not (self.to or self.cc or self.bcc) and not {"to", "cc", "bcc"} & self.model_fields_set:
            raise PydanticCustomError("missing", "It needs 'to': who gets the mail")
        if not {"text", "html"} & self.model_fields_set:
            raise PydanticCustomError(
                "missing", "It needs 'text' or 'html': what stands in the mail"
            )
        return self


class EmailChannel(Channel[EmailSettings, EmailParameters]):
    """Sends mails."""

    name = "email"
    Settings = EmailSettings
    Parameters = EmailParameters

    def __init__(self) -> None:
        self._connections = Connections()

    async def execute(self, call: ChannelCall[EmailSettings, EmailParameters]) -> object:
        """Send one mail.

        Returns:
            `{"message_id", "accepted": [addresses], "refused": {address: the server's words}}`.
            Where a server takes some recipients and not others, the mail is sent: trying again
            would send it twice to those who have it.

        Raises:
            ChannelError: It was not sent.
        """
        mail = compose(_draft(call))
        seconds = call.timeout.total_seconds()
        async with self._connections.of(call.settings.server(), seconds) as client:
            refused = await _send(client, mail, call.settings.host)
        return {
            "message_id": mail.message_id,
            "accepted": [one for one in mail.recipients if one not in refused],
            "refused": refused,
        }

    async def compensate(self, call: ChannelCall[EmailSettings, EmailParameters]) -> object:
        """Send another mail, which takes the first one back in words."""
        return await self.execute(call)

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()


def _draft(call: ChannelCall[EmailSettings, EmailParameters]) -> Draft:
    settings, given = call.settings, call.parameters
    sender = given.sender or settings.sender
    if not sender:
        raise ChannelError(
            "not_configured",
            f"No sender is set for the tenant {call.request.tenant!r}: 'from', in the channels' "
            "settings, or in the step's 'with'.",
            retryable=False,
        )
    _require_domain(sender, settings.from_domains)
    return Draft(
        key=call.key,
        at=call.request.requested_at,
        sender=sender,
        to=_several(given.to),
        cc=_several(given.cc),
        bcc=_several(given.bcc),
        reply_to=given.reply_to or settings.reply_to or "",
        subject=given.subject,
        text=given.text or "",
        html=given.html or "",
        headers=tuple(given.headers.items()),
        attachments=tuple(map(_attached, given.attachments)),
    )


def _several(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given


def _require_domain(sender: str, allowed: tuple[str, ...] | None) -> None:
    domain = one_address("from", sender).domain.lower()
    if allowed is None or ANY_DOMAIN in allowed or domain in map(str.lower, allowed):
        return
    raise wrong("from", f"mails may not be sent as {domain}, only as {', '.join(allowed)}")


def _domain(sender: str) -> str:
    found = addresses("from", [sender])
    return found[0].domain if found else ""


def _attached(attachment: Attachment) -> Attached:
    name = line("attachments", attachment.filename)
    if (attachment.content is None) == (attachment.content_base64 is None):
        raise wrong(f"attachments/{name}", "it takes either 'content' or 'contentBase64'")
    if attachment.content is not None:
        content, kind = attachment.content.encode(errors="replace"), "text/plain"
    else:
        content, kind = decoded(name, attachment.content_base64 or ""), "application/octet-stream"
    return Attached(name, content, attachment.content_type or kind)


async def _send(client: aiosmtplib.SMTP, mail: Mail, host: str) -> dict[str, str]:
    """Hand a mail to the server. Returns the recipients that it refuses, with its words."""
    options = ["BODY=8BITMIME"] if client.supports_extension("8bitmime") else []
    if mail.utf8:
        if not client.supports_extension("smtputf8"):
            raise ChannelError(
                "refused_by_server",
                f"{host} takes no addresses beyond ASCII (SMTPUTF8).",
                retryable=False,
            )
        options.append("SMTPUTF8")
    try:
        refused, _ = await client.sendmail(
            mail.sender, list(mail.recipients), mail.content, mail_options=options
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        first = error.recipients[0]
        temporary = any(one.code < 500 for one in error.recipients)
        raise ChannelError(
            "recipients_refused",
            f"{host} takes none of the recipients: {first.recipient}: {first.code} "
            f"{said(first.message)}",
            retryable=temporary,
        ) from None
    except aiosmtplib.SMTPResponseException as error:
        raise ChannelError(
            "refused_by_server",
            f"{host} refuses the mail: {error.code} {said(error.message)}",
            retryable=error.code < 500,
        ) from None
    except (aiosmtplib.SMTPTimeoutError, TimeoutError):
        raise ChannelError(
            "timed_out", f"{host} did not answer in time; whether it has the mail is not known."
        ) from None
    except (aiosmtplib.SMTPServerDisconnected, OSError):
        raise ChannelError(
            "unreachable",
            f"{host} closed the connection; whether it has the mail is not known.",
        ) from None
    return {one: f"{answer.code} {said(answer.message)}" for one, answer in refused.items()}
