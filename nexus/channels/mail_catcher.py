"""A mail server that delivers nothing: it keeps each mail in a folder, for development.

A mail is a file `<id>.eml` and what there is to tell of it, `<id>.json`. An id
begins with the moment, so that names sort by time. A Message-ID that comes again
is kept once and counted, as mailboxes do.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import msgspec
from aiosmtpd.smtp import SMTP, Envelope, Session

MOST_KEPT = 10_000  # mails; the oldest go
MOST_BYTES = 25 * 1024 * 1024  # of one mail
MOST_TEXT = 200_000  # characters of a body that is shown

_ID = re.compile(r"[0-9]{8}T[0-9]{12}-[0-9a-f]{12}")
_log = logging.getLogger("nexus.mail")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtMail:
    """What there is to tell of a mail.

    Attributes:
        id: Its name in the folder.
        received_at: When it came first, timezone-aware.
        sender: Address of the envelope.
        recipients: Addresses of the envelope, those of blind copies included.
        message_id: As its header has it; "" for none.
        times: How often a mail of this Message-ID came.
    """

    id: str
    received_at: datetime
    sender: str
    recipients: tuple[str, ...]
    subject: str
    message_id: str
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MailDetail:
    """A mail as somebody reads it.

    Attributes:
        headers: In their order, decoded.
        attachments: Names of its files.
    """

    mail: CaughtMail
    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    attachments: tuple[str, ...]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CaughtMail).decode


def list_mails(folder: Path, *, limit: int = 50, before: str | None = None) -> list[CaughtMail]:
    """Mails, the newest first.

    Args:
        folder: Where they are kept; it may be missing.
        limit: How many at most.
        before: Only those that came before the mail of this id.
    """
    names = sorted((path.stem for path in folder.glob("*.json")), reverse=True)
    found: list[CaughtMail] = []
    for name in names:
        if _ID.fullmatch(name) and (before is None or name < before) and len(found) < limit:
            mail = _told(folder, name)
            if mail is not None:
                found.append(mail)
    return found


def read_mail(folder: Path, mail_id: str) -> MailDetail | None:
    """One mail; None where there is none of this id."""
    mail = _told(folder, mail_id) if _ID.fullmatch(mail_id) else None
    content = mail_source(folder, mail_id) if mail else None
    if mail is None or content is None:
        return None
    message = _parsed(content)
    return MailDetail(
        mail=mail,
        headers=_headers(message),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        attachments=_attachments(message),
    )


def mail_source(folder: Path, mail_id: str) -> bytes | None:
    """A mail byte for byte; None where there is none of this id."""
    if not _ID.fullmatch(mail_id):
        return None
    try:
        return (folder / f"{mail_id}.eml").read_bytes()
    except OSError:
        return None


# Anybody's bytes come here, and Python's reader of mails breaks on some with all kinds of errors:
# what cannot be read is shown as it is, or left out.


def _headers(message: EmailMessage) -> tuple[tuple[str, str], ...]:
    return tuple((_text(name), _header(name, value)) for name, value in message.raw_items())


def _first(message: EmailMessage, wanted: str) -> str:
    for name, value in message.raw_items():
        if name.lower() == wanted:
            return _header(name, value).strip()
    return ""


def _header(name: str, value: object) -> str:
    try:
        return _text(str(policy.default.header_fetch_parse(name, str(value))))
    except Exception:  # noqa: BLE001
        return _text(str(value))


def _body(message: EmailMessage, kind: str) -> str | None:
    try:
        part: Any = message.get_body((kind,))
        content = None if part is None else part.get_content()
    except Exception:  # noqa: BLE001
        return None
    return _text(content[:MOST_TEXT]) if isinstance(content, str) else None


def _attachments(message: EmailMessage) -> tuple[str, ...]:
    try:
        return tuple(_text(part.get_filename() or "") for part in message.iter_attachments())
    except Exception:  # noqa: BLE001
        return ()


def _text(text: str) -> str:
    """A text that can be written as UTF-8."""
    return text.encode(errors="replace").decode()


def _told(folder: Path, name: str) -> CaughtMail | None:
    try:
        return _decode((folder / f"{name}.json").read_bytes())
    except (OSError, msgspec.DecodeError):
        return None


def _parsed(content: bytes) -> EmailMessage:
    message = BytesParser(policy=policy.default).parsebytes(content)
    assert isinstance(message, EmailMessage)
    return message


class MailFolder:
    """Where mails are kept; one process writes into it.

    Its methods may be called from several threads.

    Args:
        path: The folder; it is made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one_at_a_time = threading.Lock()
        path.mkdir(parents=True, exist_ok=True)
        for partial in path.glob(".*.partial"):  # of a process that was killed
            partial.unlink(missing_ok=True)
        mails = list_mails(path, limit=MOST_KEPT)
        self._order = deque(mail.id for mail in reversed(mails))
        self._by_message_id = {mail.message_id: mail.id for mail in reversed(mails)}

    def keep(self, sender: str, recipients: Sequence[str], content: bytes) -> CaughtMail:
        """Keep a mail, or count it where its Message-ID is known."""
        message = _parsed(content)
        with self._one_at_a_time:
            return self._keep(sender, recipients, content, message)

    def _keep(
        self, sender: str, recipients: Sequence[str], content: bytes, message: EmailMessage
    ) -> CaughtMail:
        message_id = _first(message, "message-id")
        known = self._by_message_id.get(message_id) if message_id else None
        before = _told(self._path, known) if known else None
        if before is not None:
            mail = replace(before, times=before.times + 1)
            self._write(f"{mail.id}.json", _encode(mail))
            return mail
        now = datetime.now(UTC)
        mark = hashlib.sha256(message_id.encode(errors="replace") + content).hexdigest()[:12]
        mail = CaughtMail(
            id=f"{now:%Y%m%dT%H%M%S%f}-{mark}",
            received_at=now,
            sender=_text(sender),
            recipients=tuple(map(_text, recipients)),
            subject=_first(message, "subject"),
            message_id=message_id,
        )
        # The mail first: what is told of it makes it visible.
        self._write(f"{mail.id}.eml", content)
        self._write(f"{mail.id}.json", _encode(mail))
        self._order.append(mail.id)
        if message_id:
            self._by_message_id[message_id] = mail.id
        while len(self._order) > MOST_KEPT:
            self._forget(self._order.popleft())
        return mail

    def _write(self, name: str, content: bytes) -> None:
        partial = self._path / f".{name}.partial"
        partial.write_bytes(content)
        partial.replace(self._path / name)

    def _forget(self, name: str) -> None:
        known = _told(self._path, name)
        if known is not None:
            self._by_message_id.pop(known.message_id, None)
        for suffix in (".json", ".eml"):
            (self._path / f"{name}{suffix}").unlink(missing_ok=True)


class _Handler:
    """What aiosmtpd asks for each mail."""

    def __init__(self, folder: MailFolder) -> None:
        self._folder = folder

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        sender = envelope.mail_from or ""
        try:
            mail = await asyncio.to_thread(
                self._folder.keep, sender, list(envelope.rcpt_tos), content
            )
        except OSError as error:
            _log.error("a mail cannot be kept: %s", error)
            return "451 The mail cannot be kept now"
        _log.info("caught %s for %s: %s", mail.id, ", ".join(mail.recipients), mail.subject)
        return f"250 Kept as {mail.id}"


async def serve_catcher(folder: Path, host: str, port: int) -> asyncio.Server:
    """A catcher that listens.

    Args:
        folder: Where mails are kept.
        host: Address to listen on.
        port: Port to listen on; 0 for any.

    Raises:
        OSError: The port is taken, or the folder cannot be written.
    """
    handler = _Handler(MailFolder(folder))
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: SMTP(
            handler,
            hostname="nexus-mail-catcher",
            ident="Nexus mail catcher",
            data_size_limit=MOST_BYTES,
            enable_SMTPUTF8=True,
            loop=loop,
        ),
        host=host,
        port=port,
    )
