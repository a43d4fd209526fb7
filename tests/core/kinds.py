"""Channels as a checker is told of them: two kinds, and one name of the operator's settings."""

from collections.abc import Iterator, Mapping, Sequence

from nexus.core.channel_kinds import Finding
from nexus.core.errors import nearest

GIVEN = {"email": ("to", "subject", "text"), "log": ("text",)}
NEEDED = {"email": ("to",), "log": ()}
SETTINGS = {"email": ("from",), "log": ()}
OF_THE_OPERATOR = ("host", "password")
NAMED = {"newsletter": "email"}


class Kinds:
    """A `ChannelKinds` of `email`, `log` and `newsletter`, which is an `email`."""

    def names(self) -> Sequence[str]:
        return (*GIVEN, *NAMED)

    def kind_of(self, name: str) -> str | None:
        return name if name in GIVEN else NAMED.get(name)

    def check_settings(self, kind: str, settings: Mapping[str, object]) -> Sequence[Finding]:
        found = list(_unknown(kind, settings, (*SETTINGS[kind], *OF_THE_OPERATOR)))
        return found + [
            Finding(
                "not_for_definitions",
                f"/{key}",
                f"{key!r} of {kind!r} belongs to who operates the channel.",
                expected="the operator's settings",
            )
            for key in settings
            if key in OF_THE_OPERATOR
        ]

    def check_given(self, kind: str, given: Mapping[str, object]) -> Sequence[Finding]:
        lacking = [
            Finding("missing_key", "", f"The channel {kind!r} needs {key!r}.", expected=repr(key))
            for key in NEEDED[kind]
            if key not in given
        ]
        return [*_unknown(kind, given, GIVEN[kind]), *lacking]


def _unknown(kind: str, given: Mapping[str, object], known: Sequence[str]) -> Iterator[Finding]:
    for key in given:
        if key not in known:
            yield Finding(
                "unknown_key",
                f"/{key}",
                f"No key {key!r} in what {kind!r} takes.",
                expected=", ".join(known),
                suggestion=nearest(key, known),
            )
