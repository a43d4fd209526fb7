"""What `docker-compose.yml` and the Dockerfile promise, as far as it shows without containers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
import yaml

from nexus import settings
from nexus.channels import load_channels
from nexus.cli.app import app
from nexus.cli.temporal_server import DYNAMIC_CONFIG
from tests.support.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
OURS = ("migrate", "api", "worker", "channels", "mail-catcher")

# The keys of a service in the Compose specification that we use; a typing error is none of them.
KNOWN = {
    *("build", "command", "depends_on", "environment", "healthcheck", "image", "ports"),
    *("restart", "stop_grace_period", "volumes"),
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(document, dict)
    return document


def test_every_service_uses_keys_that_compose_knows(compose: dict[str, Any]) -> None:
    assert set(compose) <= {"name", "services", "volumes", "x-nexus"}
    for name, service in compose["services"].items():
        assert set(service) <= KNOWN, f"service {name}"
        assert "image" in service, f"service {name}"
        for other, how in service.get("depends_on", {}).items():
            awaited = compose["services"][other]
            assert how["condition"] in {"service_healthy", "service_completed_successfully"}
            if how["condition"] == "service_healthy":
                assert "healthcheck" in awaited, f"{name} waits for the health of {other}"


def test_every_file_that_is_mounted_or_copied_is_there(compose: dict[str, Any]) -> None:
    mounted = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]
    copied = [
        source
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert mounted
    assert copied
    for path in (*mounted, *copied):
        assert (ROOT / path).exists(), path
    allowed = (ROOT / ".dockerignore").read_text().split()
    for source in copied:
        assert f"!{source}" in allowed, f"{source} is kept out of the build"


def test_our_services_run_commands_that_exist_with_options_that_exist(
    compose: dict[str, Any],
) -> None:
    commands = typer.main.get_command(app)
    for name in OURS:
        words = compose["services"][name]["command"]
        group = typer.Context(commands)
        assert words[0] == name
        command = commands.get_command(group, words[0])  # type: ignore[attr-defined]
        # Parses the options, and raises where one is unknown; runs nothing.
        command.make_context(words[0], list(words[1:]))


def test_our_services_are_told_only_what_the_settings_read(compose: dict[str, Any]) -> None:
    read = set(re.findall(r"`(NEXUS_\w+)`", settings.__doc__ or ""))
    for name in OURS:
        assert set(compose["services"][name].get("environment", {})) <= read


def test_everything_that_must_be_given_is_in_the_example(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    demanded = set(re.findall(r"\$\{(\w+):\?", text))
    example = (ROOT / ".env.example").read_text()
    assert demanded == {"NEXUS_DATABASE_PASSWORD", "NEXUS_JWT_SECRET"}
    for name in demanded:
        assert f"\n{name}=\n" in example


@pytest.mark.parametrize("name", ["worker", "channels"])
def test_what_works_can_be_scaled(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert "ports" not in service, "two of them cannot have one port"
    assert "container_name" not in service


def test_channels_are_called_by_one_service_that_is_told_no_secret_of_ours(
    compose: dict[str, Any],
) -> None:
    assert compose["services"]["worker"]["environment"]["NEXUS_CHANNELS_IN_WORKER"] == "0"
    channels = compose["services"]["channels"]
    assert set(channels["environment"]) == {
        *("NEXUS_TEMPORAL_ADDRESS", "NEXUS_TEMPORAL_NAMESPACE", "NEXUS_TASK_QUEUE"),
        "NEXUS_CHANNELS",
    }
    assert "$" not in str(channels["environment"])


@pytest.mark.parametrize("name", ["api", "channels"])
def test_who_has_to_know_channels_is_given_the_operators_file(
    compose: dict[str, Any], name: str
) -> None:
    service = compose["services"][name]
    file, place, _ = next(one for one in service["volumes"] if "channels" in one).split(":")
    assert service["environment"]["NEXUS_CHANNELS"] == place
    assert "log" in load_channels(ROOT / file).seen_by(None).names()


def test_mails_go_to_the_catcher_until_a_server_is_named(compose: dict[str, Any]) -> None:
    email = json.loads((ROOT / "deploy/channels.json").read_text())["*"]["email"]
    catcher = compose["services"][email["host"]]
    words = catcher["command"]
    assert words[words.index("--port") + 1] == str(email["port"])
    folder = words[words.index("--folder") + 1]
    assert f"mails:{folder}" in catcher["volumes"]
    api = compose["services"]["api"]
    assert f"mails:{folder}:ro" in api["volumes"]
    assert api["environment"]["NEXUS_MAIL_FOLDER"] == folder
    assert folder in (ROOT / "Dockerfile").read_text()


def test_temporal_in_production_has_the_settings_that_one_machine_has() -> None:
    production = yaml.safe_load((ROOT / "deploy/temporal/dynamic-config.yaml").read_text())
    for key, constraints in production.items():
        assert str(constraints[0]["value"]).lower() == DYNAMIC_CONFIG[key]
    assert "history.transferProcessorMaxPollRPS" in production


def test_the_roles_of_postgresql_are_made_and_none_is_a_superuser() -> None:
    server = PostgresServer()
    server.start()
    try:
        psql = shutil.which("psql")
        assert psql is not None, "psql is not on PATH"
        subprocess.run(
            [str(ROOT / "deploy/postgres/roles.sh")],
            check=True,
            env={
                "PATH": os.environ["PATH"],
                "PGHOST": "127.0.0.1",
                "PGPORT": str(server.port),
                "POSTGRES_USER": "nexus_superuser",
                "NEXUS_DATABASE_PASSWORD": "it's secret",
            },
            capture_output=True,
        )
        for role, database in (
            ("nexus", "nexus"),
            ("temporal", "temporal"),
            ("temporal", "temporal_visibility"),
        ):
            with psycopg.connect(
                f"host=127.0.0.1 port={server.port} user={role} dbname={database}"
            ) as connection:
                row = connection.execute(
                    "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
                ).fetchone()
                assert row == (False, False)
                connection.execute("CREATE TABLE public.mine (id integer)")
    finally:
        server.remove()
