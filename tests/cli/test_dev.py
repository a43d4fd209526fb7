"""`nexus dev` as a person runs it: ready, used, ended, killed, and started again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.commands import nexus
from tests.support.processes import free_port, listens, unmeasured, wait_until

READY = "Nexus is ready."


class Dev:
    """A running `nexus dev`, in a process group of its own as a terminal would give it."""

    def __init__(self, data: Path, *more: str, ports: tuple[int, int, int] | None = None) -> None:
        self.data = data
        self.ports = ports or (free_port(), free_port(), free_port())
        self.url = f"http://127.0.0.1:{self.ports[0]}"
        self.console = data.with_suffix(".console")
        api, temporal, ui = (str(port) for port in self.ports)
        begun = time.monotonic()
        with self.console.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "nexus", "dev", "--data-dir", str(data), *more),
                    *("--api-port", api, "--temporal-port", temporal, "--ui-port", ui),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=unmeasured(),
            )
        wait_until(self.said(READY), seconds=60, what=f"'{READY}'")
        self.ready_after = time.monotonic() - begun

    def said(self, words: str) -> Callable[[], bool]:
        """Whether the console shows these words, to be asked again and again."""

        def shown() -> bool:
            if words in self.console.read_text():
                return True
            assert self.process.poll() is None, self.console.read_text()
            return False

        return shown

    def headers(self, user: str, *roles: str) -> dict[str, str]:
        """The headers of a user, with a token of `nexus token`."""
        wanted = [word for role in roles for word in ("--role", role)]
        done = nexus(
            *("token", "--tenant", "acme", "--user", user, *wanted, "--data-dir", str(self.data))
        )
        return {"Authorization": f"Bearer {done.stdout.strip()}"}

    def children(self) -> dict[str, int]:
        """Name of each part → its process id."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                words = (folder / "cmdline").read_bytes().decode().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(parent) == self.process.pid and int(folder.name) != self.process.pid:
                # Beside the parts, a command may run for a moment; until it does, its process
                # is a copy of this one.
                name = words[3] if words[1:3] == ["-m", "nexus"] else Path(words[0]).name
                if name not in {"temporal", "dev"} or "start-dev" in words:
                    found[name] = int(folder.name)
        return found

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Asks for the end of `nexus dev` alone, and returns its exit code."""
        self.process.send_signal(how)
        return self.process.wait(30)

    def clean_up(self) -> None:
        """Leaves nothing behind, however the test went."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


@pytest.fixture
def start() -> Iterator[Callable[..., Dev]]:
    """Starts `nexus dev`, as often as a test wants."""
    running: list[Dev] = []

    def begin(data: Path, *more: str, ports: tuple[int, int, int] | None = None) -> Dev:
        running.append(Dev(data, *more, ports=ports))
        return running[-1]

    yield begin
    for dev in running:
        dev.clean_up()


def start_lead(dev: Dev, subject: str) -> httpx.Response:
    return httpx.post(
        f"{dev.url}/v1/instances",
        headers=dev.headers("ann"),
        json={
            "definition": "sales-pipeline",
            "subject": {"type": "lead", "id": subject},
            "data": {"score": 60},
        },
        timeout=30,
    )


def nothing_is_left(dev: Dev) -> bool:
    return not any(listens(port) for port in dev.ports)


def test_what_the_console_says_can_be_used_as_it_stands(
    start: Callable[..., Dev], tmp_path: Path
) -> None:
    dev = start(tmp_path / "data")
    said = dev.console.read_text()
    token = re.search(r"^  export TOKEN=(\S+)$", said, re.MULTILINE)
    curl = re.search(r"^  (curl .*\\\n.*\\\n.*)$", said, re.MULTILINE)
    assert token is not None
    assert curl is not None
    assert f"{dev.url}/docs" in said
    assert str(dev.data) in said

    done = subprocess.run(
        ["sh", "-c", f"TOKEN={token[1]}\n{curl[1]}"], capture_output=True, text=True, check=True
    )
    instance = json.loads(done.stdout)
    assert (instance["status"], instance["state"]) == ("active", "new")
    assert instance["web_ui"].startswith(f"http://127.0.0.1:{dev.ports[2]}/")
    assert httpx.get(f"http://127.0.0.1:{dev.ports[2]}/", timeout=10).status_code == 200

    other = re.search(r"^  (\S.* token --tenant .*)$", said, re.MULTILINE)
    assert other is not None
    made = subprocess.run(  # from anywhere
        ["sh", "-c", other[1]], capture_output=True, text=True, check=True, cwd="/"
    )
    bearer = {"Authorization": f"Bearer {made.stdout.strip()}"}
    assert httpx.get(f"{dev.url}/v1/instances", headers=bearer).status_code == 200
    assert dev.end() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_being_asked_to_end_ends_every_child(
    how: signal.Signals, start: Callable[..., Dev], tmp_path: Path
) -> None:
    dev = start(tmp_path / "data")
    parts = ["api", "mail-catcher", "temporal", "worker"]
    wait_until(lambda: sorted(dev.children()) == parts, seconds=20)
    children = dev.children()
    for pid in children.values():
        assert os.getpgid(pid) == dev.process.pid, "a child left the process group"
    assert dev.end(how) == 0
    assert nothing_is_left(dev)
    assert not any(Path(f"/proc/{pid}").exists() for pid in children.values())
    said = dev.console.read_text()
    assert "Traceback" not in said
    assert "starts again" not in said


