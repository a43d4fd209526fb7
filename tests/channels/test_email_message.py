"""A mail as bytes: what stands in it, and that nothing else can be made to stand in it."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexus.channels.email_message import MOST_RECIPIENTS, Attached, Draft, Mail, compose, decoded
from nexus.contracts import ChannelError
from tests.channels.calling import NOON
from tests.support.receiver import Receiver

PLAIN = (
    *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
    *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
)
SMUGGLED = "=?utf-8?q?a=0D=0ABcc:_eve@example.com=0D=0A?="
"""Python's own header objects decode this, and write the line breaks in it."""


def draft(**changes: Any) -> Draft:
    values: dict[str, Any] = {
        "key": "i-1/lead-1/1/run/0",
        "at": NOON,
        "sender": "Sales <sales@example.com>",
        "to": ["ann@example.org"],
        "subject": "Hello",
        "text": "Hello Ann",
    }
    return Draft(**{**values, **changes})


def parsed(mail: Mail) -> EmailMessage:
    message = BytesParser(policy=policy.default).parsebytes(mail.content)
    assert isinstance(message, EmailMessage)
    return message


def refused(*words: str, **changes: Any) -> None:
    with pytest.raises(ChannelError) as caught:
        compose(draft(**changes))
    assert caught.value.code == "invalid_parameters"
    assert not caught.value.retryable
    for word in words:
        assert word in caught.value.message


def unless_refused(given_: Draft, *places: str) -> Mail | None:
    """The mail; None where it is refused, as it has to be, naming one of these places."""
    try:
        return compose(given_)
    except ChannelError as error:
        if error.code != "invalid_parameters" or not error.message.startswith(places):
            raise
        return None


def heads(mail: Mail) -> list[str]:
    """The names of its headers, read as simply as a mail server reads them."""
    head = mail.content.partition(b"\r\n\r\n")[0]
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert b"\r" not in head.replace(b"\r\n", b"")
    lines = [line for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    return [line.partition(b":")[0].decode("ascii") for line in lines]


def test_a_mail_says_who_what_when_and_that_a_machine_wrote_it() -> None:
    mail = compose(draft(cc="Bob <bob@example.org>", bcc="eve@example.org"))
    message = parsed(mail)
    assert message["From"] == "Sales <sales@example.com>"
    assert message["To"] == "ann@example.org"
    assert message["Cc"] == "Bob <bob@example.org>"
    assert message["Date"].datetime == NOON
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().strip() == "Hello Ann"
    assert mail.recipients == ("ann@example.org", "bob@example.org", "eve@example.org")
    assert b"eve" not in mail.content


def test_every_attempt_has_the_same_bytes_and_every_call_its_own_message_id() -> None:
    files = [Attached("a.bin", b"\0\1", "application/octet-stream")]
    one, again = (compose(draft(html="<p>Hi", attachments=files)) for _ in range(2))
    assert one == again
    other = compose(draft(key="i-1/lead-1/2/run/0"))
    assert other.message_id != one.message_id
    assert one.message_id.endswith("@example.com>")
    assert "lead" not in one.message_id


def test_the_date_is_that_of_the_decision() -> None:
    late = draft(at=NOON + timedelta(days=1))
    assert parsed(compose(late))["Date"].datetime == NOON + timedelta(days=1)


# --- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "found"),
    [
        ("ann@example.org", ["ann@example.org"]),
        ("ann@example.org, Bob <bob@example.org>", ["ann@example.org", "bob@example.org"]),
        ("ann@example.org; bob@example.org;", ["ann@example.org", "bob@example.org"]),
        (
            '"Doe, Jane" <jane@example.org>, ann@example.org',
            ["jane@example.org", "ann@example.org"],
        ),
        (["Doe, Jane <jane@example.org>"], ["jane@example.org"]),
        (["ann@example.org", "", "Ann <ann@example.org>"], ["ann@example.org"]),
        ("Ann <ann@MÜNCHEN.example>", ["ann@xn--mnchen-3ya.example"]),
        ('"a <b@c.example>" <ann@example.org>', ["ann@example.org"]),
    ],
)
def test_addresses_in_one_text_or_a_list(given_: Any, found: list[str]) -> None:
    assert compose(draft(to=given_)).recipients == tuple(found)


