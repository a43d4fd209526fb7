"""The channel `email` against a mail server, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest

from nexus.contracts import ChannelError
from tests.channels.calling import called, fails, request
from tests.channels.mailing import HELLO, Operator, mail
from tests.support.processes import free_port
from tests.support.smtp import (
    Behaviour,
    SmtpServer,
    drop,
    garbage,
    hang,
    lose_answer,
    ok,
    reply,
)

# --- sent ---


def test_a_mail_is_sent_and_told_of(server: SmtpServer, operator: Operator) -> None:
    answer = called(operator.channels(server.port), mail(cc="Bob <bob@example.com>"))
    [taken] = server.mails
    assert answer == {
        "message_id": taken.message_id,
        "accepted": ["ann@example.com", "bob@example.com"],
        "refused": {},
    }
    assert taken.sender == "sales@example.com"
    assert taken.recipients == ("ann@example.com", "bob@example.com")
    assert taken.message["Subject"] == "Hello Ann"
    assert taken.message.get_content().strip() == "Dear Ann"
    assert f"SIZE={len(taken.content)}" in taken.options


def test_html_is_escaped_where_templates_put_something_in(
    server: SmtpServer, operator: Operator
) -> None:
    scope = {"data": {"name": "<b>Ann</b> & Co", "email": "ann@example.com"}}
    given = {**HELLO, "html": "<p>{{ data.name }}</p>"}
    called(operator.channels(server.port), request("email", given, scope=scope))
    body = server.mails[0].message.get_body(("html",))
    assert body is not None
    assert "<p>&lt;b&gt;Ann&lt;/b&gt; &amp; Co</p>" in body.get_content()
    assert server.mails[0].message["Subject"] == "Hello <b>Ann</b> & Co"


def test_a_tenant_sends_as_itself(server: SmtpServer, operator: Operator) -> None:
    acme = {"from": "Acme <crm@acme.example>", "replyTo": "sales@acme.example"}
    called(operator.channels(server.port, acme=acme), mail())
    message = server.mails[0].message
    assert message["From"] == "Acme <crm@acme.example>"
    assert message["Reply-To"] == "sales@acme.example"
    assert server.mails[0].message_id.endswith("@acme.example>")


def test_lists_and_files_come_from_templates(server: SmtpServer, operator: Operator) -> None:
    scope = {"data": {"who": ["ann@example.com", "bob@example.com"], "name": "Ann"}}
    given = {
        **HELLO,
        "to": "{{ data.who }}",
        "attachments": [{"filename": "{{ data.name }}.csv", "content": "name\n{{ data.name }}"}],
    }
    called(operator.channels(server.port), request("email", given, scope=scope))
    [taken] = server.mails
    assert taken.recipients == ("ann@example.com", "bob@example.com")
    [file] = taken.message.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("Ann.csv", "name\nAnn")


def test_what_looks_like_protocol_stays_in_the_mail(server: SmtpServer, operator: Operator) -> None:
    text = ".\r\n.\r\nMAIL FROM:<eve@example.com>\r\n..\n.hidden\rbare"
    called(operator.channels(server.port), mail(text=text))
    [taken] = server.mails
    assert taken.message.get_content().split() == text.split()
    assert len(server.said("MAIL")) == 1


def test_what_takes_a_mail_back_is_another_mail(server: SmtpServer, operator: Operator) -> None:
    channels = operator.channels(server.port)
    first = called(channels, mail())
    undone = called(channels, request("email", {**HELLO, "text": "Sorry"}, operation="compensate"))
    assert first["message_id"] != undone["message_id"]
    assert len(server.mails) == 2


# --- who may send as whom ---


def test_a_definition_sends_as_the_operators_domain(server: SmtpServer, operator: Operator) -> None:
    channels = operator.channels(server.port)
    own = {"channel": "email", "from": "Ann <ann@example.com>"}
    called(channels, request("welcome", HELLO, settings=own))
    called(channels, mail(**{"from": "bob@EXAMPLE.com"}))
    assert [one.sender for one in server.mails] == ["ann@example.com", "bob@example.com"]


def test_and_as_no_other(server: SmtpServer, operator: Operator) -> None:
    channels = operator.channels(server.port)
    own = {"channel": "email", "from": "ceo@bank.example"}
    message = "may not be sent as bank.example, only as example.com"
    fails(channels, request("welcome", HELLO, settings=own), "invalid_parameters", message)
    fails(channels, mail(**{"from": "ceo@bank.example"}), "invalid_parameters", message)
    fails(channels, mail(**{"from": '"a@example.com" <ceo@bank.example>'}), "invalid_parameters")
    fails(channels, mail(**{"from": "a@sub.example.com"}), "invalid_parameters")
    assert server.connections == 0


def test_the_operator_allows_more(server: SmtpServer, operator: Operator) -> None:
    channels = operator.channels(server.port, fromDomains=["EXAMPLE.com", "münchen.example"])
    called(channels, mail(**{"from": "a@xn--mnchen-3ya.example"}))
    fails(channels, mail(**{"from": "a@bank.example"}), "invalid_parameters")
    called(operator.channels(server.port, fromDomains=["*"]), mail(**{"from": "a@bank.example"}))


@pytest.mark.parametrize("key", ["host", "port", "username", "password", "fromDomains", "caFile"])
def test_where_mails_go_is_not_for_definitions(
    server: SmtpServer, operator: Operator, key: str
) -> None:
    own = {"channel": "email", key: "x"}
    fails(operator.channels(server.port), request("x", HELLO, settings=own), "not_for_definitions")
    found = operator.channels(server.port).seen_by("acme").check_settings("email", own)
    assert [one.pointer for one in found] == [f"/{key}"]


def test_without_a_sender_nothing_is_sent(server: SmtpServer, operator: Operator) -> None:
    channels = operator.channels(server.port, **{"from": None})
    error = fails(channels, mail(), "not_configured", "No sender", "'acme'")
    assert not error.retryable


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"host": None}, "host: it is missing"),
        ({"from": "nobody"}, "the operator's 'from' holds no address"),
        ({"fromDomains": ["no domain"]}, "one of them is no domain"),
        ({"connections": 0}, "connections: "),
        ({"security": "ssl"}, "security: "),
        ({"helo": "a b"}, "helo: "),
        ({"password": {"env": "NO_SUCH"}}, "the environment variable NO_SUCH is not set"),
    ],
)
def test_faulty_settings_are_told(
    server: SmtpServer, operator: Operator, settings: Any, words: str
) -> None:
    error = fails(operator.channels(server.port, **settings), mail(), "not_configured", words)
    assert not error.retryable


# --- parameters ---


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"to": None}, "to"),
        ({"to": "{{ data.nobody }}"}, "with/to: nobody is named: it came out empty"),
        ({"to": "{{ data.name }}"}, "with/to: 'Ann' has no address"),
        ({"subject": "a{{ data.break }}b"}, "with/subject: line breaks"),
        ({"text": "{{ data.nobody }}"}, "with/text: there is neither text nor html"),
        ({"headers": {"Bcc": "eve@example.com"}}, "with/headers/Bcc: it cannot be set"),
        ({"replyTo": "x"}, "with/replyTo: 'x' has no address"),
        ({"attachments": [{"filename": "a"}]}, "with/attachments/a: it takes either"),
        ({"attachments": [{"filename": "a", "contentBase64": "!"}]}, "no Base64"),
        ({"attachments": [{"filename": "a", "content": "", "contentType": "a/b\r\nX: y"}]}, "with"),
        ({"attachments": [{"filename": "a\nb", "content": ""}]}, "with/attachments: line breaks"),
        ({"wrong": 1}, "wrong: there is no such key"),
    ],
)
def test_what_no_attempt_makes_right_is_final_and_located(
    server: SmtpServer, operator: Operator, given: Any, words: str
) -> None:
    scope = {"data": {"name": "Ann", "email": "ann@example.com", "break": "\r\nBcc: e@example.com"}}
    made = request("email", {**HELLO, **given}, scope=scope)
    error = fails(operator.channels(server.port), made, "invalid_parameters", words)
    assert not error.retryable
    assert server.mails == []


def test_the_checker_tells_what_is_missing(server: SmtpServer, operator: Operator) -> None:
    seen = operator.channels(server.port).seen_by("acme")
    assert not seen.check_given("email", HELLO)
    [nobody] = seen.check_given("email", {"text": "x"})
    assert "needs 'to'" in nobody.message
    [nothing] = seen.check_given("email", {"to": "a@example.com"})
    assert "needs 'text' or 'html'" in nothing.message


# --- what servers say ---


@pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "DATA", "BODY"])
@pytest.mark.parametrize(("code", "again"), [(451, True), (554, False)])
def test_servers_refuse_for_now_or_for_good(
    server: SmtpServer, operator: Operator, step: str, code: int, again: bool
) -> None:
    server.on(step, reply(code, "because \x1b[31mI say so"), ok())
    channels = operator.channels(server.port)
    words = ("127.0.0.1", str(code), "I say so.")
    error = fails(channels, mail(), "refused_by_server", *words)
    assert error.retryable is again
    assert "\x1b" not in error.message
    assert server.mails == []
    called(channels, mail(), attempt=2)
    assert len(server.mails) == 1


@pytest.mark.parametrize(("code", "again"), [(450, True), (550, False)])
def test_no_recipient_is_taken(
    server: SmtpServer, operator: Operator, code: int, again: bool
) -> None:
    server.on("RCPT", reply(550, "no"), reply(code, "who is that?"))
    made = mail(to="ann@example.com, bob@example.com")
    error = fails(
        operator.channels(server.port), made, "recipients_refused", "ann@example.com: 550"
    )
    assert error.retryable is again
    assert server.mails == []


def test_some_recipients_are_taken_and_nobody_gets_it_twice(
    server: SmtpServer, operator: Operator
) -> None:
    server.on("RCPT", ok(), reply(550, "who is that?"), ok())
    made = mail(to="a@example.com, b@example.com, c@example.com")
    answer = called(operator.channels(server.port), made)
    assert answer["accepted"] == ["a@example.com", "c@example.com"]
    assert answer["refused"] == {"b@example.com": "550 who is that?."}
    assert server.mails[0].recipients == ("a@example.com", "c@example.com")


@pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
@pytest.mark.parametrize(
    ("behaviour", "codes"),
    [
        (drop(), ("unreachable",)),
        (hang(), ("timed_out",)),
        (garbage(), ("refused_by_server", "unreachable", "recipients_refused")),
        (reply(421, "closing"), ("refused_by_server", "recipients_refused", "unreachable")),
    ],
)
def test_servers_that_break_off_are_tried_again(
    server: SmtpServer, operator: Operator, step: str, behaviour: Behaviour, codes: tuple[str, ...]
) -> None:
    server.on(step, behaviour, ok())
    channels = operator.channels(server.port)
    with pytest.raises(ChannelError) as caught:
        called(channels, mail(), seconds=0.3)
    assert caught.value.code in codes, caught.value
    assert caught.value.retryable
    assert server.mails == []
    called(channels, mail(), attempt=2)
    assert len(server.mails) == 1


def test_nobody_listens(operator: Operator) -> None:
    error = fails(operator.channels(free_port()), mail(), "unreachable", "127.0.0.1:", "refused.")
    assert error.retryable


def test_no_such_host(operator: Operator) -> None:
    for host in ("no-such-host.invalid", "a..b"):
        error = fails(operator.channels(25, host=host), mail(), "unreachable", host)
        assert error.retryable


def test_an_answer_that_is_lost_is_followed_by_the_same_mail(
    server: SmtpServer, operator: Operator
) -> None:
    """Nobody can know whether the server has it; a Message-ID tells mailboxes that it is one."""
    server.on("BODY", lose_answer(), ok())
    channels = operator.channels(server.port)
    error = fails(channels, mail(), "unreachable", "whether it has the mail is not known")
    assert error.retryable
    called(channels, mail(), attempt=2)
    first, second = server.mails
    assert first.content == second.content
    assert server.taken[first.message_id] == 2


def test_before_the_mail_is_handed_over_nothing_is_unknown(
    server: SmtpServer, operator: Operator
) -> None:
    server.on("RCPT", drop())
    error = fails(operator.channels(server.port), mail(), "unreachable")
    assert "not known" not in error.message


# --- addresses beyond ASCII ---


def test_servers_that_take_utf8_get_it(server: SmtpServer, operator: Operator) -> None:
    called(operator.channels(server.port), mail(to="Zoë <zoë@exämple.org>"))
    [taken] = server.mails
    assert taken.recipients == ("zoë@xn--exmple-cua.org",)
    assert "SMTPUTF8" in taken.options


def test_servers_that_do_not_are_not_given_it(operator: Operator) -> None:
    with SmtpServer(extensions=()) as server:
        channels = operator.channels(server.port)
        error = fails(channels, mail(to="zoë@example.org"), "refused_by_server", "SMTPUTF8")
        assert not error.retryable
        called(channels, mail(to="Zoë <zoe@exämple.org>", text="schön"))
        assert server.mails[0].content.isascii()
        assert server.mails[0].options == ()


def test_an_old_server_gets_it_too(operator: Operator) -> None:
    with SmtpServer() as server:
        server.on("EHLO", reply(502, "no such command"))
        called(operator.channels(server.port), mail())
        assert len(server.mails) == 1
        assert server.said("HELO")
