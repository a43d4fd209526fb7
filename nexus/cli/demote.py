"""What `nexus demote` does: models on the platform keep their instances themselves again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from nexus.cli.failures import CommandFailed
from nexus.core.errors import NexusError


def run_demote(target: str, session: str | None, ids: list[str]) -> None:
    """Takes models back, and says how many.

    Args:
        target: `package.module:Model` of SQLAlchemy, SQLModel or Django; else a function that
            gives the objects.
        session: `package.module:name` of what gives a session, for SQLAlchemy and SQLModel.
        ids: Primary keys of the objects; none for all of them.

    Raises:
        CommandFailed: Something cannot be found, or an instance cannot be taken back. Those that
            could are.
    """
    from nexus.local.moving_back import demote

    sys.path.insert(0, str(Path.cwd()))  # as `python -m` has it
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        import django

        django.setup()
    found = _named(target)
    with _objects(found, target, session, ids) as objects:
        try:
            demoted = demote(objects)
        except NexusError as error:
            raise CommandFailed(str(error)) from None
    print(f"{demoted.instances} taken back")
    for model, why in demoted.failed:
        print(f"{model!r}: {why}", file=sys.stderr)
    if demoted.failed:
        raise CommandFailed(f"{len(demoted.failed)} could not be taken back; run it again")


@contextmanager
def _objects(
    found: Any, target: str, session: str | None, ids: list[str]
) -> Iterator[Iterable[Any]]:
    """The objects that are meant; what was done to them is committed in the end."""
    if not isinstance(found, type):
        if not callable(found):
            raise CommandFailed(f"{target} is neither a model nor a function that gives objects")
        yield found()
    elif hasattr(found, "_base_manager"):
        rows = found._base_manager.all()  # noqa: SLF001 - Django's own name for all rows
        yield rows.filter(pk__in=ids) if ids else rows
    elif hasattr(found, "__mapper__"):
        if session is None:
            raise CommandFailed(
                f"{target} is a model of SQLAlchemy: say with --session package.module:name what "
                "gives a session"
            )
        factory: Callable[[], Any] = _named(session)
        import sqlalchemy as sa

        query: Any = sa.select(found)
        if ids:
            keys: Any = sa.inspect(found)
            (key,) = keys.primary_key
            query = query.where(key.in_([key.type.python_type(one) for one in ids]))
        with factory() as opened:
            yield opened.scalars(query).all()
            opened.commit()
    else:
        raise CommandFailed(
            f"{target} is a class without a database: name a function that gives its objects"
        )


def _named(path: str) -> Any:
    module, colon, name = path.partition(":")
    if not colon or not module or not name:
        raise CommandFailed(f"{path!r} is not of the form package.module:name")
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise CommandFailed(f"{path}: {error}") from error
    return found
