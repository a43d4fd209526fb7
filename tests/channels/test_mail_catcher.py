"""The catcher: what is sent to it is kept, told of, and delivered to nobody."""

from __future__ import annotations

import asyncio
import json
import smtplib
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nexus.channels import mail_catcher
from nexus.channels.email import EmailChannel
from nexus.channels.mail_catcher import (
    MailFolder,
    list_mails,
    mail_source,
    read_mail,
    serve_catcher,
)
from nexus.channels.operator_settings import OperatorSettings
from nexus.channels.runner import Channels
from tests.channels.calling import request


def written(subject: str = "Hello", message_id: str = "", **more: str) -> bytes:
    message = EmailMessage()
    message["Subject"] = subject
    if message_id:
        message["Message-ID"] = message_id
    for name, value in more.items():
        message[name.replace("_", "-")] = value
    message.set_content("Dear Ann")
    return message.as_bytes()


def catching(folder: Path, act: Callable[[int], Any]) -> Any:
    """What a function in a thread makes of the port of a catcher."""

    async def serve() -> Any:
        server = await serve_catcher(folder, "127.0.0.1", 0)
        async with server:
            return await asyncio.to_thread(act, server.sockets[0].getsockname()[1])

    return asyncio.run(serve())


def test_a_mail_is_kept_with_its_envelope(tmp_path: Path) -> None:
    def send(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            to = ["ann@example.com", "hidden@example.com"]
            client.sendmail("sales@example.com", to, written("Grüße", "<1@example.com>"))

    catching(tmp_path / "mails", send)
    [mail] = list_mails(tmp_path / "mails")
    assert mail.sender == "sales@example.com"
    assert mail.recipients == ("ann@example.com", "hidden@example.com")
    assert (mail.subject, mail.message_id, mail.times) == ("Grüße", "<1@example.com>", 1)
    assert mail.received_at.tzinfo is not None
    source = mail_source(tmp_path / "mails", mail.id)
    assert source is not None
    assert source.replace(b"\r\n", b"\n").strip() == written("Grüße", "<1@example.com>").strip()


def test_what_the_channel_sends_is_read_as_it_was_meant(tmp_path: Path) -> None:
    given_ = {
        "to": ["Zoë <zoë@example.com>"],
        "subject": "Grüße an {{ data.name }}",
        "text": "Liebe Zoë",
        "html": "<p>Liebe Zoë</p>",
        "attachments": [{"filename": "Angebot ü.csv", "content": "a"}],
    }

    def send(port: int) -> None:
        path = tmp_path / "channels.json"
        operators = {"host": "127.0.0.1", "port": port, "security": "none", "from": "a@example.com"}
        path.write_text(json.dumps({"*": {"email": operators}}))
        operator = OperatorSettings(path)
        operator.load()
        channels = Channels({"email": EmailChannel()}, operator)

        async def call() -> None:
            for attempt in (1, 2):
                await channels.call(
                    request("email", given_), attempt=attempt, timeout=timedelta(seconds=10)
                )
            await channels.close()

        asyncio.run(call())

    catching(tmp_path / "mails", send)
    [mail] = list_mails(tmp_path / "mails")
    assert mail.times == 2
    detail = read_mail(tmp_path / "mails", mail.id)
    assert detail is not None
    assert detail.mail == mail
    assert dict(detail.headers)["Subject"] == "Grüße an Ann"
    assert dict(detail.headers)["To"] == "Zoë <zoë@example.com>"
    assert (detail.text or "").strip() == "Liebe Zoë"
    assert "<p>Liebe Zoë</p>" in (detail.html or "")
    assert detail.attachments == ("Angebot ü.csv",)


def test_the_newest_come_first_and_page_by_page(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path)
    kept = [folder.keep("a@e.example", ["b@e.example"], written(str(n))).id for n in range(7)]
    assert [one.id for one in list_mails(tmp_path)] == kept[::-1]
    first = list_mails(tmp_path, limit=3)
    assert [one.subject for one in first] == ["6", "5", "4"]
    assert [one.subject for one in list_mails(tmp_path, limit=3, before=first[-1].id)] == [
        *("3", "2", "1")
    ]
    assert list_mails(tmp_path, before=kept[0]) == []
    assert list_mails(tmp_path / "missing") == []


def test_a_message_id_that_comes_again_is_counted_over_restarts(tmp_path: Path) -> None:
    content = written(message_id="<1@example.com>")
    first = MailFolder(tmp_path).keep("a@e.example", ["b@e.example"], content)
    again = MailFolder(tmp_path).keep("a@e.example", ["b@e.example"], content)
    assert (again.id, again.times) == (first.id, 2)
    assert [one.times for one in list_mails(tmp_path)] == [2]


def test_mails_without_message_id_are_all_kept(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path)
    for _ in range(3):
        folder.keep("a@e.example", ["b@e.example"], written())
    assert len(list_mails(tmp_path)) == 3


def test_many_at_once_are_counted_well(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path)
    begin = threading.Barrier(8)

    def keep(number: int) -> None:
        begin.wait()
        for turn in range(10):
            folder.keep("a@e.example", ["b@e.example"], written(message_id=f"<{turn}@e.example>"))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(keep, range(8)))
    assert [one.times for one in list_mails(tmp_path)] == [8] * 10


