"""How long `nexus dev` takes until it is ready: with an empty data folder, and again on the same.

python -m benchmarks.dev_start [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.processes import free_port

READY = "Nexus is ready."


def start(data: Path, ports: list[int]) -> float:
    """Seconds from the command to its being ready; it is ended afterwards."""
    names = ("--api-port", "--temporal-port", "--ui-port")
    flags = [part for name, port in zip(names, ports, strict=True) for part in (name, str(port))]
    command = [sys.executable, "-m", "nexus", "dev", "--data-dir", str(data), *flags]
    since = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        took = next(
            time.perf_counter() - since for line in running.stdout if line.startswith(READY)
        )
        running.terminate()
        running.communicate()
    return took


def main(rounds: int) -> None:
    first, again = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            ports = [free_port() for _ in range(3)]
            first.append(start(Path(folder) / "data", ports))
            again.append(start(Path(folder) / "data", ports))
    for name, seconds in (("an empty data folder", first), ("a second start", again)):
        print(
            f"{name:<22} median {statistics.median(seconds):.1f} s "
            f"({min(seconds):.1f} to {max(seconds):.1f})"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    main(parser.parse_args().rounds)
