"""The channel `email`: mails over SMTP.

A mail has the same Message-ID and the same bytes at every attempt. Where a
server's answer is lost after it has taken a mail, the mail is sent again: SMTP
knows no idempotency, and most mailboxes show a Message-ID once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import aiosmtplib
from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from nexus.channels.email_connections import FINAL, Connections, Server, said
from nexus.channels.email_headers import line, one_mailbox, wrong
from nexus.channels.email_message import Attached, Draft, Mail, compose, decoded, recipients
from nexus.contracts import HTML, OPERATOR, Channel, ChannelCall, ChannelError, Strict

IMPLICIT_TLS = 465
ANY_DOMAIN = "*"
MEDIA_TYPE = r"^[A-Za-z0-9.+_-]+/[A-Za-z0-9.+_-]+$"
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
    helo: Annotated[
        str | None, Field(pattern=r"^[A-Za-z0-9.:\[\]-]+$", json_schema_extra=OPERATOR)
    ] = None
    connections: Annotated[int, Field(ge=1, le=50, json_schema_extra=OPERATOR)] = 4
    from_domains: Annotated[tuple[str, ...] | None, Field(json_schema_extra=OPERATOR)] = None
    sender: Annotated[str | None, Field(alias="from")] = None
    reply_to: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _keep_to_the_operators_domain(cls, values: object, info: ValidationInfo) -> object:
        """Whoever writes definitions sends as the operator lets them."""
        operator = (info.context or {}).get("operator", {})
        given = operator.get("sender")
        if not isinstance(values, Mapping) or "from_domains" in operator or not given:
            return values
        try:
            domain = one_mailbox("from", str(given)).domain
        except ChannelError:
            raise PydanticCustomError(
                "sender", "The operator's 'from' holds no address that mails can be from"
            ) from None
        return {**values, "from_domains": (domain,)}

    @field_validator("from_domains")
    @classmethod
    def _in_ascii(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Domains are compared as they are in addresses."""
        if given is None:
            return None
        return tuple(one if one == ANY_DOMAIN else _ascii(one) for one in given)

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
    content_type: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9.+_-]+/[A-Za-z0-9.+_-]+$")] = (
        None
    )


class EmailParameters(Strict):
    """What a step gives: who gets it, and what stands in it.

    Attributes:
        to, cc, bcc: Who gets it: a text with one or several addresses, or a list of texts with
            one each, in which no name can bring in others; at least one among them.
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

    def check(self, parameters: EmailParameters) -> None:
        """Refuse a mail to nobody, or to what is no address."""
        recipients(parameters.to, parameters.cc, parameters.bcc)

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
        # What takes a mail back is another mail, not the same one again.
        key=call.key if call.request.operation == "execute" else f"{call.key}#compensate",
        at=call.request.requested_at,
        sender=sender,
        to=given.to,
        cc=given.cc,
        bcc=given.bcc,
        reply_to=given.reply_to or settings.reply_to or "",
        subject=given.subject,
        text=given.text or "",
        html=given.html or "",
        headers=tuple(given.headers.items()),
        attachments=tuple(map(_attached, given.attachments)),
    )


def _require_domain(sender: str, allowed: tuple[str, ...] | None) -> None:
    domain = one_mailbox("from", sender).domain
    if allowed is None or ANY_DOMAIN in allowed or domain in allowed:
        return
    raise wrong("from", f"mails may not be sent as {domain}, only as {', '.join(allowed)}")


def _ascii(domain: str) -> str:
    try:
        return one_mailbox("from", f"someone@{domain}").domain
    except ChannelError:
        raise PydanticCustomError("domain", "One of them is no domain") from None


def _attached(attachment: Attachment) -> Attached:
    name = line("attachments", attachment.filename)
    if (attachment.content is None) == (attachment.content_base64 is None):
        raise wrong(f"attachments/{name}", "it takes either 'content' or 'contentBase64'")
    if attachment.content is None:
        content = decoded(name, attachment.content_base64 or "")
        return Attached(name, content, attachment.content_type or "application/octet-stream")
    kind = attachment.content_type or "text/plain"
    charset = "utf-8" if kind.lower().startswith("text/") else ""
    return Attached(name, attachment.content.encode(errors="replace"), kind, charset)


async def _send(client: aiosmtplib.SMTP, mail: Mail, host: str) -> dict[str, str]:
    """Hand a mail to the server. Returns the recipients that it refuses, with its words."""
    if mail.utf8 and not client.supports_extension("smtputf8"):
        raise ChannelError(
            "refused_by_server",
            f"{host} takes no addresses beyond ASCII (SMTPUTF8).",
            retryable=False,
        )
    after = ""  # what there is to say, should the connection break now
    try:
        refused = await _envelope(client, mail, host)
        after = "; whether it has the mail is not known"
        await client.data(mail.content)
    except aiosmtplib.SMTPResponseException as error:
        raise ChannelError(
            "refused_by_server",
            f"{host} refuses the mail: {error.code} {said(error.message)}",
            retryable=error.code < FINAL,
        ) from None
    except (aiosmtplib.SMTPTimeoutError, TimeoutError):
        raise ChannelError("timed_out", f"{host} did not answer in time{after}.") from None
    except (aiosmtplib.SMTPServerDisconnected, OSError):
        raise ChannelError("unreachable", f"{host} closed the connection{after}.") from None
    return refused


async def _envelope(client: aiosmtplib.SMTP, mail: Mail, host: str) -> dict[str, str]:
    options = ["SMTPUTF8"] if mail.utf8 else []
    if client.supports_extension("size"):
        options.append(f"SIZE={len(mail.content)}")
    encoding = "utf-8" if mail.utf8 else "ascii"
    await client.mail(mail.sender, options=options, encoding=encoding)
    refused: dict[str, str] = {}
    final = True
    for one in mail.recipients:
        try:
            await client.rcpt(one, encoding=encoding)
        except aiosmtplib.SMTPRecipientRefused as error:
            refused[one] = f"{error.code} {said(error.message)}"
            final = final and error.code >= FINAL
    if len(refused) == len(mail.recipients):
        first, words = next(iter(refused.items()))
        raise ChannelError(
            "recipients_refused",
            f"{host} takes none of the recipients: {first}: {words}",
            retryable=not final,
        )
    return refused
