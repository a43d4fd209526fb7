"""What a part of the platform must be told before it starts, read from the environment.

| variable | what it is | default |
| --- | --- | --- |
| `NEXUS_DATA_DIR` | folder of one machine: databases, secret, logs | `.nexus` of the checkout |
| `NEXUS_DATABASE_URL` | `sqlite:///…` or `postgresql://…` | SQLite in the data folder |
| `NEXUS_TEMPORAL_ADDRESS` | host:port of Temporal's frontend | `127.0.0.1:7233` |
| `NEXUS_TEMPORAL_NAMESPACE` | Temporal namespace | `default` |
| `NEXUS_TASK_QUEUE` | the workers' task queue; that of channel calls is `…-channels` | `nexus` |
| `NEXUS_CHANNELS` | the operator's settings of channels, a JSON file | none |
| `NEXUS_MAIL_FOLDER` | where a mail catcher keeps mails, which the API then lists | none |
| `NEXUS_CHANNELS_IN_WORKER` | `0`: workers leave calling channels to `nexus channels` | `1` |
| `NEXUS_SIGNAL_ROLES` | roles of `system:signal`, the actor of unsigned signals, by commas | none |
| `NEXUS_JWT_SECRET` | signs tokens; 32 characters or more | `secret` in the data folder |
| `NEXUS_DEFINITIONS` | the watched folder of definitions | `definitions/` of the checkout |
| `NEXUS_WEB_UI_URL` | where Temporal's Web UI is for a browser | `http://127.0.0.1:8233` |
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nexus.core.errors import NexusError

# HS256 is as strong as its key; RFC 7518 asks for at least the hash's 32 bytes.
SECRET_MINIMUM = 32

_ADDRESS = re.compile(r"[^\s:/]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_DATABASES = ("sqlite:///", "postgresql://", "postgresql+psycopg://")


class SettingsError(NexusError):
    """The environment says something that cannot be used."""


def checkout() -> Path | None:
    """The checkout this code runs from; None where only the library is installed."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "pyproject.toml").is_file() else None


def default_data_dir() -> Path:
    """`.nexus` of the checkout, so that it is the same one wherever a command is given."""
    return (checkout() or Path.cwd()) / ".nexus"