def test_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_catcher, "MOST_KEPT", 3)
    folder = MailFolder(tmp_path)
    for number in range(5):
        folder.keep("a@e.example", [], written(str(number), f"<{number}@e.example>"))
    assert [one.subject for one in list_mails(tmp_path)] == ["4", "3", "2"]
    assert len(list(tmp_path.iterdir())) == 6
    again = folder.keep("a@e.example", [], written("0", "<0@e.example>"))
    assert again.times == 1


def test_what_a_killed_catcher_left_is_no_mail(tmp_path: Path) -> None:
    kept = MailFolder(tmp_path).keep("a@e.example", [], written())
    (tmp_path / f".{kept.id}.json.partial").write_bytes(b"{")
    (tmp_path / "20260101T000000000000-0123456789ab.eml").write_bytes(b"Subject: half\r\n\r\n")
    (tmp_path / "20260101T000000000001-0123456789ab.json").write_bytes(b"{")
    (tmp_path / "notes.json").write_bytes(b"{}")
    assert [one.id for one in list_mails(tmp_path)] == [kept.id]
    MailFolder(tmp_path)
    assert not list(tmp_path.glob(".*.partial"))


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "20260101T000000000000-0123456789ab", "\0", "x" * 300]
)
def test_there_is_no_such_mail(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.eml").write_bytes(written())
    assert read_mail(tmp_path / "mails", name) is None
    assert mail_source(tmp_path / "mails", name) is None


@given(st.binary(max_size=400), st.text(max_size=60))
@example(b"Subject: \xff\xfe\r\nMessage-ID: <\xff@x>\r\n\r\n\xff", "a")
@example(b"Message-ID: =?utf-8?q?=0A?=\r\nSubject: =?x?b?!!!?=\r\n\r\n", "\udc80")
@example(b"Content-Type: text/plain; charset=no-such\r\n\r\nabc", "a")
@example(b"Content-Type: multipart/mixed\r\n\r\nabc", "a")
@example(b'From: <@\r\nTo: "\r\nDate: never\r\nMessage-ID: [\r\nContent-Type: ;;=\r\n\r\n', "")
@example(b"Message-ID: <>\r\nMIME-Version: x\r\nContent-Disposition: a; filename*=x\r\n\r\n", "")
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
def test_whatever_is_sent_is_kept_and_can_be_read(
    tmp_path: Path, content: bytes, address: str
) -> None:
    mail = MailFolder(tmp_path).keep(address, [address], content)
    assert mail in list_mails(tmp_path, limit=10_000)
    detail = read_mail(tmp_path, mail.id)
    assert detail is not None
    json.dumps([detail.headers, detail.text, detail.html, detail.attachments]).encode()


def test_a_mail_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_catcher, "MOST_BYTES", 1000)

    def send(port: int) -> None:
        with (
            smtplib.SMTP("127.0.0.1", port) as client,
            pytest.raises(smtplib.SMTPResponseException) as caught,
        ):
            client.sendmail("a@e.example", ["b@e.example"], b"Subject: x\r\n\r\n" + b"x\r\n" * 2000)
        assert caught.value.smtp_code == 552

    catching(tmp_path, send)
    assert list_mails(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_told_to_whoever_sends(tmp_path: Path) -> None:
    folder = tmp_path / "mails"

    def send(port: int) -> None:
        folder.rmdir()
        with (
            smtplib.SMTP("127.0.0.1", port) as client,
            pytest.raises(smtplib.SMTPDataError) as caught,
        ):
            client.sendmail("a@e.example", ["b@e.example"], written())
        assert caught.value.smtp_code == 451

    catching(folder, send)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            asyncio.run(serve_catcher(tmp_path, "127.0.0.1", other.getsockname()[1]))
