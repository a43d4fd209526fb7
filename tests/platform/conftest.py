"""One platform for the tests that leave it whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platform import Platform


@pytest.fixture(scope="package")
def platform(temporal_cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The whole platform on SQLite; whoever kills a part of it starts it again."""
    platform = Platform(temporal_cli, tmp_path_factory.mktemp("platform"))
    platform.start()
    yield platform
    platform.stop()