def default_definitions() -> Path:
    """`definitions/` of the checkout."""
    return (checkout() or Path.cwd()) / "definitions"


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporalSettings:
    """Where Temporal is: all that a process which only calls channels is told.

    Attributes:
        temporal_address: host:port of Temporal's frontend.
        temporal_namespace: Temporal namespace of all tenants.
        task_queue: Task queue of the workers.
    """

    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    task_queue: str = "nexus"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> TemporalSettings:
        """Reads and checks the environment, and no database or secret in it.

        Args:
            environ: Instead of the environment of this process.

        Raises:
            SettingsError: A variable cannot be used; it is named, with what would be right.
        """
        text = _texts(environ)
        settings = TemporalSettings(
            temporal_address=text("NEXUS_TEMPORAL_ADDRESS", "127.0.0.1:7233"),
            temporal_namespace=text("NEXUS_TEMPORAL_NAMESPACE", "default"),
            task_queue=text("NEXUS_TASK_QUEUE", "nexus"),
        )
        if not _ADDRESS.fullmatch(settings.temporal_address):
            raise SettingsError(
                f"NEXUS_TEMPORAL_ADDRESS is {settings.temporal_address!r}: expected host:port, "
                "such as 127.0.0.1:7233"
            )
        return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(TemporalSettings):
    """What the API and the workers are told.

    Attributes:
        database_url: SQLAlchemy URL of the projection database.
        channels_in_worker: Workers call channels themselves.
        signal_roles: Roles of the actor of unsigned signals (R27).
        jwt_secret: Key of the tokens' HS256; "" where none has been made yet.
        definitions: Watched folder of definition documents.
        web_ui_url: Base of links to Temporal's Web UI, without a slash at its end.
        data_dir: Folder of a single machine's databases, secret and logs.
        mail_folder: Where a mail catcher keeps mails, which the API lists; None for nowhere.
    """

    database_url: str
    channels_in_worker: bool = True
    signal_roles: tuple[str, ...] = ()
    jwt_secret: str = ""
    definitions: Path
    web_ui_url: str = "http://127.0.0.1:8233"
    data_dir: Path
    mail_folder: Path | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Reads and checks the environment.

        Args:
            environ: Instead of the environment of this process.

        Raises:
            SettingsError: A variable cannot be used; it is named, with what would be right.
        """
        text = _texts(environ)
        temporal = TemporalSettings.from_env(environ)
        data_dir = Path(text("NEXUS_DATA_DIR", str(default_data_dir()))).expanduser().absolute()
        mails = text("NEXUS_MAIL_FOLDER", "")
        settings = cls(
            database_url=text("NEXUS_DATABASE_URL", sqlite_url(data_dir)),
            temporal_address=temporal.temporal_address,
            temporal_namespace=temporal.temporal_namespace,
            task_queue=temporal.task_queue,
            channels_in_worker=_yes_or_no(text, "NEXUS_CHANNELS_IN_WORKER", default=True),
            signal_roles=tuple(
                role.strip() for role in text("NEXUS_SIGNAL_ROLES", "").split(",") if role.strip()
            ),
            jwt_secret=text("NEXUS_JWT_SECRET", "") or stored_secret(data_dir),
            definitions=Path(text("NEXUS_DEFINITIONS", str(default_definitions())))
            .expanduser()
            .absolute(),
            web_ui_url=text("NEXUS_WEB_UI_URL", "http://127.0.0.1:8233").rstrip("/"),
            data_dir=data_dir,
            mail_folder=Path(mails).expanduser().absolute() if mails else None,
        )
        settings._check()
        return settings

    def require_secret(self) -> Settings:
        """These settings, if they hold a secret.

        Raises:
            SettingsError: They do not.
        """
        if not self.jwt_secret:
            raise SettingsError(
                f"NEXUS_JWT_SECRET is not set, and there is no secret in {self.data_dir}: set it, "
                "name the folder in NEXUS_DATA_DIR, or run `nexus dev` once, which makes one"
            )
        return self

    def _check(self) -> None:
        if not self.database_url.startswith(_DATABASES):
            # The value may hold a password: say what it starts with, and no more.
            scheme = self.database_url.partition(":")[0]
            raise SettingsError(
                f"NEXUS_DATABASE_URL starts with {scheme!r}: expected "
                + " or ".join(f"{known}…" for known in _DATABASES)
            )
        if not self.web_ui_url.startswith(("http://", "https://")):
            raise SettingsError(
                f"NEXUS_WEB_UI_URL is {self.web_ui_url!r}: expected http://… or https://…"
            )
        if self.jwt_secret and len(self.jwt_secret) < SECRET_MINIMUM:
            raise SettingsError(
                f"NEXUS_JWT_SECRET has {len(self.jwt_secret)} characters: expected at least "
                f"{SECRET_MINIMUM}, such as `openssl rand -hex 32` makes"
            )


def _texts(environ: Mapping[str, str] | None) -> Callable[[str, str], str]:
    env = os.environ if environ is None else environ
    return lambda name, default: env.get(name, "").strip() or default


def _yes_or_no(text: Callable[[str, str], str], name: str, *, default: bool) -> bool:
    said = text(name, str(int(default))).lower()
    if said not in {*_YES, *_NO}:
        raise SettingsError(f"{name} is {said!r}: expected 1 or 0")
    return said in _YES


def sqlite_url(data_dir: Path) -> str:
    """The URL of the database that a data folder holds."""
    return f"sqlite:///{data_dir / 'nexus.db'}"


def secret_file(data_dir: Path) -> Path:
    """Where a data folder keeps what its tokens are signed with."""
    return data_dir / "secret"


def stored_secret(data_dir: Path) -> str:
    """What a data folder's tokens are signed with; "" where none has been made yet.

    Raises:
        SettingsError: There is one, and it cannot be read.
    """
    try:
        return secret_file(data_dir).read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{secret_file(data_dir)} cannot be read: {error}") from error
