"""A port that is in use is said before anything is started, with the flag that changes it."""

from __future__ import annotations

import socket

import pytest

from nexus.cli.failures import CommandFailed
from nexus.cli.ports import require_free
from tests.support.processes import free_port


def test_free_ports_are_fine() -> None:
    ports = {"--api-port": free_port(), "--ui-port": free_port()}
    require_free(ports)
    # Asking does not take them.
    require_free(ports)


def test_a_port_in_use_names_its_flag() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandFailed, match=rf"port {port} is in use: .*with --temporal-port"):
            require_free({"--api-port": free_port(), "--temporal-port": port})


def test_one_port_for_two_is_refused() -> None:
    port = free_port()
    with pytest.raises(CommandFailed, match=rf"--api-port and --ui-port are both {port}"):
        require_free({"--api-port": port, "--ui-port": port})


def test_a_port_of_no_address_of_ours_says_why() -> None:
    with pytest.raises(CommandFailed, match="with --api-port"), socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        require_free({"--api-port": taken.getsockname()[1]})
