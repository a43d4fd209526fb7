"""The watched folder of definitions (R23): what is saved there is live for new instances.

Every `*.json` of the folder and of its subfolders is a definition for all
tenants; `*.scenarios.json`, hidden files and what editors leave behind are
not. A file that cannot run is reported and changes nothing: what was last
taken from it stays live. A file that is removed changes nothing either, since
instances of it may be running.

What changed is found by looking at the files' stamps. The operating system's
notifications only say when to look, so a missed one costs a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from anyio import to_thread
from watchfiles import awatch

from api.metrics import FOLDER_PROBLEMS
from api.problems import present_finding
from nexus.core.channel_kinds import ChannelKinds
from nexus.core.commands import SYSTEM
from nexus.core.compiler import Compiled, load_definition
from nexus.core.errors import DefinitionError
from nexus.core.json_text import MAX_BYTES
from storage.definitions import NewDefinition, PutOutcome, put
from storage.engine import Engine
from storage.errors import is_unavailable
from storage.scope import writing_shared

log = structlog.get_logger("api.folder")

LOOK_EVERY = 1.0
"""Seconds between two looks where nothing notifies us."""
_HALF_WRITTEN = 0.2
"""Seconds until a file that does not compile is read again: its editor may not be done."""
_DEBOUNCE_MS = 100
_STAYS = "{} {} stays as it was last taken from it"
_NOTHING_TAKEN = "nothing has been taken from it since the start"

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A file as it was last taken."""

    stamp: Stamp
    defines: tuple[str, str] | None = None


