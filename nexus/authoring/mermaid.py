"""A definition as Mermaid text, which GitHub, GitLab and many editors draw by themselves."""

from __future__ import annotations

from nexus.authoring.chart import ChartEntity, ChartStage, Way, chart_of
from nexus.authoring.walk import Walk
from nexus.core.program import Program

# What would end a label, or begin something else in it.
_ESCAPES = str.maketrans(
    {
        "#": "#35;",
        ";": "#59;",
        ":": "#58;",
        '"': "#quot;",
        "<": "#lt;",
        ">": "#gt;",
        "{": "#123;",
        "}": "#125;",
        "[": "#91;",
        "]": "#93;",
        "%": "#37;",
        "`": "#96;",
        "\\": "#92;",
    }
)


def mermaid(program: Program, walk: Walk | None = None) -> str:
    """A definition as a Mermaid state diagram.

    Args:
        program: The definition.
        walk: The path of one instance: stages it has been in are marked `visited`, those it
            stands in `current`.
    """
    chart = chart_of(program, walk)
    several = len(chart.entities) > 1
    lines = ["---", f"title: {_quoted(f'{chart.title} ({chart.subtitle})')}", "---"]
    lines += ["stateDiagram-v2"]
    lines += ["    classDef final stroke-width:3px"]
    if chart.walked:
        lines += ["    classDef visited fill:#e6eefb", "    classDef current fill:#ffe9b8"]
    places = {entity.name: f"e{at}" for at, entity in enumerate(chart.entities)}
    created: list[str] = []
    classes: list[str] = []
    for entity in chart.entities:
        place = places[entity.name]
        inner = _entity(entity, place)
        if several or not entity.stages:
            label = _label(entity.label)
            if not inner:
                described = ", ".join(entity.fields) or "plain data"
                lines.append(f'    state "{label}<br/>{_label(described)}" as {place}')
            else:
                lines.append(f'    state "{label}" as {place} {{')
                lines += [f"        {line}" for line in inner]
                lines.append("    }")
        else:
            lines += [f"    {line}" for line in inner]
        for at, stage in enumerate(entity.stages):
            if mark := _mark(stage):
                classes.append(f"    class {place}s{at} {mark}")
        created += [
            f"    {place} --> {places[way.creates]} : {_label(f'{way.label} creates')}"
            for way in entity.ways
            # A diagram of states has no arrow from an arrow, nor one into itself.
            if way.creates is not None and way.creates != entity.name
        ]
    return "\n".join([*lines, *created, *classes]) + "\n"


def _entity(entity: ChartEntity, place: str) -> list[str]:
    names = {stage.id: f"{place}s{at}" for at, stage in enumerate(entity.stages)}
    lines = [f'state "{_stage_text(stage)}" as {names[stage.id]}' for stage in entity.stages]
    lines += [f"[*] --> {names[stage.id]}" for stage in entity.stages if stage.first]
    for way in entity.ways:
        target, text = names[way.target], _way_text(way)
        # A transition out of many stages is drawn once, and says where it comes from.
        if not way.sources:
            lines.append(f'state "{text}" as {place}_{len(lines)}')
            lines.append(f"{place}_{len(lines) - 1} --> {target}")
        lines += [f"{names[source]} --> {target} : {text}" for source in way.sources]
    lines += [f"{names[stage.id]} --> [*]" for stage in entity.stages if stage.final]
    return lines


def _stage_text(stage: ChartStage) -> str:
    parts = [stage.label]
    parts += [f"assigned to {stage.assigned}"] if stage.assigned else []
    parts += [f"runs {stage.runs}"] if stage.runs else []
    parts += [f"here: {', '.join(stage.standing)}"] if stage.standing else []
    parts += [f"ended: {', '.join(stage.ended)}"] if stage.ended else []
    return "<br/>".join(_label(part) for part in parts)


def _way_text(way: Way) -> str:
    return "<br/>".join(_label(part) for part in (way.title, *way.notes))


def _mark(stage: ChartStage) -> str:
    if stage.standing:
        return "current"
    if stage.visits:
        return "visited"
    return "final" if stage.final else ""


def _label(text: str) -> str:
    return " ".join(text.split()).translate(_ESCAPES)


def _quoted(text: str) -> str:
    """A title stands in YAML."""
    return '"' + " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"') + '"'
