"""Channels are found through entry points; one that cannot be used stops the start in words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nexus.channels import ChannelLoadError, SettingsFileError, load_channels

GOOD = """
from nexus.contracts import Channel, Strict

class Nothing(Strict):
    pass

class Pigeon(Channel[Nothing, Nothing]):
    name = "pigeon"
    Settings = Nothing
    Parameters = Nothing

    async def execute(self, call):
        return {"flown": call.key}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a package on the path, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def put(
        code: str, entry: str = "pigeon = pigeon_post:Pigeon", package: str = "pigeons"
    ) -> None:
        module = entry.partition("= ")[2].partition(":")[0]
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[nexus.channels]\n{entry}\n")

    yield put
    for name in set(sys.modules) - before:
        if name.startswith("pigeon"):
            del sys.modules[name]


def test_channels_of_installed_packages_stand_beside_our_own(install: Callable[..., None]) -> None:
    """FR-L2-010, FR-EXT-001."""
    install(GOOD)
    assert "pigeon" in load_channels().seen_by(None).names()
    assert "log" in load_channels().seen_by(None).names()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import not_there_at_all", "ModuleNotFoundError: No module named"),
        ("raise RuntimeError('no licence\\nat all')", "RuntimeError: no licence at all"),
        ("class Pigeon: pass", "no subclass of nexus.contracts.Channel"),
        ("pass", "AttributeError"),
        (GOOD.replace('"pigeon"', '"dove"'), "its 'name' is 'dove', not 'pigeon'"),
        (GOOD.replace("Settings = Nothing", "Settings = dict"), "'Settings' is no pydantic model"),
        (GOOD.replace("    Parameters = Nothing\n", ""), "'Parameters' is no pydantic model"),
        (GOOD.replace("execute", "other"), "cannot be made: TypeError"),
    ],
)
def test_one_that_fails_to_load_stops_the_start_in_one_line(
    install: Callable[..., None], code: str, why: str
) -> None:
    install(code)
    with pytest.raises(ChannelLoadError) as caught:
        load_channels()
    told = str(caught.value)
    assert told.startswith("the channel 'pigeon' of the package 'pigeons' (pigeon_post:Pigeon)")
    assert why in told
    assert "\n" not in told


def test_nobody_takes_the_name_of_another(install: Callable[..., None]) -> None:
    install(GOOD.replace('"pigeon"', '"log"'), "log = pigeon_post:Pigeon")
    with pytest.raises(ChannelLoadError, match="'log' is taken by Nexus itself"):
        load_channels()


def test_two_packages_with_one_name_are_both_named(install: Callable[..., None]) -> None:
    install(GOOD)
    install(GOOD, "pigeon = pigeon_mail:Pigeon", "rivals")
    with pytest.raises(ChannelLoadError, match=r"'rivals'.*taken by the package 'pigeons'"):
        load_channels()


def test_the_operators_file_is_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "channels.json"
    path.write_text('{"*": {"mine": {"channel": "log"}}}')
    monkeypatch.setenv("NEXUS_CHANNELS", str(path))
    assert "mine" in load_channels().seen_by(None).names()
    path.write_text("{")
    with pytest.raises(SettingsFileError):
        load_channels()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('{"*": {"email": {"hots": "a"}}}', "/*/email/hots: there is no such setting"),
        ('{"*": {"email": {"hots": "a"}}}', "did you mean 'host'?"),
        ('{"*": {"email": {"port": "many"}}}', "/*/email/port: "),
        ('{"a/b": {"email": {"port": 0}}}', "/a~1b/email/port: "),
        ('{"*": {"webhook": {"secrets": "abc"}}}', "/*/webhook/secrets: "),
        ('{"*": {"mine": {"channel": "emial"}}}', "/*/mine/channel: no channel 'emial' is"),
        ('{"*": {"mine": {"channel": "emial"}}}', "did you mean 'email'?"),
        ('{"*": {"mine": {"channel": "log"}}, "a": {"mine": {"x": 1}}}', "/a/mine/x: "),
    ],
)
def test_settings_that_no_channel_knows_stop_the_start(
    tmp_path: Path, settings: str, says: str
) -> None:
    path = tmp_path / "channels.json"
    path.write_text(settings)
    with pytest.raises(SettingsFileError) as caught:
        load_channels(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ")
    assert says in told
    assert "\n" not in told
    assert "'abc'" not in told


@pytest.mark.parametrize(
    "settings",
    [
        '{"*": {"email": {"password": {"env": "NOT_SET_HERE"}}}}',
        '{"*": {"email": {"replyTo": "a@b.example"}}, "a": {"email": {"reply_to": "c@d.example"}}}',
        '{"a": {"named": {"from": "its kind is known to a definition"}}}',
        '{"*": {"webhook": {"secrets": [{"env": "NOT_SET_HERE"}]}}}',
    ],
)
def test_what_only_a_call_can_find_out_stops_no_start(tmp_path: Path, settings: str) -> None:
    path = tmp_path / "channels.json"
    path.write_text(settings)
    assert "log" in load_channels(path).seen_by("a").names()


def test_settings_that_become_unknown_leave_the_last_good_ones(tmp_path: Path) -> None:
    path = tmp_path / "channels.json"
    path.write_text('{"*": {"mine": {"channel": "log"}}}')
    channels = load_channels(path)
    path.write_text('{"*": {"theirs": {"channel": "nothing"}}}')
    assert channels.seen_by(None).kind_of("mine") == "log"
