"""The channel `email` against a mail server, over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nexus.channels import Channels
from nexus.channels.email import EmailChannel, EmailSettings
from nexus.channels.operator_settings import OperatorSettings
from nexus.contracts import ChannelError
from nexus.core.calls import CallRequest
from tests.channels.calling import called, fails, request
from tests.support.processes import free_port
from tests.support.smtp import (
    Behaviour,
    SmtpServer,
    certificate,
    drop,
    garbage,
    hang,
    lose_answer,
    ok,
    reply,
    tls_context,
    twice,
)

HELLO: Mapping[str, object] = {
    "to": "{{ data.email }}",
    "subject": "Hello {{ data.name }}",
    "text": "Dear {{ data.name }}",
}
PASSWORD = "correct horse battery"


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)


class Operator:
    """Writes the operator's file."""

    def __init__(self, path: Path) -> None:
        self.path = path / "channels.json"

    def channels(self, port: int, *, acme: object = None, **settings: object) -> Channels:
        """The channels of an operator whose server listens at this port."""
        everybody = {
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "helo": "nexus.test",
            "from": "Sales <sales@example.com>",
            **settings,
        }
        given = {key: value for key, value in everybody.items() if value is not None}
        self.path.write_text(json.dumps({"*": {"email": given}, "acme": {"email": acme or {}}}))
        operator = OperatorSettings(self.path)
        operator.load()
        return Channels({"email": EmailChannel()}, operator)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def mail(**given: object) -> CallRequest:
    return request("email", {**HELLO, **given})


def numbered(number: int) -> CallRequest:
    return request("email", HELLO, key=f"i-1/lead-1/{number}/run/0")


def together(
    channels: Channels, requests: Sequence[CallRequest], *, seconds: float = 10
) -> list[Any]:
    """What comes of several calls at once, in one event loop."""

    async def call() -> list[Any]:
        timeout = timedelta(seconds=seconds)
        made = [channels.call(one, attempt=1, timeout=timeout) for one in requests]
        found = await asyncio.gather(*made, return_exceptions=True)
        await channels.close()
        return found

    return asyncio.run(call())


def one_by_one(channels: Channels, requests: Sequence[CallRequest]) -> list[Any]:
    """The same, each after the one before."""

    async def call() -> list[Any]:
        found: list[Any] = []
        for one in requests:
            try:
                found.append(await channels.call(one, attempt=1, timeout=timedelta(seconds=10)))
            except ChannelError as error:
                found.append(error)
        await channels.close()
        return found

    return asyncio.run(call())


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


# --- connections ---


def test_connections_are_used_again(server: SmtpServer, operator: Operator) -> None:
    found = one_by_one(operator.channels(server.port), [numbered(n) for n in range(10)])
    assert len({one["message_id"] for one in found}) == 10
    assert len(server.mails) == 10
    assert server.connections == 1
    server.wait_until(lambda it: len(it.said("QUIT")) == 1 and not it.open_connections)


def test_there_are_never_too_many(server: SmtpServer, operator: Operator) -> None:
    server.on("BODY", ok(after=0.02))
    together(operator.channels(server.port, connections=3), [numbered(n) for n in range(30)])
    assert len(server.mails) == 30
    assert server.connections == 3


def test_a_connection_that_the_server_has_closed_is_replaced(
    server: SmtpServer, operator: Operator
) -> None:
    channels = operator.channels(server.port)

    async def calls() -> None:
        for number in range(3):
            await channels.call(numbered(number), attempt=1, timeout=timedelta(seconds=5))
            server.hang_up()
        await channels.close()

    asyncio.run(calls())
    assert len(server.mails) == 3
    assert server.connections == 3


