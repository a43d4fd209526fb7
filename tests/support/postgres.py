"""A PostgreSQL for tests, made from the installed programs; it never runs as root."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.support.processes import Service, free_port, wait_until

# Whom the tests connect as. Not `nexus`, which is the role of production.
SUPERUSER = "nexus_superuser"


class PostgresServer:
    """A PostgreSQL server that a test may take away for a while.

    Attributes:
        port: Its TCP port on the loopback address.
        service: The postmaster's process.
    """

    def __init__(self) -> None:
        initdb, postgres = shutil.which("initdb"), shutil.which("postgres")
        assert initdb is not None, "PostgreSQL's initdb is not on PATH"
        assert postgres is not None, "PostgreSQL's postgres is not on PATH"
        self.port = free_port()
        # Not below pytest's folders: those are closed to the user that PostgreSQL runs as.
        self._folder = Path(tempfile.mkdtemp(prefix="nexus-pg-"))
        user = _other_user()
        if user is not None:
            entry = pwd.getpwnam(user)
            os.chown(self._folder, entry.pw_uid, entry.pw_gid)
        data = self._folder / "data"
        subprocess.run(
            [initdb, "-D", data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            check=True,
            capture_output=True,
            user=user,
            cwd=self._folder,
        )
        # These hold no data that anybody will miss after a crash of the machine.
        fast = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
        settings = ("listen_addresses=127.0.0.1", "max_connections=200", *fast)
        options = [part for setting in settings for part in ("-c", setting)]
        self.service = Service(
            [postgres, *("-D", str(data), "-p", str(self.port), "-k", str(self._folder)), *options],
            self._folder.with_suffix(".log"),
            user=user,
        )

    def start(self) -> None:
        """Starts the server, and returns once it takes connections."""
        self.service.start()
        wait_until(self._answers, what=f"PostgreSQL at {self.port}")

    def stop(self) -> None:
        """Takes the server away, and every connection with it; `start` brings it back."""
        self.service.stop(signal.SIGINT)

    def remove(self) -> None:
        """Ends the server, and removes all that it has written."""
        self.service.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)
        self.service.log.unlink(missing_ok=True)

    def make_database(self) -> str:
        """Makes an empty database; returns its SQLAlchemy URL."""
        name = f"nexus_{secrets.token_hex(6)}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"postgresql+psycopg://{SUPERUSER}@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Removes a database that `make_database` made, and ends who still uses it."""
        name = url.rpartition("/")[2]
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

    def _conninfo(self, database: str) -> str:
        return (
            f"host=127.0.0.1 port={self.port} user={SUPERUSER} dbname={database} connect_timeout=2"
        )

    def _answers(self) -> bool:
        assert self.service.alive, f"PostgreSQL ended:\n{self.service.output()[-2000:]}"
        try:
            psycopg.connect(self._conninfo("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True


def _other_user() -> str | None:
    """Whom PostgreSQL runs as, where we are root; it refuses to be root itself."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise AssertionError("PostgreSQL does not run as root, and there is no user for it")
