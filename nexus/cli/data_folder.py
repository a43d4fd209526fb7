"""The folder in which one machine keeps everything: databases, secret, logs, and a lock."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nexus.cli.failures import CommandFailed
from nexus.settings import SECRET_MINIMUM, secret_file

MAIL_PORT = "NEXUS_MAIL_PORT"  # where `nexus dev` has its mail catcher


@dataclass(frozen=True, slots=True)
class DataFolder:
    """An opened data folder. It stays locked until this process ends.

    Attributes:
        path: The folder, absolute.
        lock: The open lock file; closing it gives the folder free.
    """

    path: Path
    lock: BinaryIO

    @property
    def temporal_database(self) -> Path:
        """The file of Temporal's development server."""
        return self.path / "temporal.db"

    @property
    def logs(self) -> Path:
        """The folder of the children's logs."""
        return self.path / "logs"

    @property
    def mails(self) -> Path:
        """The folder of the mail catcher."""
        return self.path / "mails"

    def channels(self) -> Path:
        """The operator's settings of channels: made at the first call, and left alone after.

        Mails go to the catcher, webhooks are signed with a secret that is made here as well.
        """
        file, secret = self.path / "channels.json", self.path / "webhook.secret"
        if not secret.exists():
            key = base64.b64encode(secrets.token_bytes(32)).decode()
            _make(secret, f"whsec_{key}\n")
        if not file.exists():
            settings = {
                "*": {
                    "email": {
                        "host": "127.0.0.1",
                        "port": {"env": MAIL_PORT},
                        "security": "none",
                        "from": "Nexus <nexus@nexus.example>",
                        "fromDomains": ["*"],
                    },
                    "webhook": {"secrets": [{"file": str(secret)}]},
                }
            }
            _make(file, json.dumps(settings, indent=2) + "\n")
        return file

    def secret(self) -> str:
        """What tokens are signed with; made at the first call.

        Raises:
            CommandFailed: The file holds something too short to be a key.
        """
        file = secret_file(self.path)
        if not file.exists():
            _make(file, secrets.token_hex(32) + "\n")
        stored = file.read_text(encoding="ascii", errors="replace").strip()
        if len(stored) < SECRET_MINIMUM:
            raise CommandFailed(
                f"{file} is too short to be a key: remove it, and a new one is made (tokens given "
                "out so far end with it)"
            )
        return stored


def _make(file: Path, content: str) -> None:
    """Written aside and moved, so that a kill never leaves half of it; for its owner alone."""
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as target:
        target.write(content)
    fresh.replace(file)


def open_data_folder(path: Path) -> DataFolder:
    """Makes, checks and locks a data folder.

    Raises:
        CommandFailed: It is not a folder, cannot be written, is in use, or holds a database that
            cannot be read.
    """
    path = path.expanduser().absolute()
    advice = "give another folder with --data-dir"
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise CommandFailed(f"the data folder {path} {_hindrance(path, error)}: {advice}") from None
    lock = _lock(path, advice)
    for name in ("nexus.db", "temporal.db"):
        _check_database(path / name, advice)
    return DataFolder(path=path, lock=lock)


def _hindrance(path: Path, error: OSError) -> str:
    """Why a folder, or `logs` in it, could not be made: what stands there instead, or the error."""
    for place in (path / "logs", path, *path.parents):
        try:
            in_the_way = place.exists() and not place.is_dir()
        except OSError:
            continue  # not ours to look at, so the error itself says more
        if in_the_way:
            if place == path:
                return "is a file"
            how = "used" if place.parent == path else "made"
            return f"cannot be {how}, since {place} is a file"
    how = "written" if path.is_dir() else "made"
    return f"cannot be {how} ({error.strerror})"


def _lock(path: Path, advice: str) -> BinaryIO:
    try:
        lock = (path / "lock").open("a+b")
    except OSError as error:
        raise CommandFailed(
            f"the data folder {path} cannot be written ({error.strerror}): {advice}"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().decode("ascii", "replace").strip()
        lock.close()
        raise CommandFailed(
            f"another `nexus dev`{f' (process {holder})' if holder else ''} uses the data folder "
            f"{path}: stop it, or {advice}"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n".encode("ascii"))
    lock.flush()
    return lock


def _check_database(file: Path, advice: str) -> None:
    if not file.exists():
        return
    try:
        connection = sqlite3.connect(f"file:{file}?mode=rw", uri=True)
        try:
            # Reads the header and the schema, whatever the size of the file.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise CommandFailed(
            f"the database {file} cannot be used ({error}): restore it from a backup, move it "
            f"away to begin anew, or {advice}"
        ) from error