@pytest.mark.parametrize("behaviour", [drop(), hang(), reply(421, "bye"), reply(500, "what?")])
def test_a_connection_that_does_not_answer_any_more_is_replaced(
    server: SmtpServer, operator: Operator, behaviour: Behaviour
) -> None:
    server.on("RSET", behaviour)
    channels = operator.channels(server.port)

    async def calls() -> None:
        for number in range(2):
            await channels.call(numbered(number), attempt=1, timeout=timedelta(seconds=0.5))
        await channels.close()

    asyncio.run(calls())
    assert len(server.mails) == 2
    assert server.connections == 2


def test_after_a_failure_the_connection_is_not_used_again(
    server: SmtpServer, operator: Operator
) -> None:
    server.on("BODY", reply(451, "later"), ok())
    failed, sent = one_by_one(operator.channels(server.port), [numbered(1), numbered(1)])
    assert isinstance(failed, ChannelError)
    assert sent["accepted"] == ["ann@example.com"]
    assert server.connections == 2


@pytest.mark.parametrize("step", ["EHLO", "MAIL", "RCPT", "BODY", "RSET"])
def test_answers_that_come_twice_are_never_taken_for_others(
    server: SmtpServer, operator: Operator, step: str
) -> None:
    """What is told of a mail is what the server said of this one."""
    server.on(step, twice(), ok())
    server.on("BODY", *([twice()] if step == "BODY" else []), ok(), reply(554, "spam"), ok())
    found = one_by_one(operator.channels(server.port), [numbered(n) for n in range(4)])
    sent = [one["message_id"] for one in found if not isinstance(one, ChannelError)]
    assert sorted(sent) == sorted(server.taken)
    assert any(isinstance(one, ChannelError) for one in found)


def test_a_call_that_is_given_up_leaves_no_connection_in_the_middle(
    server: SmtpServer, operator: Operator
) -> None:
    server.on("DATA", hang(), ok())
    channels = operator.channels(server.port, connections=1)

    async def calls() -> object:
        given_up = asyncio.create_task(
            channels.call(numbered(1), attempt=1, timeout=timedelta(seconds=60))
        )
        await asyncio.to_thread(server.wait_until, lambda it: bool(it.said("DATA")))
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        answer = await channels.call(numbered(2), attempt=1, timeout=timedelta(seconds=5))
        await channels.close()
        return answer

    asyncio.run(calls())
    assert len(server.mails) == 1
    assert server.connections == 2


def test_idle_connections_are_closed_after_a_while(
    server: SmtpServer, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.channels.email_connections.IDLE_FOR", 0.05)
    channels = operator.channels(server.port)

    async def calls() -> None:
        await channels.call(numbered(1), attempt=1, timeout=timedelta(seconds=5))
        await asyncio.to_thread(server.wait_until, lambda it: not it.open_connections)
        await channels.call(numbered(2), attempt=1, timeout=timedelta(seconds=5))
        await channels.close()

    asyncio.run(calls())
    assert server.connections == 2
    assert server.said("QUIT")


def test_a_connection_serves_so_many_mails(
    server: SmtpServer, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.channels.email_connections.MOST_USES", 3)
    one_by_one(operator.channels(server.port), [numbered(n) for n in range(7)])
    assert server.connections == 3


def test_one_event_loop_after_another(server: SmtpServer, operator: Operator) -> None:
    channels = operator.channels(server.port)
    for number in range(3):
        called(channels, numbered(number))
    assert len(server.mails) == 3


# --- encryption and logins ---


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("keys"), "127.0.0.1")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mails_go_encrypted_with_a_login(
    operator: Operator, keys: tuple[Path, Path], security: str
) -> None:
    tls = tls_context(*keys)
    users = {"nexus": PASSWORD}
    with SmtpServer(tls=tls, implicit=security == "tls", users=users) as server:
        channels = operator.channels(
            server.port,
            security=security,
            caFile=str(keys[0]),
            username="nexus",
            password={"env": "SMTP_PASSWORD"},
        )
        one_by_one(channels, [numbered(1), numbered(2)])
        assert [(one.encrypted, one.user) for one in server.mails] == [(True, "nexus")] * 2
        assert server.connections == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    operator: Operator, keys: tuple[Path, Path], security: str
) -> None:
    with SmtpServer(tls=tls_context(*keys), implicit=security == "tls") as server:
        channels = operator.channels(server.port, security=security)
        error = fails(channels, mail(), "no_encryption", "self-signed")
        assert not error.retryable
        named = operator.channels(
            server.port, security=security, caFile=str(keys[0]), host="localhost"
        )
        fails(named, mail(), "no_encryption", "localhost")
        assert server.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_where_encryption_is_set_nothing_is_sent_without(
    server: SmtpServer, operator: Operator, keys: tuple[Path, Path], security: str
) -> None:
    secret = {"username": "nexus", "password": {"env": "SMTP_PASSWORD"}}
    channels = operator.channels(server.port, security=security, caFile=str(keys[0]), **secret)
    error = fails(channels, mail(), "no_encryption")
    assert not error.retryable
    assert not server.said("AUTH")
    assert not server.said("MAIL")


