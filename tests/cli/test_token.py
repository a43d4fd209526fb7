"""`nexus token` prints a token, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from nexus.cli.tokens import issue_token
from tests.support.commands import assert_one_clear_line, nexus

SECRET = "0123456789abcdef0123456789abcdef"
WHO = ("--tenant", "acme", "--user", "ann")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(SECRET + "\n")
    return tmp_path


def test_the_token_is_all_that_is_printed(data_dir: Path) -> None:
    done = nexus("token", *WHO, "--role", "rep", "--role", "lead", "--data-dir", str(data_dir))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    claims = jwt.decode(done.stdout.strip(), SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["tenant"], claims["roles"]) == ("ann", "acme", ["rep", "lead"])
    assert claims["exp"] - claims["iat"] == 12 * 3600


@pytest.mark.parametrize(("said", "hours"), [("30m", 0.5), ("2 days", 48), ("P1W", 168)])
def test_it_holds_as_long_as_is_asked(said: str, hours: float, data_dir: Path) -> None:
    done = nexus("token", *WHO, "--expires", said, "--data-dir", str(data_dir))
    claims = jwt.decode(done.stdout.strip(), SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["iat"] == hours * 3600


def test_the_environments_secret_is_stronger_than_the_folders(data_dir: Path) -> None:
    other = "f" * 40
    done = nexus(
        "token", *WHO, "--data-dir", str(data_dir), environment={"NEXUS_JWT_SECRET": other}
    )
    assert jwt.decode(done.stdout.strip(), other, algorithms=["HS256"])["sub"] == "ann"


def test_a_duration_that_is_none_is_refused(data_dir: Path) -> None:
    done = nexus("token", *WHO, "--expires", "soon", "--data-dir", str(data_dir))
    assert_one_clear_line(done, "--expires", "soon")


@pytest.mark.parametrize(
    ("tenant", "user", "role", "words"),
    [
        ("", "ann", "rep", ("--tenant", "1 to 200 characters")),
        ("acme", "", "rep", ("--user", "1 to 200 characters")),
        ("acme", " ", "rep", ("--user", "blank")),
        ("acme", "ann", "", ("--role", "1 to 200 characters")),
        ("*", "ann", "rep", ("--tenant", "reserved")),
        ("acme", "system", "rep", ("--user", "reserved")),
        ("acme", "system:signal", "rep", ("--user", "reserved")),
        ("acme", "a\tb", "rep", ("--user", "cannot be printed")),
    ],
)
def test_what_the_api_would_refuse_is_refused(
    tenant: str, user: str, role: str, words: tuple[str, ...], data_dir: Path
) -> None:
    done = nexus(
        *("token", "--tenant", tenant, "--user", user, "--role", role),
        *("--data-dir", str(data_dir)),
    )
    assert_one_clear_line(done, *words)


def test_without_a_secret_it_says_where_one_comes_from(tmp_path: Path) -> None:
    done = nexus("token", *WHO, "--data-dir", str(tmp_path / "nothing"))
    assert_one_clear_line(done, "NEXUS_JWT_SECRET", "nexus dev")
    assert not (tmp_path / "nothing").exists(), "asking for a token made a folder"


def test_a_token_ends() -> None:
    then = datetime.now(UTC) - timedelta(hours=2)
    token = issue_token(SECRET, tenant="t", user="u", lifetime=timedelta(hours=1), now=then)
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(token, SECRET, algorithms=["HS256"])
