"""The operator's file: which settings apply, secrets by reference, faults in words."""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path

import pytest

from nexus.channels import SettingsFileError, load_channels
from nexus.channels.operator_settings import OperatorSettings, SecretMissing, resolve


def file_of(folder: Path, document: object) -> Path:
    path = folder / "channels.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def loaded(path: Path) -> OperatorSettings:
    settings = OperatorSettings(path)
    settings.load()
    return settings


def test_a_tenants_own_settings_stand_above_those_for_everybody(tmp_path: Path) -> None:
    document = {
        "*": {"email": {"host": "a", "port": 25}},
        "acme": {"email": {"host": "b"}, "welcome": {"channel": "email", "from": "x"}},
    }
    settings = loaded(file_of(tmp_path, document))
    assert settings.of("acme", "email") == {"host": "b", "port": 25}
    assert settings.of("other", "email") == {"host": "a", "port": 25}
    assert settings.of("other", "welcome") == {}
    assert settings.names() == ["email", "welcome"]


def test_a_name_is_of_the_kind_that_it_says_to_its_tenant(tmp_path: Path) -> None:
    document = {"*": {"w": {"channel": "log"}}, "acme": {"w": {"channel": "email"}}}
    settings = loaded(file_of(tmp_path, document))
    assert settings.kind_of("w", "acme") == "email"
    assert settings.kind_of("w", "other") == "log"
    assert settings.kind_of("w") == "log"
    assert settings.kind_of("x") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ("channels.json:1:", "")),
        ('{"*": 3}', ("/*", "no object")),
        ('{"*": {"email": []}}', ("/*/email", "no object")),
        ('{"*": {"email": {"channel": 1}}}', ("/*/email/channel", "text")),
        ("[]", ("no object", "")),
        ('{"a": {}, "a": {}}', ("a second time", "1:")),
    ],
)
def test_a_faulty_file_stops_the_start_and_says_where(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(SettingsFileError) as caught:
        loaded(file_of(tmp_path, text))
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsFileError, match=r"none\.json cannot be read"):
        loaded(tmp_path / "none.json")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = file_of(tmp_path, {"*": {"email": {"host": "a"}}})
    settings = loaded(path)
    file_of(tmp_path, {"*": {"email": {"host": "another"}}})
    assert settings.of("acme", "email") == {"host": "another"}


def test_a_file_that_becomes_faulty_leaves_the_last_good_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = file_of(tmp_path, {"*": {"email": {"host": "a"}}})
    settings = loaded(path)
    with caplog.at_level(logging.ERROR, "nexus.channels"):
        path.write_text("{ nonsense")
        assert settings.of("acme", "email") == {"host": "a"}
        assert settings.of("acme", "email") == {"host": "a"}
    assert len(caplog.records) == 1
    path.unlink()
    assert settings.of("acme", "email") == {"host": "a"}
    file_of(tmp_path, {"*": {"email": {"host": "b"}}})
    assert settings.of("acme", "email") == {"host": "b"}


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    given = {"password": {"env": "P"}, "keys": [{"file": str(secret)}, "plain"], "port": 25}
    assert resolve(given, {"P": "word"}) == {
        "password": "word",
        "keys": ["s3cret", "plain"],
        "port": 25,
    }


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({"env": "NOT_THERE"}, "NOT_THERE is not set"),
        ({"file": "/not/there"}, "/not/there cannot be read"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(reference: dict[str, str], words: str) -> None:
    with pytest.raises(SecretMissing, match=words):
        resolve({"a": [reference]}, {})


def test_a_secret_is_text_of_reasonable_size(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"x" * 70_000)
    with pytest.raises(SecretMissing, match="too large"):
        resolve({"file": str(path)})
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SecretMissing, match="no text"):
        resolve({"file": str(path)})


def test_what_only_looks_like_a_reference_is_data() -> None:
    assert "PATH" in os.environ
    for value in ({"env": 3}, {"env": "PATH", "file": "x"}, {"ENV": "PATH"}):
        assert resolve(value) == value


GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "channels.md").read_text()


def shown(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


def test_the_settings_that_the_guide_shows_are_taken(tmp_path: Path) -> None:
    for text in shown("json settings"):
        seen = load_channels(file_of(tmp_path, text)).seen_by("acme")
        assert seen.kind_of("welcome-mail") == "email"
        assert seen.kind_of("erp") == "webhook"
        for named in map(json.loads, shown("json channels")):
            for settings in named.values():
                assert not seen.check_settings(settings["channel"], settings)
        for step in map(json.loads, shown("json step")):
            assert not seen.check_given(step["channel"], step["with"])
