"""`nexus mail-catcher`, as it is run."""

from __future__ import annotations

import signal
import smtplib
import socket
import sys
from pathlib import Path

import pytest

from nexus.channels.mail_catcher import list_mails
from tests.support.commands import assert_one_clear_line, nexus
from tests.support.processes import Service, free_port, listens, wait_until


def catcher(folder: Path, port: int, log: Path) -> Service:
    command = [sys.executable, "-m", "nexus", "mail-catcher"]
    return Service([*command, "--folder", str(folder), "--port", str(port)], log)


def send(port: int, subject: str) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        text = f"Subject: {subject}\r\nMessage-ID: <{subject}@example.com>\r\n\r\nHello"
        client.sendmail("sales@example.com", ["ann@example.com"], text)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_mails_outlive_whoever_caught_them(tmp_path: Path, how: signal.Signals) -> None:
    port, folder = free_port(), tmp_path / "data" / "mails"
    service = catcher(folder, port, tmp_path / "log")
    for round_ in range(2):
        service.start()
        wait_until(lambda: listens(port), what=f"the catcher ({service.output()})")
        send(port, f"round {round_}".replace(" ", "-"))
        send(port, "the-same")
        code = service.stop(how)
        assert how == signal.SIGKILL or code == 0, service.output()
    assert [(one.subject, one.times) for one in list_mails(folder)] == [
        *(("round-1", 1), ("the-same", 2), ("round-0", 1))
    ]
    assert "Traceback" not in service.output()


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = nexus("mail-catcher", "--folder", str(tmp_path / "mails"), "--port", port)
    assert_one_clear_line(done, port, "in use")


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "mails"
    done = nexus("mail-catcher", "--folder", str(folder), "--port", str(free_port()))
    assert_one_clear_line(done, str(folder))
