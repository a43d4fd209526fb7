"""One mail, from parameters to bytes: the same bytes at every attempt."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html.parser import HTMLParser

import css_inline

from nexus.channels.email_headers import (
    Mailbox,
    address_header,
    file_header,
    line,
    mailboxes,
    one_mailbox,
    open_header,
    text_header,
    wrong,
)

MOST_RECIPIENTS = 100
MOST_BYTES = 20 * 1024 * 1024  # of a whole mail
MOST_ELEMENTS = 5_000  # of HTML; far deeper ones overrun the stack of the reader of styles
MOST_DECLARATIONS = 1_000_000  # of the styles, times the elements that each may be put into
MOST_STYLES = 50_000_000  # characters, likewise

_ELEMENT = re.compile(r"<[A-Za-z]")

_BLOCKS = frozenset(
    (
        *("address", "article", "blockquote", "br", "div", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("hr", "li", "ol", "p", "pre", "section", "table", "tr", "ul"),
    )
)
_UNSEEN = frozenset(("head", "script", "style", "title"))

# Headers stay as they were written here, and bodies are ASCII: any server takes them.
_ASCII = SMTP.clone(refold_source="none", cte_type="7bit")
_UTF8 = _ASCII.clone(utf8=True)

# What a mail looks like must not depend on what a server elsewhere answers.
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)


@dataclass(frozen=True, slots=True)
class Attached:
    """One file that goes with a mail."""

    filename: str
    content: bytes
    content_type: str
    charset: str = ""


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
    to: str | Sequence[str]
    cc: str | Sequence[str] = ()
    bcc: str | Sequence[str] = ()
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
    sender = one_mailbox("from", draft.sender)
    to, cc, bcc = recipients(draft.to, draft.cc, draft.bcc)
    addressed = tuple(dict.fromkeys(one.address for one in (*to, *cc, *bcc)))
    replies = mailboxes("replyTo", draft.reply_to)
    identity = hashlib.sha256(draft.key.encode()).hexdigest()[:40]
    message_id = f"<{identity}@{sender.domain}>"
    headers = {
        "From": sender.written(),
        "To": address_header(to),
        "Cc": address_header(cc),
        "Reply-To": address_header(replies),
        "Subject": text_header(line("subject", draft.subject)),
        "Date": format_datetime(draft.at.astimezone(UTC)),
        "Message-ID": message_id,
        "Auto-Submitted": "auto-generated",  # RFC 3834: no automatic reply, please
    }
    message = EmailMessage(policy=_ASCII)
    for name, value in headers.items():
        if value:
            message.set_raw(name, value)
    for name, value in draft.headers:
        message.set_raw(open_header(name), text_header(line(f"headers/{name}", value)))
    _fill(message, draft)
    _name_boundaries(message, identity)
    utf8 = not all(one.address.isascii() for one in (sender, *to, *cc, *bcc, *replies))
    content = message.as_bytes(policy=_UTF8 if utf8 else _ASCII)
    if len(content) > MOST_BYTES:
        raise wrong("attachments", f"the mail has {len(content):,} bytes, at most {MOST_BYTES:,}")
    return Mail(message_id, sender.address, addressed, content, utf8)


def recipients(
    to: str | Sequence[str], cc: str | Sequence[str], bcc: str | Sequence[str]
) -> list[tuple[Mailbox, ...]]:
    """Who gets a mail: the mailboxes of `to`, `cc` and `bcc`.

    Raises:
        ChannelError: `invalid_parameters`, final: one is no address, or nobody is named.
    """
    found = [mailboxes(name, given) for name, given in (("to", to), ("cc", cc), ("bcc", bcc))]
    count = len({one.address for mailed in found for one in mailed})
    if not count:
        raise wrong("to", "nobody is named: it came out empty")
    if count > MOST_RECIPIENTS:
        raise wrong("to", f"{count} recipients are more than {MOST_RECIPIENTS}")
    return found


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
        if maintype.lower() in ("multipart", "message"):
            raise wrong(
                f"attachments/{attached.filename}",
                f"a file is no {maintype}/…: send it as application/octet-stream",
            )
        message.add_attachment(attached.content, maintype=maintype, subtype=subtype)
        *_, part = message.iter_attachments()
        if attached.charset:
            part.set_param("charset", attached.charset)
        del part["Content-Disposition"]
        part.set_raw("Content-Disposition", file_header(attached.filename))


def _plain(text: str) -> str:
    return text.replace("\x00", "").encode(errors="replace").decode()


def _inlined(html: str) -> str:
    _require_bounds(html)
    try:
        return _INLINER.inline(html)
    except css_inline.InlineError as error:
        raise wrong("html", f"its styles cannot be read ({error})") from None


def _require_bounds(html: str) -> None:
    """Refuse what would take the process down: elements in elements, each style in each of them.

    Counted without being read, since another reader of HTML would find other elements
    than the one that follows: rather one too many.
    """
    elements = len(_ELEMENT.findall(html))
    if elements > MOST_ELEMENTS:
        raise wrong("html", f"it has {elements:,} elements, at most {MOST_ELEMENTS:,}")
    styles = _styles(html.lower())
    declarations = styles.count("{") + styles.count(";")
    if elements * declarations > MOST_DECLARATIONS or elements * len(styles) > MOST_STYLES:
        raise wrong("html", f"its styles are too many for {elements:,} elements")


def _styles(html: str) -> str:
    """From the first style to the end of the last, with whatever stands between."""
    first, last, end = html.find("<style"), html.rfind("<style"), html.rfind("</style")
    if first < 0:
        return ""
    return html[first:end] if end > last else html[first:]


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