def test_names_are_shown_as_they_were_given() -> None:
    message = parsed(
        compose(draft(to=["Zoë Çelik <zoe@example.org>", 'Bo "B", Jr. <bo@e.example>']))
    )
    assert [one.display_name for one in message["To"].addresses] == ["Zoë Çelik", 'Bo "B", Jr.']


def test_a_name_in_a_list_brings_in_nobody_else() -> None:
    """`["{{ data.name }} <{{ data.email }}>"]`, where somebody chose the name."""
    name = "eve@example.com, Ann"
    mail = compose(draft(to=[f"{name} <ann@example.org>"]))
    assert mail.recipients == ("ann@example.org",)
    [shown] = parsed(mail)["To"].addresses
    assert (shown.display_name, shown.addr_spec) == (name, "ann@example.org")


@pytest.mark.parametrize(
    "bad",
    [
        "ann",
        "ann@",
        "@example.org",
        "ann@example.org bob@example.org",
        "ann@exa mple.org",
        "Ann <>",
        "ann@example.org\r\nBcc: eve@example.com",
        "ann@example.org\0",
        "Ann\u2028 <ann@example.org>",
        "ann@[127.0.0.1]",
        '"a b"@example.org',
        "x" * 201 + " <ann@example.org>",
    ],
)
@pytest.mark.parametrize("field", ["to", "cc", "bcc", "sender", "reply_to"])
def test_what_is_no_address_is_refused_and_named(field: str, bad: str) -> None:
    names = {"sender": "from", "reply_to": "replyTo"}
    refused(f"with/{names.get(field, field)}: ", **{field: bad})


def test_somebody_has_to_get_it_and_not_too_many() -> None:
    refused("nobody", to="")
    refused("nobody", to=["", " "])
    many = [f"a{number}@example.org" for number in range(MOST_RECIPIENTS + 1)]
    refused("101 recipients", to=many)
    refused("with/from", sender="a@example.org, b@example.org")
    refused("with/to: 'Doe' has no address", to="Doe, Jane <jane@example.org>")


def test_thousands_of_addresses_are_not_even_read() -> None:
    refused("2,000 addresses", to=["no address"] * 2_000)
    refused("2,000 addresses", to=",".join(["x@y.zz"] * 2_000))


def test_addresses_beyond_ascii_are_kept_and_said_to_be() -> None:
    mail = compose(draft(to=["Zoë <zoë@example.org>"]))
    assert mail.utf8
    assert mail.recipients == ("zoë@example.org",)
    assert "zoë@example.org".encode() in mail.content
    assert not compose(draft(to=["Zoë <zoe@exämple.org>"])).utf8


# --- nothing can be smuggled in -------------------------------------------------------------------

any_text = st.text(max_size=300)
nasty = st.one_of(
    any_text,
    st.lists(
        st.sampled_from(
            [
                *'\r\n\0\t\v\f\x1c\x85\u2028 "\\<>,;:@()[]=?éa\udc0a\U0001f600',
                *(
                    "Bcc: eve@example.com",
                    SMUGGLED,
                    "=?utf-8?b?DQpCY2M6IGV2ZQ==?=",
                    "ann@example.org",
                ),
            ]
        ),
        max_size=12,
    ).map("".join),
)


@given(nasty)
@example(SMUGGLED)
@example("a\r\nBcc: eve@example.com")
@example("ü" * 400 + " end")
@example("a" * 900)
def test_a_subject_arrives_as_it_is_or_not_at_all(subject: str) -> None:
    mail = unless_refused(draft(subject=subject), "with/subject: ")
    if mail is None:
        return
    assert heads(mail) == [name for name in PLAIN if name != "Subject" or subject.strip()]
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))
    assert _read(mail, "subject") == subject.strip()


