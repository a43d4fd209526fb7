"""Connections to mail servers: used again, replaced, encrypted, logged in."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from nexus.channels.email import EmailSettings
from nexus.contracts import ChannelError
from tests.channels.calling import called, fails
from tests.channels.mailing import PASSWORD, Operator, mail, numbered, one_by_one, together
from tests.support.smtp import (
    Behaviour,
    SmtpServer,
    certificate,
    drop,
    hang,
    ok,
    reply,
    tls_context,
    twice,
)

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
