"""The supervisor, on real processes: restarts, the order of the end, and nobody left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nexus.cli import supervisor as supervision
from nexus.cli.supervisor import ChildSpec, Supervisor
from tests.support.processes import wait_until

# Writes its name when asked to end, and ends.
OBEDIENT = """
import signal, sys, time
def end(*_):
    with open(sys.argv[2], "a") as file:
        file.write(sys.argv[1] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True:
    time.sleep(0.05)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True:
    time.sleep(0.05)
"""


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-u", "-c", program, *arguments]


async def until_written(log: Path, text: str, times: int = 1) -> None:
    async with asyncio.timeout(10):
        while not log.exists() or log.read_text().count(text) < times:
            await asyncio.sleep(0.02)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that has ended and waits for its parent is still there, as a zombie.
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


async def test_children_end_in_the_reverse_of_their_order(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    supervisor = Supervisor(tmp_path)
    for name in ("temporal", "worker", "api"):
        supervisor.start(ChildSpec(name, python(OBEDIENT, name, str(ended))))
        await until_written(tmp_path / f"{name}.log", "up")
    await supervisor.stop()
    assert ended.read_text().split() == ["api", "worker", "temporal"]


async def test_a_child_that_does_not_end_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor = Supervisor(tmp_path)
    child = supervisor.start(ChildSpec("worker", python(STUBBORN), grace=0.3))
    await until_written(tmp_path / "worker.log", "up")
    pid = child.pid
    assert pid is not None
    await supervisor.stop()
    assert not exists(pid)
    assert "worker did not end within 0 s and is killed" in capsys.readouterr().err


async def test_whoever_asks_twice_need_not_wait(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    supervisor.start(ChildSpec("worker", python(STUBBORN), grace=60))
    await until_written(tmp_path / "worker.log", "up")
    stopping = asyncio.create_task(supervisor.stop())
    await asyncio.sleep(0.1)
    supervisor.kill()
    await asyncio.wait_for(stopping, 5)


async def test_a_child_that_dies_is_started_again_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor = Supervisor(tmp_path)
    log = tmp_path / "worker.log"
    child = supervisor.start(ChildSpec("worker", python(STUBBORN), grace=0.1))
    await until_written(log, "up")
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until_written(log, "up", times=2)
    assert child.pid != first
    assert child.deaths == 1
    await supervisor.stop()
    assert "worker was ended by SIGKILL; it starts again in 0.5 s" in capsys.readouterr().err


async def test_pauses_grow_while_a_child_keeps_dying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(supervision, "LONGEST_PAUSE", 0.03)
    supervisor = Supervisor(tmp_path)
    child = supervisor.start(ChildSpec("worker", python("raise SystemExit(3)")))
    async with asyncio.timeout(20):
        while child.deaths < 4:
            await asyncio.sleep(0.02)
    await supervisor.stop()
    said = capsys.readouterr().err
    for pause in ("0.01", "0.02", "0.03"):
        assert f"worker ended with exit code 3; it starts again in {pause} s" in said


async def test_a_program_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor = Supervisor(tmp_path)
    child = supervisor.start(ChildSpec("temporal", [str(tmp_path / "nothing")]))
    async with asyncio.timeout(10):
        while not child.deaths:
            await asyncio.sleep(0.02)
    await supervisor.stop()
    assert "temporal cannot be started (No such file or directory)" in capsys.readouterr().err


async def test_output_goes_to_the_log_and_what_is_loud_to_the_console(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "x" * 200_000
    program = "print('quiet'); print('LOUD'); print('x' * 200_000); import time; time.sleep(60)"
    supervisor = Supervisor(tmp_path)
    supervisor.start(
        ChildSpec("api", python(program), echo=lambda line: line if line.isupper() else None)
    )
    await until_written(tmp_path / "api.log", long)
    await supervisor.stop()
    assert (tmp_path / "api.log").read_text() == f"quiet\nLOUD\n{long}\n"
    assert capsys.readouterr().err == "api: LOUD\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent")
def test_a_supervisor_that_is_killed_leaves_nobody_behind(tmp_path: Path) -> None:
    program = f"""
import asyncio, pathlib, sys
from nexus.cli.supervisor import ChildSpec, Supervisor
async def main():
    supervisor = Supervisor(pathlib.Path({str(tmp_path)!r}))
    child = supervisor.start(ChildSpec("worker", [sys.executable, "-u", "-c", {STUBBORN!r}]))
    while child.pid is None:
        await asyncio.sleep(0.01)
    print(child.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen(python(program), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        child = int(running.stdout.readline())
        assert exists(child)
        assert os.getpgid(child) == os.getpgid(running.pid), "the child left the process group"
        time.sleep(0.2)
        running.kill()
        wait_until(lambda: not exists(child), seconds=5, what="the end of the child")
