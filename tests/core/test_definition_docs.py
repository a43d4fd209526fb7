"""What the page of the language shows is true."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nexus.core import load_definition
from nexus.core.language import NO_EFFECT_YET, NO_EFFECT_YET_VALUES, STEP_MEMBERS, STEPS
from tests.core.kinds import Kinds

PAGE = (Path(__file__).parents[2] / "docs" / "definitions.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```json ?(\w*)\n(.*?)\n```$", PAGE, re.DOTALL | re.MULTILINE)


def definition() -> Any:
    return next(json.loads(text) for kind, text in BLOCKS if kind == "")


def shown(kind: str) -> Any:
    (text,) = (text for language, text in BLOCKS if language == kind)
    return json.loads(text)


def test_the_definition_shown_is_beyond_reproach() -> None:
    assert load_definition(json.dumps(definition())).warnings == ()


def test_the_run_and_the_settings_shown_fit_into_it() -> None:
    document = definition()
    document["entities"]["lead"]["fields"].append("phone")
    document["channels"] = shown("channels")
    document["entities"]["lead"]["stages"][1]["run"] = [
        shown("run"),
        {"channel": "welcome-mail", "with": {"to": "x"}},
    ]
    for condition in (
        "steps.welcome.outcome == 'done'",
        "steps.call.by == 'ann' and has(steps.call.data.note)",
        "steps['welcome-mail'].response == 1",
    ):
        document["transitions"]["win"]["condition"] = condition
        (warning,) = load_definition(json.dumps(document), "", Kinds()).warnings
        assert (warning.code, warning.found) == ("unknown_channel", "'sms'")


def test_each_step_and_what_it_shows_is_told() -> None:
    section = PAGE.split("## Steps")[1].split("## Built-in actions")[0]
    told = section + PAGE.split("## What has no effect yet")[1]
    assert [kind for kind in STEPS if f'{{"{kind}"' not in told and f"`{kind}`" not in told] == []
    for members in STEP_MEMBERS.values():
        assert [member for member in members if f"`{member}`" not in section] == []


@pytest.mark.parametrize("key", [*(key for _, key in NO_EFFECT_YET)])
def test_what_has_no_effect_yet_is_told(key: str) -> None:
    assert key in PAGE.split("## What has no effect yet")[1]


def test_values_without_effect_are_told() -> None:
    section = PAGE.split("## What has no effect yet")[1]
    for _, key, value in NO_EFFECT_YET_VALUES:
        assert f'`"{key}": "{value}"`' in section
