"""Who listens to what happens to one object, in this process and as long as the object lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, get_args

from nexus.core.errors import nearest
from nexus.core.events import AnyEvent
from nexus.local.configuration import ConfigurationError
from nexus.local.domains import Domain
from nexus.local.views import HistoryEntry

Callback = Callable[[HistoryEntry], object]
Listeners = list[tuple[str, Callback]]

EVERYTHING = "*"

# By identity: models may compare as equal, and may not be hashable.
_listening: dict[tuple[int, str], Listeners] = {}


def listen(model: Any, domain: Domain, event: str, callback: Callback) -> Callable[[], None]:
    """Have a function called with what happens to an object.

    Returns:
        What ends it.

    Raises:
        ConfigurationError: There is no such event, or the object cannot be listened to.
    """
    known = {kind.name for kind in get_args(AnyEvent)}
    if event != EVERYTHING and event not in known:
        near = nearest(event, known)
        hint = f" Did you mean {near!r}?" if near else ""
        raise ConfigurationError(
            f"There is no event {event!r}.{hint} There are: {', '.join(sorted(known))}, and "
            f"{EVERYTHING!r} for all."
        )
    if iscoroutinefunction(callback):
        raise ConfigurationError("Nobody would wait for an 'async' function: give a plain one.")
    key = (id(model), domain.name)
    if key not in _listening:
        try:
            weakref.finalize(model, _listening.pop, key, None).atexit = False
        except TypeError:
            raise ConfigurationError(
                f"{type(model).__qualname__} has __slots__ without '__weakref__', so nobody can "
                "listen to its objects."
            ) from None
        _listening[key] = []
    listener = (event, callback)
    _listening[key].append(listener)

    def end() -> None:
        found = _listening.get(key, [])
        if listener in found:
            found.remove(listener)

    return end


def listeners(model: Any, domain: Domain) -> Listeners:
    """Who listens to an object now."""
    if not _listening:
        return []
    return list(_listening.get((id(model), domain.name), ()))
