"""One platform for the tests that leave it whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform.company import SECRET, Company
from tests.support.platform import Platform
from tests.support.receiver import Receiver


@pytest.fixture(scope="package")
def platform(temporal_cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The whole platform on SQLite; whoever kills a part of it starts it again.

    Its channels may call this machine, and tests may write their settings at any time.
    """
    folder = tmp_path_factory.mktemp("platform")
    platform = Platform(temporal_cli, folder)
    settings = folder / "channels.json"
    settings.write_text("{}")
    platform.environment["NEXUS_CHANNELS"] = str(settings)
    platform.environment["NEXUS_WEBHOOK_ALLOW_PRIVATE"] = "1"
    platform.start()
    yield platform
    platform.stop()


@pytest.fixture
def company(platform: Platform) -> Iterator[Company]:
    """A tenant that no other test knows."""
    with Company(platform) as company:
        yield company


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Takes webhooks, and knows what they are signed with."""
    with Receiver(secrets=[SECRET]) as receiver:
        yield receiver
