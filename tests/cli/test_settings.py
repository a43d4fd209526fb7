"""What the environment may say, and what is said where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus.settings import (
    Settings,
    SettingsError,
    TemporalSettings,
    default_definitions,
    secret_file,
)

SECRET = "s" * 32


def test_an_empty_environment_is_a_single_machine(tmp_path: Path) -> None:
    settings = Settings.from_env({"NEXUS_DATA_DIR": str(tmp_path)})
    assert settings == Settings(
        database_url=f"sqlite:///{tmp_path}/nexus.db",
        temporal_address="127.0.0.1:7233",
        temporal_namespace="default",
        task_queue="nexus",
        jwt_secret="",
        definitions=default_definitions(),
        web_ui_url="http://127.0.0.1:8233",
        data_dir=tmp_path,
    )


def test_everything_can_be_said(tmp_path: Path) -> None:
    settings = Settings.from_env(
        {
            "NEXUS_DATA_DIR": str(tmp_path),
            "NEXUS_DATABASE_URL": "postgresql+psycopg://nexus@db/nexus",
            "NEXUS_TEMPORAL_ADDRESS": "temporal:7233",
            "NEXUS_TEMPORAL_NAMESPACE": "crm",
            "NEXUS_TASK_QUEUE": "mine",
            "NEXUS_CHANNELS_IN_WORKER": "0",
            "NEXUS_SIGNAL_ROLES": "crm, billing",
            "NEXUS_JWT_SECRET": SECRET,
            "NEXUS_DEFINITIONS": str(tmp_path / "definitions"),
            "NEXUS_WEB_UI_URL": "https://temporal.example.com/",
        }
    )
    assert settings.database_url == "postgresql+psycopg://nexus@db/nexus"
    assert settings.temporal_address == "temporal:7233"
    assert settings.temporal_namespace == "crm"
    assert settings.task_queue == "mine"
    assert not settings.channels_in_worker
    assert settings.signal_roles == ("crm", "billing")
    assert settings.jwt_secret == SECRET
    assert settings.definitions == tmp_path / "definitions"
    assert settings.web_ui_url == "https://temporal.example.com"


def test_the_secret_of_the_data_folder_is_found_and_the_environment_overrides_it(
    tmp_path: Path,
) -> None:
    secret_file(tmp_path).write_text("f" * 64 + "\n")
    stored = Settings.from_env({"NEXUS_DATA_DIR": str(tmp_path)})
    named = Settings.from_env({"NEXUS_DATA_DIR": str(tmp_path), "NEXUS_JWT_SECRET": SECRET})
    assert stored.require_secret().jwt_secret == "f" * 64
    assert named.jwt_secret == SECRET


def test_no_secret_is_said_only_when_one_is_needed(tmp_path: Path) -> None:
    settings = Settings.from_env({"NEXUS_DATA_DIR": str(tmp_path)})
    with pytest.raises(SettingsError, match="NEXUS_JWT_SECRET is not set"):
        settings.require_secret()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("NEXUS_DATABASE_URL", "mysql://root:hunter2@db/x", "starts with 'mysql'.*expected sqlite"),
        ("NEXUS_TEMPORAL_ADDRESS", "temporal", "'temporal': expected host:port"),
        ("NEXUS_TEMPORAL_ADDRESS", "http://temporal:7233", "expected host:port"),
        ("NEXUS_CHANNELS_IN_WORKER", "maybe", "'maybe': expected 1 or 0"),
        ("NEXUS_WEB_UI_URL", "localhost:8233", "expected http"),
        ("NEXUS_JWT_SECRET", "short", "has 5 characters: expected at least 32"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_would_be_right(
    variable: str, value: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        Settings.from_env({"NEXUS_DATA_DIR": str(tmp_path), variable: value})
    assert variable in str(refused.value)
    assert "hunter2" not in str(refused.value), "a password was printed"


def test_a_process_that_calls_channels_looks_at_no_database_and_no_secret() -> None:
    settings = TemporalSettings.from_env(
        {
            "NEXUS_TEMPORAL_ADDRESS": "temporal:7233",
            "NEXUS_DATABASE_URL": "nowhere",
            "NEXUS_JWT_SECRET": "short",
        }
    )
    assert settings == TemporalSettings(temporal_address="temporal:7233")


def test_a_secret_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    secret_file(tmp_path).mkdir()
    with pytest.raises(SettingsError, match="secret cannot be read"):
        Settings.from_env({"NEXUS_DATA_DIR": str(tmp_path)})
