"""The operator's settings of channels: one JSON file, by tenant and name, secrets by reference.

    {
      "*":    {"email": {"host": "smtp.example.com", "password": {"env": "SMTP_PASSWORD"}}},
      "acme": {"email": {"from": "crm@acme.example"},
               "welcome": {"channel": "email", "replyTo": "sales@acme.example"}}
    }

`*` is for all tenants. A name is a kind of channel, or says in `channel` which
kind it is. `docs/channels.md` tells which settings apply to a call.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nexus.core.errors import DefinitionError, NexusError
from nexus.core.json_text import load

EVERYBODY = "*"
REFERENCES = ("env", "file")
MOST_SECRET = 65_536  # bytes of a file that holds one

_log = logging.getLogger("nexus.channels")

Named = Mapping[str, Mapping[str, object]]


class SettingsFileError(NexusError):
    """The operator's file cannot be used; the message says where and why, in one line."""


class SecretMissing(NexusError):
    """A reference leads nowhere; the message names it."""


@dataclass(slots=True)
class OperatorSettings:
    """What the file says. It is read again once it has changed.

    Attributes:
        path: Of the file; None where there is none, and every channel has its defaults.
        wrong: Tells what no installed channel makes sense of, in one line that begins with a
            JSON pointer; None where all is well.
    """

    path: Path | None = None
    wrong: Callable[[Mapping[str, Named]], str | None] | None = None
    _stamp: tuple[int, int] | None = field(default=None, init=False, repr=False)
    _by_tenant: Mapping[str, Named] = field(default_factory=dict, init=False, repr=False)

    def load(self) -> None:
        """Read the file for the first time.

        Raises:
            SettingsFileError: It cannot be read, or is no such file.
        """
        if self.path is not None:
            self._stamp = self._now()
            self._by_tenant = self._read(self.path)

    def of(self, tenant: str, name: str) -> Mapping[str, object]:
        """The settings of a name, those for everybody below the tenant's own."""
        found = self._current()
        shared = found.get(EVERYBODY, {}).get(name, {})
        return {**shared, **found.get(tenant, {}).get(name, {})}

    def names(self, tenant: str | None = None) -> list[str]:
        """The names of a tenant's settings and of everybody's; without a tenant, of anybody's."""
        found = self._current()
        owners = list(found) if tenant is None else [EVERYBODY, tenant]
        return list(dict.fromkeys(name for owner in owners for name in found.get(owner, {})))

    def kind_of(self, name: str, tenant: str | None = None) -> str | None:
        """What a name says that it is; without a tenant, what it is for anybody."""
        found = self._current()
        owners = [EVERYBODY, *found] if tenant is None else [tenant, EVERYBODY]
        for owner in owners:
            kind = found.get(owner, {}).get(name, {}).get("channel")
            if isinstance(kind, str):
                return kind
        return None

    def _current(self) -> Mapping[str, Named]:
        """What the file says now; the last good one, should it have become faulty."""
        if self.path is not None and self._now() != self._stamp:
            self._stamp = self._now()
            try:
                self._by_tenant = self._read(self.path)
                _log.info("read the channels' settings in %s again", self.path)
            except SettingsFileError as error:
                _log.error("the channels' settings stay as they were: %s", error)
        return self._by_tenant

    def _read(self, path: Path) -> Mapping[str, Named]:
        found = _read(path)
        why = self.wrong(found) if self.wrong else None
        if why is not None:
            raise SettingsFileError(f"{path}: {why}")
        return found

    def _now(self) -> tuple[int, int] | None:
        assert self.path is not None
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


def resolve(value: object, environ: Mapping[str, str] | None = None) -> object:
    """A setting with its references replaced by what they lead to.

    Raises:
        SecretMissing: A variable is not set, or a file cannot be read.
    """
    if is_reference(value):
        assert isinstance(value, Mapping)
        ((kind, name),) = value.items()
        return _from_environment(str(name), environ) if kind == "env" else _from_file(str(name))
    if isinstance(value, Mapping):
        return {key: resolve(item, environ) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(item, environ) for item in value]
    return value


def is_reference(value: object) -> bool:
    """Whether a value is `{"env": "NAME"}` or `{"file": "/path"}`."""
    return (
        isinstance(value, Mapping)
        and len(value) == 1
        and next(iter(value)) in REFERENCES
        and isinstance(next(iter(value.values())), str)
    )


def references(value: object) -> Iterator[Mapping[str, object]]:
    """All references in a value."""
    if is_reference(value):
        assert isinstance(value, Mapping)
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def _from_environment(name: str, environ: Mapping[str, str] | None) -> str:
    found = (os.environ if environ is None else environ).get(name, "")
    if not found:
        raise SecretMissing(f"the environment variable {name} is not set")
    return found


def _from_file(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            found = file.read(MOST_SECRET + 1)
    except OSError as error:
        raise SecretMissing(f"the file {name} cannot be read ({error.strerror})") from None
    if len(found) > MOST_SECRET:
        raise SecretMissing(f"the file {name} is too large for a secret")
    try:
        return found.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretMissing(f"the file {name} is no text") from None


def _read(path: Path) -> Mapping[str, Named]:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SettingsFileError(f"{path} cannot be read ({error.strerror})") from None
    try:
        document = load(text, str(path))
    except DefinitionError as error:
        problem = error.problems[0]
        raise SettingsFileError(
            f"{path}:{problem.line}:{problem.column}: {problem.message}"
        ) from None
    if not isinstance(document, dict):
        raise SettingsFileError(f"{path} holds no object: it has an entry for each tenant, or '*'")
    for tenant, named in document.items():
        if not isinstance(named, dict):
            raise SettingsFileError(
                f"{path}: /{tenant} is no object: it has an entry for each name"
            )
        for name, settings in named.items():
            place = f"{path}: /{tenant}/{name}"
            if not isinstance(settings, dict):
                raise SettingsFileError(f"{place} is no object: it has an entry for each setting")
            if not isinstance(settings.get("channel", ""), str):
                raise SettingsFileError(f"{place}/channel is no text: it names a kind of channel")
    return document