def test_a_server_that_cannot_encrypt_now_may_later(
    operator: Operator, keys: tuple[Path, Path]
) -> None:
    with SmtpServer(tls=tls_context(*keys)) as server:
        server.on("STARTTLS", reply(454, "not now"))
        channels = operator.channels(server.port, security="starttls", caFile=str(keys[0]))
        error = fails(channels, mail(), "refused_by_server", "454 not now")
        assert error.retryable
        assert not server.said("MAIL")


@pytest.mark.parametrize(
    ("port", "security", "found"),
    [(587, None, "starttls"), (25, None, "starttls"), (465, None, "tls"), (25, "none", "none")],
)
def test_security_follows_the_port_where_it_is_not_set(
    port: int, security: str | None, found: str
) -> None:
    given = {"host": "mail.test", "port": port, "security": security}
    assert EmailSettings.model_validate(given).server().security == found


def test_a_ca_file_that_is_none_is_told(operator: Operator, server: SmtpServer) -> None:
    channels = operator.channels(server.port, security="starttls", caFile="/no/such.pem")
    fails(channels, mail(), "not_configured", "/no/such.pem")


def test_a_login_that_is_refused_is_final_and_tells_no_secret(
    operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    """The server of this test repeats the password in its answer, as some do."""
    caplog.set_level(logging.DEBUG)
    with SmtpServer(users={"nexus": "another"}) as server:
        channels = operator.channels(
            server.port, username="nexus", password={"env": "SMTP_PASSWORD"}
        )
        error = fails(channels, mail(), "login_refused", "'nexus'", "535")
        assert not error.retryable
        assert PASSWORD not in f"{error!r} {caplog.text}"


def test_a_login_that_fails_for_now_is_tried_again(operator: Operator) -> None:
    with SmtpServer(users={"nexus": PASSWORD}) as server:
        server.on("AUTH", reply(454, "the directory is away"))
        channels = operator.channels(
            server.port, username="nexus", password={"env": "SMTP_PASSWORD"}
        )
        assert fails(channels, mail(), "login_refused", "454").retryable


def test_a_server_without_logins_is_told(server: SmtpServer, operator: Operator) -> None:
    channels = operator.channels(server.port, username="nexus", password={"env": "SMTP_PASSWORD"})
    error = fails(channels, mail(), "login_refused", "offers no login")
    assert not error.retryable


def test_a_new_password_is_used_as_soon_as_it_is_there(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SmtpServer(users={"nexus": "second"}) as server:
        channels = operator.channels(
            server.port, username="nexus", password={"env": "SMTP_PASSWORD"}
        )
        fails(channels, mail(), "login_refused")
        monkeypatch.setenv("SMTP_PASSWORD", "second")
        called(channels, mail(), attempt=2)
        assert server.mails[0].user == "nexus"


def test_no_secret_is_in_what_is_printed() -> None:
    settings = EmailSettings.model_validate({"host": "h", "username": "u", "password": PASSWORD})
    assert PASSWORD not in f"{settings!r} {settings} {settings.server()!r}"
