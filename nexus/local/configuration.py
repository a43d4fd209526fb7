"""What the models of this process are told: who acts, where the platform is, what calls channels.

| variable | what it is |
| --- | --- |
| `NEXUS_URL` | address of the platform's API; without it everything stays in the models |
| `NEXUS_API_KEY` | the token that opens it |

`configure` says the same in code, and goes before the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from inspect import iscoroutinefunction
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from nexus.core.calls import CallRequest
from nexus.core.commands import Actor
from nexus.core.errors import NexusError
from nexus.core.identity import wrong_role, wrong_user

URL = "NEXUS_URL"
API_KEY = "NEXUS_API_KEY"

APPLICATION: Final = "app"
"""Who acts where nobody is named: the application itself."""

Deliver = Callable[[CallRequest], Any]
"""Makes one try of a channel call, and returns what the channel answered (JSON)."""


class ConfigurationError(NexusError):
    """What was configured cannot be used."""


class Configuration(Struct, frozen=True, kw_only=True):
    """What was told by `configure`; None where nothing was.

    Attributes:
        url, api_key: Where the platform is, and the token that opens it; "" keeps everything in
            the models, whatever the environment says.
        channels: What makes channel calls; None calls the channels that are installed.
        clock: What time it is; timezone-aware.
        models: All models of this process, for dashboards without a platform.
    """

    url: str | None = None
    api_key: str | None = None
    channels: Deliver | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    models: Callable[[], Iterable[object]] | None = None


class Platform(Struct, frozen=True):
    """Where the platform is, and the token that opens it."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Platform({self.url!r})"


_configuration = Configuration()
_acting: ContextVar[Actor | None] = ContextVar("nexus_acting", default=None)


def configure(**told: Any) -> None:
    """Tell this process how to run its models; what is not named stays as it is.

    Args:
        **told: `url`, `api_key`, `channels`, `clock`, `models`, as `Configuration` has them;
            None takes back what was told.

    Raises:
        ConfigurationError: A name or a value is none.
    """
    global _configuration
    names = Configuration.__struct_fields__
    for name in told:
        if name not in names:
            known = ", ".join(names)
            raise ConfigurationError(f"There is no setting {name!r}; there are: {known}.")
        reason = None if told[name] is None else _wrong_setting(name, told[name])
        if reason:
            raise ConfigurationError(f"The setting {name!r} is {reason}.")
    default = Configuration()
    known_now = {
        name: getattr(default, name) if value is None else value for name, value in told.items()
    }
    _configuration = replace(_configuration, **known_now)


def _wrong_setting(name: str, value: Any) -> str | None:
    """What a setting has to be, where a value is something else."""
    if name in ("url", "api_key"):
        return None if isinstance(value, str) else f"a text, not {value!r}"
    if not callable(value):
        return f"a function, not {value!r}"
    if name == "clock" and getattr(value(), "tzinfo", None) is None:
        return "a function that gives a datetime with its timezone, such as datetime.now(UTC)"
    if iscoroutinefunction(value):
        return "a plain function, not an 'async' one, for which nobody would wait"
    return None


def configuration() -> Configuration:
    """What was told so far."""
    return _configuration


def platform() -> Platform | None:
    """Where the platform is; None where models keep everything themselves.

    Raises:
        ConfigurationError: It is told where, and not how to get in.
    """
    told = _configuration
    url = told.url if told.url is not None else os.environ.get(URL, "").strip()
    if not url:
        return None
    token = told.api_key if told.api_key is not None else os.environ.get(API_KEY, "").strip()
    if not token:
        raise ConfigurationError(
            f"{URL} names a platform ({url}), and there is no {API_KEY} to open it with."
        )
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"{URL} is the address of an API, such as https://…, not {url!r}.")
    return Platform(url.rstrip("/"), token)


def now() -> datetime:
    """What time it is."""
    return _configuration.clock()


def actor_of(who: Actor | str | None, roles: Sequence[str] = ()) -> Actor | None:
    """An actor, however it is named.

    Raises:
        ConfigurationError: No user can be called so.
    """
    if who is None:
        return None
    if isinstance(who, Actor):
        roles = who.roles
        who = who.id
    reason = wrong_user(who)
    if reason:
        raise ConfigurationError(f"Who acts {reason}.")
    roles = (roles,) if isinstance(roles, str) else roles
    if not isinstance(roles, Iterable):
        raise ConfigurationError(f"The roles of {who!r} are a list of names, not {roles!r}.")
    roles = tuple(roles)
    for role in roles:
        if reason := wrong_role(role):
            raise ConfigurationError(f"A role of {who!r} {reason}.")
    return Actor(who, tuple(dict.fromkeys(roles)))


@contextmanager
def acting(who: Actor | str, roles: Sequence[str] = ()) -> Iterator[Actor]:
    """Whoever is named here acts in all that is done within.

    Args:
        who: Id of a user of your own system.
        roles: The roles that the user holds now.

    Raises:
        ConfigurationError: No user can be called so.
    """
    actor = actor_of(who, roles)
    if actor is None:
        raise ConfigurationError("Who acts is None: leave `acting` out where nobody is known.")
    token = _acting.set(actor)
    try:
        yield actor
    finally:
        _acting.reset(token)


def current_actor() -> Actor | None:
    """Who acts, as `acting` says; None where nobody is named."""
    return _acting.get()
