"""What stands in the headers of a mail: checked, then written so that nothing else can stand there.

The library's own header objects are not used for texts from outside: they decode
encoded words (`=?utf-8?q?a=0D=0ABcc:…?=`) before they write, line breaks included.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from email_validator import EmailNotValidError, validate_email

from nexus.contracts import ChannelError

MOST_LINE = 900  # characters; a line of a mail has at most 998 bytes
MOST_NAME = 200  # characters of the name beside an address
MOST_MAILBOXES = 1_000  # that are read; how many may get a mail is asked later
MOST_ADDRESSES = 32_768  # characters of a text with several addresses
BREAK = "\r\n "

# Headers that a step may set; all others say who sends what to whom, and are ours.
OPEN_HEADERS = (
    *("list-id", "list-unsubscribe", "list-unsubscribe-post", "precedence"),
    *("importance", "priority", "organization"),
)

_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,70}")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_ESCAPED = re.compile(r"\\(.)")
_WORD = 45  # bytes of UTF-8 in one encoded word, which has at most 75 characters
_PARAMETER = 60  # characters of a file's name in one line


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Somebody who sends or gets mails.

    Attributes:
        name: What stands beside the address; "" for nothing.
        local: What stands before the `@`.
        domain: What stands behind it, in ASCII and lower case.
    """

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        """The address alone."""
        return f"{self.local}@{self.domain}"

    def written(self) -> str:
        """As a header has it."""
        if not self.name:
            return self.address
        if not _plain(self.name):
            return f"{_words(self.name)} <{self.address}>"
        if _ATOMS.fullmatch(self.name):
            return f"{self.name} <{self.address}>"
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{self.address}>'


def wrong(name: str, why: str) -> ChannelError:
    """Something in the parameters that no other attempt makes right."""
    return ChannelError("invalid_parameters", f"with/{name}: {why}.", retryable=False)


def line(name: str, value: str, most: int = MOST_LINE) -> str:
    """A value that stands in a header: one line, and nothing that could begin another.

    Raises:
        ChannelError: It is too long, or has line breaks or other control characters inside.
    """
    text = value.strip()
    if len(text) > most:
        raise wrong(name, f"it has {len(text):,} characters, at most {most:,}")
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text):
        raise wrong(name, "line breaks and control characters cannot stand there")
    return text


def mailboxes(name: str, given: str | Sequence[str]) -> tuple[Mailbox, ...]:
    """All that are named: by one text, with commas between them, or one by each text of a list.

    Raises:
        ChannelError: One of them has no address.
    """
    if isinstance(given, str):
        texts = list(_split(line(name, given, MOST_ADDRESSES)))
    else:
        texts = list(given)
    if len(texts) > MOST_MAILBOXES:
        raise wrong(name, f"{len(texts):,} addresses are more than {MOST_MAILBOXES:,}")
    if not isinstance(given, str):
        texts = [line(name, one) for one in texts]
    return tuple(_mailbox(name, text) for text in texts if text)


def one_mailbox(name: str, given: str) -> Mailbox:
    """The one that a text names.

    Raises:
        ChannelError: It has no address, or none that is one.
    """
    return _mailbox(name, line(name, given))


def open_header(name: str) -> str:
    """The name of a header that a step may set.

    Raises:
        ChannelError: It may not set this one.
    """
    known = name.lower() in OPEN_HEADERS or name.lower().startswith("x-")
    if not (known and _HEADER.fullmatch(name)):
        allowed = ", ".join((*OPEN_HEADERS, "x-…"))
        raise wrong(f"headers/{name[:80]}", f"it cannot be set; these can: {allowed}")
    return name


def text_header(text: str) -> str:
    """A checked line as a header has it."""
    return text if _plain(text) else _words(text)


def address_header(found: Sequence[Mailbox]) -> str:
    """Checked addresses as a header has them."""
    return f",{BREAK}".join(one.written() for one in found)


def file_header(filename: str) -> str:
    """The disposition of an attached file with a checked name."""
    if filename.isascii() and not set(filename) & set("\"\\=?'%*"):
        return f'attachment;{BREAK}filename="{filename}"'
    parts = [""]
    for char in filename:  # RFC 2231
        octets = quote(char, safe="")
        if len(parts[-1]) + len(octets) > _PARAMETER:
            parts.append("")
        parts[-1] += octets
    if len(parts) == 1:
        return f"attachment;{BREAK}filename*=utf-8''{parts[0]}"
    parts[0] = f"utf-8''{parts[0]}"
    told = [f"{BREAK}filename*{number}*={part}" for number, part in enumerate(parts)]
    return f"attachment;{';'.join(told)}"


def _split(text: str) -> Iterator[str]:
    """The texts between commas, where these stand in no quotes and no angle brackets."""
    begin, quoted, escaped, depth = 0, False, False, 0
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = char == "\\", char != '"'
        elif char == '"':
            quoted = True
        elif char in "<>":
            depth += 1 if char == "<" else -1
        elif char in ",;" and depth <= 0:
            yield text[begin:index].strip()
            begin = index + 1
    yield text[begin:].strip()


def _mailbox(name: str, text: str) -> Mailbox:
    display, address = "", text
    if text.endswith(">"):
        display, _, address = text[:-1].rpartition("<")
    display = display.strip()
    if len(display) > 1 and display[0] == display[-1] == '"':
        display = _ESCAPED.sub(r"\1", display[1:-1])
    display = line(name, display, MOST_NAME)
    try:
        checked = validate_email(
            address.strip(),
            check_deliverability=False,
            allow_smtputf8=True,
            globally_deliverable=False,
        )
    except EmailNotValidError as error:
        said = str(error).rstrip(".")
        raise wrong(name, f"{text[:100]!r} has no address that mails can go to: {said}") from None
    # Domains have a spelling in ASCII that every server takes.
    return Mailbox(display, checked.local_part, checked.ascii_domain.lower())


def _plain(text: str) -> bool:
    """Whether a text stands in a header as it is."""
    return text.isascii() and "=?" not in text


def _words(text: str) -> str:
    """A text as encoded words (RFC 2047)."""
    parts = [b""]
    for char in text:
        octets = char.encode()
        if len(parts[-1]) + len(octets) > _WORD:
            parts.append(b"")
        parts[-1] += octets
    return BREAK.join(f"=?utf-8?b?{base64.b64encode(part).decode()}?=" for part in parts)