@given(nasty, nasty)
@example(f'"{SMUGGLED}"', "to")
@example('"a\\', "")
def test_names_beside_addresses_begin_no_header_and_name_nobody(name: str, other: str) -> None:
    mail = unless_refused(
        draft(to=[f"{name} <ann@example.org>"], cc=[f"{other}<bob@example.org>"]),
        "with/to: ",
        "with/cc: ",
    )
    if mail is None:
        return
    assert sorted(heads(mail)) == sorted((*PLAIN, "Cc"))
    assert mail.recipients == ("ann@example.org", "bob@example.org")
    message = parsed(mail)
    assert [one.addr_spec for one in message["To"].addresses] == ["ann@example.org"]
    assert [one.addr_spec for one in message["Cc"].addresses] == ["bob@example.org"]


@given(nasty, nasty)
def test_headers_of_a_step_begin_no_others(name: str, value: str) -> None:
    mail = unless_refused(draft(headers=[(f"X-{name}", value)]), "with/headers/")
    if mail is None:
        return
    assert sorted(heads(mail)) == sorted((*PLAIN, f"X-{name}"))


@pytest.mark.parametrize(
    "name", ["Bcc", "From", "to", "Message-ID", "Content-Type", "X-A:\r\nBcc", "X Y", "", "Sender"]
)
def test_headers_that_say_who_and_what_are_not_for_steps(name: str) -> None:
    refused("cannot be set", "list-unsubscribe", headers=[(name, "x")])


def test_some_headers_are_for_steps() -> None:
    link = "<https://example.com/" + "u" * 300 + ">, <mailto:off@example.com>"
    message = parsed(compose(draft(headers=[("List-Unsubscribe", link), ("X-Campaign", "Grün")])))
    assert message["List-Unsubscribe"] == link
    assert message["X-Campaign"] == "Grün"


@given(nasty.filter(lambda name: bool(name.strip())))
@example(SMUGGLED)
@example("😀" * 100)
@example("<>")
def test_names_of_files_arrive_as_they_are(name: str) -> None:
    """What is in a file's name stands in no other header."""
    shown = name.encode(errors="ignore").decode()
    shown = "".join(char for char in shown if char.isprintable())[:100].strip() or "a"
    mail = compose(draft(attachments=[Attached(shown, b"abc", "text/csv", "utf-8")]))
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))
    [part] = parsed(mail).iter_attachments()
    assert [one for one in part.keys() if one not in PLAIN] == ["Content-Disposition"]  # noqa: SIM118
    assert part.get_content().strip() == "abc"
    # The library that reads takes quotes and angle brackets around a name for marks of its own.
    if not set(shown) & set('\\"<>'):
        assert part.get_filename() == shown


def _read(mail: Mail, name: str) -> str:
    """A header of one or more lines, its encoded words decoded by the older, simpler reader."""
    head = mail.content.partition(b"\r\n\r\n")[0].decode("ascii").replace("\r\n ", " ")
    for line in head.split("\r\n"):
        if line.lower().startswith(f"{name}: "):
            value = line.partition(": ")[2]
            return str(make_header(decode_header(value))) if "=?" in value else value
    return ""


# --- what stands in it ---------------------------------------------------------------------------


@given(any_text.filter(lambda text: bool(text.strip("\0").strip())))
@example("ä" * 3000)
@example(".\r\n.\r\nMAIL FROM:<eve@example.com>")
@example("a\rb\nc\r\nd")
def test_bodies_are_ascii_and_arrive_as_they_are(text: str) -> None:
    mail = compose(draft(text=text))
    assert mail.content.isascii()
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    wanted = text.replace("\0", "").encode(errors="replace").decode()
    assert _lines(parsed(mail).get_content()) == _lines(wanted)


def _lines(text: str) -> list[str]:
    return re.split("\r\n|\r|\n", text.removesuffix("\n").removesuffix("\r"))


def test_html_alone_has_its_text_beside_it() -> None:
    html = (
        "<html><head><title>No</title><style>p {color: red}</style></head><body><h1>Hello</h1>"
        "<p>Dear&nbsp;Ann,</p><ul><li>one<li>two</ul>"
        '<p>See <a href="https://example.com/x">this</a>.</p><script>no()</script></body>'
    )
    message = parsed(compose(draft(text="", html=html)))
    assert message.get_content_type() == "multipart/alternative"
    plain = message.get_body(("plain",))
    assert plain is not None
    text = plain.get_content()
    assert text.split() == (
        "Hello Dear Ann, - one - two See this (https://example.com/x) .".replace(
            ") .", ")."
        ).split()
    )