def test_ctrl_c_reaches_the_whole_group_and_ends_cleanly(
    start: Callable[..., Dev], tmp_path: Path
) -> None:
    dev = start(tmp_path / "data")
    os.killpg(dev.process.pid, signal.SIGINT)
    assert dev.process.wait(30) == 0
    assert nothing_is_left(dev)
    assert "Traceback" not in dev.console.read_text()
    for name in ("api", "worker"):
        assert "Traceback" not in (dev.data / "logs" / f"{name}.log").read_text()


def test_a_second_start_finds_everything_as_it_was(
    start: Callable[..., Dev], tmp_path: Path
) -> None:
    first = start(tmp_path / "data")
    started = start_lead(first, "kept")
    assert started.status_code == 201, started.text
    path = f"/v1/instances/{started.json()['id']}"
    before = httpx.get(first.url + path, headers=first.headers("ann")).json()
    token = first.headers("ann")
    assert first.end() == 0

    second = start(tmp_path / "data", ports=first.ports)
    assert httpx.get(second.url + path, headers=token).json() == before
    taken = httpx.post(f"{second.url}{path}/actions/qualify", headers=token, json={}, timeout=30)
    assert (taken.status_code, taken.json()["state"]) == (200, "qualified")


def test_after_a_kill_of_the_whole_group_nothing_acknowledged_is_lost(
    start: Callable[..., Dev], tmp_path: Path
) -> None:
    first = start(tmp_path / "data")
    acknowledged = [start_lead(first, f"lead-{number}").json() for number in range(10)]
    os.killpg(first.process.pid, signal.SIGKILL)
    first.process.wait(10)
    wait_until(lambda: nothing_is_left(first), seconds=5, what="the end of all children")

    second = start(tmp_path / "data", ports=first.ports)
    headers = second.headers("ann")
    for instance in acknowledged:
        path = f"{second.url}/v1/instances/{instance['id']}"
        assert httpx.get(path, headers=headers).json() == instance
        taken = httpx.post(f"{path}/actions/qualify", headers=headers, json={}, timeout=30)
        assert (taken.status_code, taken.json()["state"]) == (200, "qualified")


def test_a_kill_of_the_command_alone_takes_its_children_along(
    start: Callable[..., Dev], tmp_path: Path
) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells children of the end of their parent")
    dev = start(tmp_path / "data")
    dev.process.kill()
    dev.process.wait(10)
    wait_until(lambda: nothing_is_left(dev), seconds=5, what="the end of all children")


@pytest.mark.parametrize("part", ["api", "worker", "temporal"])
def test_a_part_that_dies_comes_back(part: str, start: Callable[..., Dev], tmp_path: Path) -> None:
    dev = start(tmp_path / "data")
    os.kill(dev.children()[part], signal.SIGKILL)
    wait_until(dev.said(f"{part} was ended by SIGKILL; it starts again in 0.5 s"))

    def works() -> bool:
        try:
            return start_lead(dev, f"after-{part}").status_code in {201, 409}
        except httpx.TransportError:
            return False

    wait_until(works, seconds=60, what="an instance started after that")
    assert dev.end() == 0


def test_a_second_command_on_the_same_folder_is_refused(
    start: Callable[..., Dev], tmp_path: Path
) -> None:
    dev = start(tmp_path / "data")
    ports = [str(free_port()) for _ in range(3)]
    done = nexus(
        *("dev", "--data-dir", str(dev.data), "--api-port", ports[0]),
        *("--temporal-port", ports[1], "--ui-port", ports[2]),
    )
    assert done.returncode == 1
    assert f"another `nexus dev` (process {dev.process.pid})" in done.stderr


def test_the_demo_walks_both_pipelines_and_the_platform_stays(
    start: Callable[..., Dev], tmp_path: Path
) -> None:
    dev = start(tmp_path / "data", "--demo")
    wait_until(dev.said("ann takes activate → active"), seconds=60)
    said = dev.console.read_text()
    assert "refused: The condition of 'qualify' does not hold" in said
    assert "ann takes qualify → qualified" in said
    assert "instance_started" in said
    wait_until(dev.said("takes win → won, completed"), seconds=60)
    said = dev.console.read_text()
    assert "mail Welcome, Lea → caught" in said
    assert "crm gets a webhook → its signature is right" in said
    assert "newsletter answers 410 → incident" in said
    assert "retries the incident → resolved: 2 tries under one webhook-id" in said
    mails = httpx.get(f"{dev.url}/v1/mails", headers=dev.headers("admin", "admin"), timeout=10)
    assert [mail["subject"] for mail in mails.json()["items"]] == ["Welcome, Lea"]
    time.sleep(1)
    assert httpx.get(f"{dev.url}/readyz", timeout=10).status_code == 200
    assert dev.end() == 0


def test_a_definition_that_is_saved_is_live_within_two_seconds(
    start: Callable[..., Dev], tmp_path: Path
) -> None:
    definitions = tmp_path / "definitions"
    definitions.mkdir()
    dev = start(tmp_path / "data", "--definitions", str(definitions))
    (definitions / "tiny.json").write_text(
        '{"id": "tiny", "version": "1.0.0", "entities": {"ticket": {"stages": ["open", "done"]}},'
        ' "transitions": {"finish": {"from": "open", "to": "done"}}}'
    )
    wait_until(dev.said("tiny 1.0.0 is live for new instances"), seconds=2)
    started = httpx.post(
        f"{dev.url}/v1/instances",
        headers=dev.headers("ann"),
        json={"definition": "tiny", "subject": {"type": "ticket", "id": "1"}},
        timeout=30,
    )
    assert started.status_code == 201
