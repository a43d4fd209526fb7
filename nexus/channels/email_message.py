"""One mail, from parameters to bytes: the same bytes at every attempt."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, getaddresses
from html.parser import HTMLParser

import css_inline
from email_validator import EmailNotValidError, validate_email

from nexus.contracts import ChannelError

MOST_RECIPIENTS = 100
MOST_SUBJECT = 998  # characters, what one line of a mail may have
MOST_BYTES = 20 * 1024 * 1024  # of a whole mail

# Headers that a step may set; all others say who sends what to whom, and are ours.
OPEN_HEADERS = (
    *("list-id", "list-unsubscribe", "list-unsubscribe-post", "precedence"),
    *("importance", "priority", "organization"),
)
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,70}")
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "blockquote",
        "br",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tr",
        "ul",
    ]
)
_UNSEEN = frozenset(("head", "script", "style", "title"))

# What a mail looks like must not depend on what a server elsewhere answers.
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)


@dataclass(frozen=True, slots=True)
class Attached:
    """One file that goes with a mail."""

    filename: str
    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail, ready to be sent.

    Attributes:
        message_id: With its angle brackets.
        sender: Address of the envelope.
        recipients: Addresses of the envelope, those of blind copies included.
        content: The message itself.
        utf8: An address needs a server that takes SMTPUTF8.
    """

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    utf8: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a mail is made of; texts are rendered, and nothing is checked yet."""

    key: str
    at: datetime
    sender: str
    to: Sequence[str]
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    reply_to: str = ""
    subject: str = ""
    text: str = ""
    html: str = ""
    headers: Sequence[tuple[str, str]] = ()
    attachments: Sequence[Attached] = ()


def compose(draft: Draft) -> Mail:
    """The mail of a draft.

    Raises:
        ChannelError: `invalid_parameters`, final, naming what is wrong.
    """
    sender = one_address("from", draft.sender)
    to, cc, bcc = (
        addresses(name, given)
        for name, given in (("to", draft.to), ("cc", draft.cc), ("bcc", draft.bcc))
    )
    recipients = tuple(dict.fromkeys(address.addr_spec for address in (*to, *cc, *bcc)))
    if not recipients:
        raise wrong("to", "nobody is named: it came out empty")
    if len(recipients) > MOST_RECIPIENTS:
        raise wrong("to", f"{len(recipients)} recipients are more than {MOST_RECIPIENTS}")
    message = EmailMessage()
    message["From"] = sender
    if to:
        message["To"] = to
    if cc:
        message["Cc"] = cc
    if draft.reply_to.strip():
        message["Reply-To"] = one_address("replyTo", draft.reply_to)
    message["Subject"] = line("subject", draft.subject)
    message["Date"] = format_datetime(draft.at.astimezone(UTC))
    identity = hashlib.sha256(draft.key.encode()).hexdigest()[:40]
    message["Message-ID"] = f"<{identity}@{_ascii_domain(sender)}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic reply, please
    for name, value in draft.headers:
        message[_open_header(name)] = line(f"headers/{name}", value)
    _fill(message, draft)
    _name_boundaries(message, identity)
    utf8 = not all(address.isascii() for address in (sender.addr_spec, *recipients))
    content = message.as_bytes(policy=SMTPUTF8 if utf8 else SMTP)
    if len(content) > MOST_BYTES:
        raise wrong("attachments", f"the mail has {len(content):,} bytes, at most {MOST_BYTES:,}")
    return Mail(str(message["Message-ID"]), sender.addr_spec, recipients, content, utf8)


def line(name: str, value: str) -> str:
    """A value that stands in a header: one line, and nothing that could begin another.

    Raises:
        ChannelError: It has line breaks or other control characters inside.
    """
    text = value.strip()
    if len(text) > MOST_SUBJECT:
        raise wrong(name, f"it has {len(text):,} characters, at most {MOST_SUBJECT}")
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text):
        raise wrong(name, "line breaks and control characters cannot stand there")
    return text


def addresses(name: str, given: Sequence[str]) -> tuple[Address, ...]:
    """All addresses in some texts, each of which may hold several, with names and without.

    Raises:
        ChannelError: One of them is none.
    """
    texts = [text for text in (line(name, one) for one in given) if text]
    found = getaddresses(texts)
    if texts and (not found or any(not address for _, address in found)):
        raise wrong(name, "it cannot be read as addresses, such as 'Ann <ann@example.com>'")
    return tuple(_address(name, display, address) for display, address in found)


def one_address(name: str, given: str) -> Address:
    """The one address in a text.

    Raises:
        ChannelError: There is none, or several, or it is none.
    """
    found = addresses(name, [given])
    if len(found) != 1:
        raise wrong(name, "it takes one address")
    return found[0]


def wrong(name: str, why: str) -> ChannelError:
    """Something in the parameters that no other attempt makes right."""
    return ChannelError("invalid_parameters", f"with/{name}: {why}.", retryable=False)


def _address(name: str, display: str, address: str) -> Address:
    try:
        checked = validate_email(
            address, check_deliverability=False, allow_smtputf8=True, globally_deliverable=False
        )
    except EmailNotValidError as error:
        raise wrong(name, f"{address[:100]!r} is no address: {error}".rstrip(".")) from None
    # Domains have a spelling in ASCII that every server takes.
    local, domain = checked.local_part, checked.ascii_domain
    return Address(display_name=display, username=local, domain=domain)


def _ascii_domain(sender: Address) -> str:
    return sender.domain


def _open_header(name: str) -> str:
    known = _HEADER.fullmatch(name) and (name.lower() in OPEN_HEADERS or name[:2].lower() == "x-")
    if not known:
        allowed = ", ".join((*OPEN_HEADERS, "x-…"))
        raise wrong(f"headers/{name[:80]}", f"it cannot be set; these can: {allowed}")
    return name


def _fill(message: EmailMessage, draft: Draft) -> None:
    html = _inlined(draft.html) if draft.html.strip() else ""
    text = draft.text if draft.text.strip() else _as_text(html)
    if not text.strip() and not html:
        raise wrong("text", "there is neither text nor html: both came out empty")
    message.set_content(_plain(text), charset="utf-8")
    if html:
        message.add_alternative(_plain(html), subtype="html", charset="utf-8")
    for attached in draft.attachments:
        maintype, _, subtype = attached.content_type.partition("/")
        message.add_attachment(
            attached.content, maintype=maintype, subtype=subtype, filename=attached.filename
        )


def _plain(text: str) -> str:
    return text.replace("\x00", "").encode(errors="replace").decode()


def _inlined(html: str) -> str:
    try:
        return _INLINER.inline(html)
    except css_inline.InlineError as error:
        raise wrong("html", f"its styles cannot be read ({error})") from None


def _name_boundaries(message: EmailMessage, identity: str) -> None:
    """Else each attempt would have others, drawn at random."""
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_{identity}_{number}")


def decoded(filename: str, content: str) -> bytes:
    """An attachment's bytes, from Base64.

    Raises:
        ChannelError: It is none.
    """
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise wrong(f"attachments/{filename[:80]}", "its content is no Base64") from None


class _Reader(HTMLParser):
    """What somebody reads of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: Iterable[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in _BLOCKS:
            self.parts.append("\n")
        if tag == "a":
            self._links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in _BLOCKS:
            self.parts.append("\n")
        if tag == "a" and self._links:
            link = self._links.pop()
            if link.startswith(("http://", "https://", "mailto:")):
                self.parts.append(f" ({link})")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(re.sub(r"\s+", " ", data))


def _as_text(html: str) -> str:
    """HTML for those whose mail program shows none."""
    if not html:
        return ""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (line.strip() for line in "".join(reader.parts).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