def test_styles_are_put_into_the_elements() -> None:
    html = "<style>.big { font-size: 20px }</style><p class='big'>Hi</p>"
    body = parsed(compose(draft(html=html))).get_body(("html",))
    assert body is not None
    assert 'style="font-size: 20px' in body.get_content()


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    """Neither from the network nor from this machine's files."""
    secret = tmp_path / "local.css"
    secret.write_text("p { content: 'from a file' }")
    with Receiver() as receiver:
        link = receiver.url("/style.css")
        html = (
            f'<link rel="stylesheet" href="{link}"><link rel="stylesheet" href="{secret}">'
            f'<link rel="stylesheet" href="file://{secret}"><style>@import url("{link}");'
            f'@import "{secret}";</style><p>Hi</p><img src="{link}">'
        )
        mail = compose(draft(html=html))
        assert receiver.requests == []
    body = parsed(mail).get_body(("html",))
    assert body is not None
    assert "from a file" not in body.get_content()


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("<b>" * 100_000, "100,000 elements"),
        ("<svg><style><g>" * 3_000, "9,000 elements"),
        ("<!-- </b> --><table><td>" * 20_000, "40,000 elements"),
        (
            "<style>" + "*{color:red}" * 1_000 + "</style>" + "<i></i>" * 2_000,
            "styles are too many",
        ),
        (
            "<STYLE>*{background:url(" + "x" * 50_000 + ")}" + "<i></i>" * 2_000,
            "styles are too many",
        ),
    ],
)
def test_html_that_would_take_the_process_down_is_refused(html: str, said: str) -> None:
    """What reads styles has a stack of its own, and ends the whole process once that is full."""
    refused("html", said, html=html)


def test_html_of_a_large_newsletter_is_no_such() -> None:
    styles = "".join(f".c{number}{{color:red;margin:0}}" for number in range(150))
    rows = "<tr><td class='c7'><a href='https://example.com'><b>x</b></a></td></tr>" * 500
    mail = compose(draft(html=f"<style>{styles}</style><table>{rows}</table>"))
    assert len(mail.content) > 50_000


def test_there_has_to_be_something_in_it() -> None:
    refused("both came out empty", text=" ", html="")


# --- files ---------------------------------------------------------------------------------------


def test_files_go_with_a_mail() -> None:
    files = [
        Attached("offer ü 1.pdf", b"%PDF\0\xff", "application/pdf"),
        Attached("list.csv", "näme\n".encode(), "text/csv", "utf-8"),
    ]
    message = parsed(compose(draft(html="<b>Hi</b>", attachments=files)))
    assert message.get_content_type() == "multipart/mixed"
    pdf, csv = message.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content()) == ("offer ü 1.pdf", b"%PDF\0\xff")
    assert (csv.get_filename(), csv.get_content()) == ("list.csv", "näme\n")
    body = message.get_body(("html",))
    assert body is not None
    assert "Hi" in body.get_content()


@pytest.mark.parametrize("kind", ["multipart/mixed", "message/rfc822", "Message/RFC822"])
def test_a_file_is_no_mail_of_its_own(kind: str) -> None:
    refused("with/attachments/a", attachments=[Attached("a", b"Bcc: x", kind)])


def test_a_mail_has_bounds() -> None:
    refused("bytes, at most", attachments=[Attached("a", bytes(16 * 1024 * 1024), "a/b")])


def test_base64_is_read_with_line_breaks_and_refused_otherwise() -> None:
    text = base64.encodebytes(bytes(range(256))).decode()
    assert decoded("a", text) == bytes(range(256))
    for bad in ("abc", "äbcd", "ab!d"):
        with pytest.raises(ChannelError, match="with/attachments/a: its content is no Base64"):
            decoded("a", bad)
