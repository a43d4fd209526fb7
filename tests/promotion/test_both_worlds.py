"""One unmodified program at Level 1 and against the running platform (US-010, BR-006)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.promotion.conftest import Promotion

PROGRAM = Path(__file__).with_name("everything.py")


def said(environment: dict[str, str]) -> str:
    """What the program prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", PROGRAM, "acme"],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_an_unmodified_program_says_the_same_in_both_worlds(promotion: Promotion) -> None:
    """US-010: promotion changes configuration, and no line of code."""
    alone = said({})
    assert "<lead-1 in 'won' " in alone
    assert "refused: condition_not_met" in alone
    assert said(promotion.environment) == alone
