"""Channels that nobody knows, and what a definition tells them that they do not take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nexus.core.channel_kinds import ChannelKinds, Finding
from nexus.core.compiler.reader import below
from nexus.core.errors import Report, nearest
from nexus.core.program import Program
from nexus.core.reasons import several
from nexus.core.steps import ChannelStep, Run


class ChannelChecks:
    """Looks at the named settings of a definition, and at the steps that call channels."""

    def __init__(self, report: Report, program: Program, kinds: ChannelKinds) -> None:
        self._report = report
        self._own = program.channels
        self._kinds = kinds

    def check_settings(self, pointer: str) -> None:
        """Report what is wrong in `channels`.

        Args:
            pointer: Place of `channels`.
        """
        for name, settings in self._own.items():
            place = below(pointer, name)
            told = settings.get("channel")
            kind = self._kind_of(name)
            if kind is None:
                here = place if told is None else below(place, "channel")
                self._unknown(str(told or name), here, self._kinds.names())
                continue
            own = {key: value for key, value in settings.items() if key != "channel"}
            self._tell(self._kinds.check_settings(kind, own), place)

    def check_run(self, run: Run, pointer: str) -> None:
        """Report what is wrong in the calls of a run.

        Args:
            run: The run.
            pointer: Place of its stage, below which paths lead.
        """
        for path, step in run.by_path.items():
            if not isinstance(step, ChannelStep):
                continue
            place = f"{pointer}/{path}"
            kind = self._kind_of(step.channel)
            if kind is not None:
                findings = self._kinds.check_given(kind, step.given)
                self._tell(findings, below(place, "with") if step.given else place)
            elif step.channel not in self._own:  # of those it has been told
                known = dict.fromkeys((*self._own, *self._kinds.names()))
                self._unknown(step.channel, below(place, "channel"), tuple(known))

    def _kind_of(self, name: str) -> str | None:
        settings: Mapping[str, object] = self._own.get(name, {})
        told = settings.get("channel")
        return self._kinds.kind_of(told if isinstance(told, str) else name)

    def _unknown(self, name: str, pointer: str, known: Sequence[str]) -> None:
        self._report(
            "unknown_channel",
            pointer,
            f"No channel {name!r} is known here: where it runs there has to be one, or each call "
            "of it becomes an incident.",
            expected=several(known) or None,
            found=name,
            suggestion=nearest(name, known),
        )

    def _tell(self, findings: Sequence[Finding], pointer: str) -> None:
        for finding in findings:
            self._report(
                finding.code,
                pointer + finding.pointer,
                finding.message,
                expected=finding.expected,
                suggestion=finding.suggestion,
            )
