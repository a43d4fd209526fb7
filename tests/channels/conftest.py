from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.channels.mailing import PASSWORD, Operator
from tests.support.smtp import SmtpServer


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    """A mail server."""
    with SmtpServer() as running:
        yield running


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """Who says where mails go, with a password in the environment."""
    monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)
    return Operator(tmp_path)
