"""What `nexus scenario` does: an instance's history becomes a scenario, which is then played."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from nexus.cli.failures import CommandFailed, platform_module
from nexus.settings import Settings

PAGE = 500  # events read at once


def run_scenario(settings: Settings, tenant: str, instance: str, output: Path | None) -> None:
    """Writes the scenario of an instance, and says whether it passes.

    Args:
        settings: Where the database is.
        tenant: Whose instance.
        instance: Its id.
        output: Where to; None for standard output.

    Raises:
        CommandFailed: There is no such instance, its definition is gone, the file cannot be
            written, or the scenario does not pass. In the last case it is written all the same.
    """
    from nexus.cli.simulate import channels_for
    from nexus.core.compiler.definition import program_of
    from nexus.simulation.documents import DocumentError
    from nexus.simulation.from_life import as_text, scenario_of
    from nexus.simulation.playing import play
    from nexus.simulation.reading import read_scenarios

    snapshot, history, document = _read(settings, tenant, instance)
    program = program_of(document)
    channels = channels_for(program)
    told = scenario_of(program, json.loads(document), snapshot, history, channels=channels)
    text = as_text(told)
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandFailed(
                f"{output}: cannot be written: {error.strerror or error}"
            ) from error
    name = str(output) if output else "the scenario"
    try:
        file = read_scenarios(text.encode(), name)
    except DocumentError as error:
        raise CommandFailed(f"{name} cannot be run: {error.problems[0]}") from error
    for scenario in file.scenarios:
        played = play(program, scenario, channels=channels)
        for failure in played.failures:
            print(f"{failure.pointer}: {failure.message}", file=sys.stderr)
            for one in failure.differences:
                told_as = json.dumps(one.expected), json.dumps(one.actual, default=str)
                print(f"  {one.what}: expected {told_as[0]}, is {told_as[1]}", file=sys.stderr)
        if played.failures:
            raise CommandFailed(f"{name} does not pass: it differs from what happened")
    print(f"{name} passes: {len(history)} events of {instance!r} told", file=sys.stderr)


def _read(settings: Settings, tenant: str, instance: str) -> tuple[Any, list[Any], str]:
    """The instance, its history and the text of its definition's version."""
    engine = platform_module("storage.engine").create_engine(settings.database_url)
    reading = platform_module("storage.scope").reading
    list_history = platform_module("storage.history").list_history
    with reading(engine, tenant) as session:
        snapshot = platform_module("storage.instances").get(session, instance)
        if snapshot is None:
            raise CommandFailed(f"the tenant {tenant!r} has no instance {instance!r}")
        row = snapshot.instance
        stored = platform_module("storage.definitions").get(session, row.definition, row.version)
        if stored is None:
            raise CommandFailed(
                f"the definition {row.definition!r} {row.version} of {instance!r} is not stored "
                "any more"
            )
        history: list[Any] = []
        cursor: str | None = None
        while True:
            page = list_history(session, instance, limit=PAGE, cursor=cursor)
            history += page.items
            cursor = page.next
            if cursor is None:
                return snapshot, history, stored.text
