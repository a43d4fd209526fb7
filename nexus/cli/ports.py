"""Whether a TCP port can be had, asked before anything is started on it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping

from nexus.cli.failures import CommandFailed

LOOPBACK = "127.0.0.1"


def require_free(wanted: Mapping[str, int]) -> None:
    """Checks the ports that a command is about to use.

    Args:
        wanted: Flag of the command → port, such as `{"--api-port": 8000}`.

    Raises:
        CommandFailed: A port is taken, or is named twice; the flag that chooses it is named.
    """
    flags: dict[int, str] = {}
    for flag, port in wanted.items():
        if port in flags:
            raise CommandFailed(f"{flags[port]} and {flag} are both {port}: give one another port")
        flags[port] = flag
        _require_free(flag, port)


def _require_free(flag: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a server that has ended are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                reason = "is in use"
            else:
                reason = f"cannot be used ({error.strerror})"
            raise CommandFailed(
                f"port {port} {reason}: end what uses it, or give another one with {flag}"
            ) from error


def free_port(wanted: int) -> int:
    """The port that is wanted, or another one where somebody has it."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            # As a server would, so that what has just been given back counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise CommandFailed("this machine has no free port")