class DefinitionsFolder:
    """Keeps the stored definitions of all tenants as the folder has them.

    Args:
        engine: The database that they go to.
        path: The folder; it may be missing, and appear later.
        channels: What its definitions may call; without them, no word is said about that.
    """

    def __init__(self, engine: Engine, path: Path, channels: ChannelKinds | None = None) -> None:
        self._engine = engine
        self._channels = channels
        self._path = path
        self._loaded: dict[Path, _Loaded] = {}
        self._problems: dict[Path, tuple[str, ...]] = {}
        self._doubles: set[Path] = set()
        self._missing = False
        self._looked = asyncio.Event()
        self._fault = ""

    @property
    def problems(self) -> Mapping[str, tuple[str, ...]]:
        """What keeps files from being live now, by file: each a line with its place, errors first.

        The remarks on such a file follow its errors.
        """
        return {str(path): lines for path, lines in sorted(self._problems.items())}

    async def run(self) -> None:
        """Watch until cancelled; the first look is part of it."""
        async for _ in self._reasons_to_look():
            try:
                await to_thread.run_sync(self.look)
            except Exception as error:
                # Watching goes on whatever happens: a table may be migrated, a fault be mended.
                if str(error) != self._fault:
                    log.exception("definitions_folder_not_read", folder=str(self._path))
                self._fault = str(error)
            else:
                self._fault = ""
            self._looked.set()

    async def looked(self, seconds: float) -> bool:
        """Wait for the first look, but no longer than this; whether it was taken."""
        try:
            await asyncio.wait_for(self._looked.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def look(self) -> None:
        """Take what is new or has changed since the last look. Blocks."""
        try:
            found = self._files()
            # First, so that a file that was renamed is not taken for a second one.
            gone = self._loaded.keys() - found.keys()
            for path in gone:
                self._forget(path)
            changed = {
                path: stamp
                for path, stamp in found.items()
                if path not in self._loaded or self._loaded[path].stamp != stamp
            }
            for path, stamp in changed.items():
                self._take(path, stamp)
            if gone or changed:
                # What another file has defined may be free now.
                for path in sorted(self._doubles - changed.keys()):
                    self._take(path, found[path])
        except Exception as error:
            if not is_unavailable(error):
                raise
            # Nothing is marked as taken, so the next look tries again.
            log.warning("definitions_folder_waits_for_database", error=str(error))
        FOLDER_PROBLEMS.set(len(self._problems))

    async def _reasons_to_look(self) -> AsyncIterator[None]:
        while True:
            yield
            try:
                async for _ in awatch(
                    self._path,
                    debounce=_DEBOUNCE_MS,
                    step=20,
                    rust_timeout=int(LOOK_EVERY * 1000),
                    yield_on_timeout=True,
                ):
                    yield
            except (OSError, RuntimeError):
                # No such folder, or no notifications left: look by the clock.
                await asyncio.sleep(LOOK_EVERY)

    def _files(self) -> dict[Path, Stamp]:
        if not self._path.is_dir():
            if not self._missing:
                log.warning("definitions_folder_missing", folder=str(self._path))
            self._missing = True
            return {}
        self._missing = False
        found: dict[Path, Stamp] = {}
        for path in sorted(self._path.rglob("*.json")):
            inner = path.relative_to(self._path)
            if any(part.startswith((".", "~", "#")) for part in inner.parts):
                continue
            if path.name.endswith(".scenarios.json"):
                continue
            try:
                status = path.stat()
            except OSError:
                continue  # gone since it was listed, or a dangling link
            if path.is_file():
                found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return found

    def _forget(self, path: Path) -> None:
        defined = self._loaded.pop(path).defines
        self._problems.pop(path, None)
        self._doubles.discard(path)
        note = _STAYS.format(*defined) if defined else _NOTHING_TAKEN
        log.info("definition_file_removed", file=str(path), note=note)

    def _take(self, path: Path, stamp: Stamp) -> None:
        try:
            compiled = self._read(path)
        except FileNotFoundError:
            return  # renamed away in this moment; the next look sees what came of it
        except OSError as error:
            self._report(path, stamp, (f"{path}: cannot be read: {error.strerror or error}",))
            return
        except DefinitionError as error:
            told = sorted(error.problems, key=lambda found: found.severity != "error")
            self._report(path, stamp, tuple(map(str, told)))
            return
        program = compiled.program
        defines = (program.id, program.version)
        for other, loaded in self._loaded.items():
            if other != path and loaded.defines == defines:
                line = f"{path}: defines {program.id!r} {program.version}, as {other} does already"
                self._report(path, stamp, (line,), is_double=True)
                return
        with writing_shared(self._engine) as session:
            _, outcome = put(
                session,
                NewDefinition(
                    id=program.id,
                    version=program.version,
                    text=compiled.text,
                    source="folder",
                    by=f"{SYSTEM}:folder",
                    at=datetime.now(UTC),
                    label=program.label,
                    domain=program.domain,
                    warnings=[present_finding(warning) for warning in compiled.warnings],
                ),
                on_conflict="revise",
                activate_unchanged=path in self._loaded,
            )
        self._tell(path, compiled, outcome)
        self._loaded[path] = _Loaded(stamp, defines)
        self._problems.pop(path, None)
        self._doubles.discard(path)

    @staticmethod
    def _tell(path: Path, compiled: Compiled, outcome: PutOutcome) -> None:
        if outcome == "unchanged":
            return
        program = compiled.program
        told = {"file": str(path), "definition": program.id, "version": program.version}
        for warning in compiled.warnings:
            log.warning("definition_remark", **told, remark=str(warning))
        if outcome == "revised":
            log.warning(
                "definition_revised",
                **told,
                note="other content under the same version: running instances keep what they have",
            )
        else:
            log.info("definition_live", **told, outcome=outcome)

    def _read(self, path: Path) -> Compiled:
        try:
            return self._compile(path)
        except DefinitionError:
            time.sleep(_HALF_WRITTEN)
            return self._compile(path)

    def _compile(self, path: Path) -> Compiled:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)  # one more than allowed is refused as too large
        return load_definition(content, str(path), self._channels)

    def _report(
        self, path: Path, stamp: Stamp, lines: tuple[str, ...], *, is_double: bool = False
    ) -> None:
        known = self._loaded.get(path)
        is_told = known is not None and known.stamp == stamp and self._problems.get(path) == lines
        # What it defined before stays its own, so that no other file takes it over.
        defined = known.defines if known else None
        self._loaded[path] = _Loaded(stamp, defined)
        self._problems[path] = lines
        (self._doubles.add if is_double else self._doubles.discard)(path)
        if not is_told:
            note = _STAYS.format(*defined) if defined else _NOTHING_TAKEN
            log.error("definition_broken", file=str(path), problems=lines, note=note)
