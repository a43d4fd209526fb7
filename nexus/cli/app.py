"""The commands and their options; what they do stands beside, one file each."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from nexus import settings as config
from nexus.cli import authoring, trying
from nexus.core.errors import NexusError

app = typer.Typer(
    name="nexus",
    help="Pipelines for CRM and marketing, written in JSON and run durably.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

authoring.register(app)
trying.register(app)

_DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of databases, secret and logs.  [default: .nexus of the checkout]",
    ),
]
_Port = {"min": 1, "max": 65535}


def run() -> None:
    """Runs the command line; a failure is one line on stderr and exit code 1."""
    try:
        app()
    except NexusError as error:
        print(f"nexus: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _settings(data_dir: Path | None) -> config.Settings:
    if data_dir is None:
        return config.Settings.from_env()
    return config.Settings.from_env({**os.environ, "NEXUS_DATA_DIR": str(data_dir)})


@app.command()
def dev(
    data_dir: _DataDir = None,
    definitions: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Watched folder.  [default: definitions/ of the checkout]"
        ),
    ] = None,
    api_port: Annotated[int, typer.Option(**_Port, help="Port of the API.")] = 8000,
    temporal_port: Annotated[int, typer.Option(**_Port, help="Port of Temporal.")] = 7233,
    ui_port: Annotated[int, typer.Option(**_Port, help="Port of Temporal's Web UI.")] = 8233,
    mail_port: Annotated[
        int | None,
        typer.Option(
            **_Port,
            help="Port of the mail catcher.  [default: 1025, or a free one]",
        ),
    ] = None,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="Walk leads and a campaign through their pipelines; webhooks may go to this "
            "machine then.",
        ),
    ] = False,
    print_temporal: Annotated[
        bool,
        typer.Option("--print-temporal", help="Print the path of the `temporal` used, and end."),
    ] = False,
) -> None:
    """Run the whole platform on this machine, in the foreground."""
    from nexus.cli.dev import DevOptions, run_dev
    from nexus.cli.temporal_binary import find_temporal

    if print_temporal:
        print(find_temporal())
        return
    given = _settings(data_dir)
    run_dev(
        DevOptions(
            data_dir=given.data_dir,
            definitions=definitions.expanduser() if definitions else given.definitions,
            api_port=api_port,
            temporal_port=temporal_port,
            ui_port=ui_port,
            mail_port=mail_port,
            demo=demo,
        )
    )


@app.command()
def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(**_Port, help="Port to listen on.")] = 8000,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="Bring the database up to date first.")
    ] = False,
) -> None:
    """Serve the HTTP API. The environment says where everything is (NEXUS_…)."""
    from nexus.cli.serve import run_api

    run_api(config.Settings.from_env(), host=host, port=port, migrate=migrate)


@app.command()
def worker() -> None:
    """Run workflows, and call channels. The environment says where everything is (NEXUS_…)."""
    from nexus.cli.serve import run_worker

    run_worker(config.Settings.from_env())


@app.command()
def channels() -> None:
    """Call channels, and nothing else: needs no database and no secret of the platform."""
    from nexus.cli.serve import run_channels

    run_channels(config.TemporalSettings.from_env())


@app.command()
def migrate() -> None:
    """Bring the database and Temporal's search attributes up to date, and end."""
    from nexus.cli.migrate import run_migrate

    run_migrate(config.Settings.from_env())


@app.command()
def verify(
    tenant: Annotated[str, typer.Option(metavar="T", help="Whose histories.")],
    instance: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INSTANCE]…", help="Ids; all of the tenant's without any."),
    ] = None,
    data_dir: _DataDir = None,
) -> None:
    """Check that histories are as they were written; exit code 1 if one is not."""
    from nexus.cli.verify import run_verify

    run_verify(_settings(data_dir), tenant, instance or ())


@app.command()
def scenario(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="Its id.")],
    tenant: Annotated[str, typer.Option(metavar="T", help="Whose instance.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")
    ] = None,
    data_dir: _DataDir = None,
) -> None:
    """Write a scenario from an instance's history, with personal values replaced, and play it."""
    from nexus.cli.scenario import run_scenario

    run_scenario(_settings(data_dir), tenant, instance, output)


@app.command()
def demote(
    target: Annotated[
        str,
        typer.Argument(
            help="package.module:Model, or a function there that gives the objects.",
            metavar="TARGET",
        ),
    ],
    session: Annotated[
        str | None,
        typer.Option(help="package.module:name of what gives a session (SQLAlchemy, SQLModel)."),
    ] = None,
    id_: Annotated[
        list[str] | None, typer.Option("--id", help="Of one object alone; can be repeated.")
    ] = None,
) -> None:
    """Take models that are on the platform (NEXUS_URL, NEXUS_API_KEY) back into their columns."""
    from nexus.cli.demote import run_demote

    run_demote(target, session, id_ or [])


@app.command()
def schema(
    kind: Annotated[
        Literal["definition", "scenarios", "population"], typer.Argument(help="Of which files.")
    ] = "definition",
) -> None:
    """Print the JSON Schema of definitions, scenarios or populations, for editors."""
    from nexus.cli.schema import run_schema

    run_schema(kind)


@app.command()
def token(
    tenant: Annotated[str, typer.Option(metavar="T", help="Tenant that the token opens.")],
    user: Annotated[str, typer.Option(metavar="U", help="Who acts with it.")],
    role: Annotated[
        list[str] | None,
        typer.Option(
            metavar="R", help="A role of the user; `admin` may do everything. Repeatable."
        ),
    ] = None,
    data_dir: _DataDir = None,
    expires: Annotated[
        str, typer.Option(metavar="DURATION", help="How long it holds, such as 12h or 2 days.")
    ] = "12h",
) -> None:
    """Print a token, and nothing else."""
    from nexus.cli.failures import CommandFailed
    from nexus.cli.tokens import issue_token
    from nexus.core.durations import DurationError, parse_duration

    try:
        lifetime = parse_duration(expires)
    except DurationError as error:
        raise CommandFailed(f"--expires: {error}") from error
    secret = _settings(data_dir).require_secret().jwt_secret
    print(issue_token(secret, tenant=tenant, user=user, roles=role or (), lifetime=lifetime))


@app.command()
def demo(
    url: Annotated[str, typer.Option(help="Where the API is.")] = "http://127.0.0.1:8000",
    data_dir: _DataDir = None,
) -> None:
    """Walk leads and a campaign through their pipelines, on a running `nexus dev --demo`."""
    from nexus.cli.demo import run_demo

    settings = _settings(data_dir).require_secret()
    run_demo(url, settings.jwt_secret, settings.data_dir)


@app.command("mail-catcher")
def mail_catcher(
    folder: Annotated[
        Path, typer.Option(file_okay=False, help="Folder in which mails are kept; it is made.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(**_Port, help="Port to listen on.")] = 1025,
) -> None:
    """Catch mails instead of delivering them, for development."""
    from nexus.cli.mail_catcher import run_mail_catcher

    run_mail_catcher(folder, host=host, port=port)
