"""Every code that a problem of a definition can have, in one table.

The codes are stable: tools and tests may rely on them. `docs/problems` has a page
for each, and a test holds the pages, this table and the compiler equal.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from nexus.core.errors import Severity


class Code(Struct, frozen=True):
    """What a code means.

    Attributes:
        severity: `error` keeps the definition from running, `warning` does not.
        meaning: One line for a person.
        at_key: Its place is the key, since the name is what the problem is about.
    """

    severity: Severity
    meaning: str
    at_key: bool = False


def _error(meaning: str, *, at_key: bool = False) -> Code:
    return Code("error", meaning, at_key)


def _warning(meaning: str, *, at_key: bool = False) -> Code:
    return Code("warning", meaning, at_key)


PROBLEM_CODES: Mapping[str, Code] = {
    # The text.
    "invalid_json": _error("The text is not JSON."),
    "duplicate_key": _error("An object has the same key twice."),
    "invalid_number": _error("A number is not finite, or does not fit into 64 bits."),
    "invalid_text": _error("A text holds what cannot be kept, or the file is not UTF-8."),
    "too_deep": _error("Objects and lists are nested deeper than 64 levels."),
    "too_large": _error("The text is larger than 1 MiB."),
    # The form of what is written.
    "wrong_type": _error("A value is of another type than its key takes."),
    "missing_key": _error("An object lacks a key that it needs."),
    "unknown_key": _warning("A key means nothing where it stands, and is ignored.", at_key=True),
    "no_effect_yet": _warning("A key is understood and does nothing in this version.", at_key=True),
    "invalid_name": _error("A name cannot stand in addresses and ids."),
    "invalid_id": _error("The id of the definition has a form that ids cannot have."),
    "invalid_version": _error("The version is not three numbers, as semantic versioning has it."),
    "unknown_domain": _error("There is no such domain."),
    "unknown_schema": _warning("`$schema` names a version of the language that is not known."),
    "unknown_choice": _error("A word is none of those that its key takes."),
    "invalid_duration": _error("A duration cannot be read, or makes no sense."),
    "out_of_range": _error("A number or a length is beyond what its key takes."),
    "invalid_ratio": _error("A ratio cannot be read, or makes no sense."),
    "invalid_quorum": _error("A quorum is neither a count nor a share."),
    "invalid_step": _error("A step of a `run` does nothing that is known, or several things."),
    "invalid_trigger": _error("`on` says nothing that could take a transition."),
    "defined_twice": _error("Two files define the same version of the same definition."),
    "too_many_stages": _error("The definition has more than 500 stages."),
    "too_many_steps": _error("A stage runs more than 1,000 steps."),
    "too_many_warnings": _error("The definition has more than 500 warnings."),
    # Schemas of data.
    "invalid_schema": _error("A `dataSchema`, `fields` or `input` is no schema of data."),
    "schema_dialect": _warning("A schema names another dialect than JSON Schema 2020-12."),
    "unknown_keyword": _warning("A schema has a keyword that JSON Schema does not have."),
    "unknown_format": _warning("A schema names a format that nobody checks."),
    # Expressions and conditions.
    "invalid_expression": _error("An expression cannot be read."),
    "invalid_condition": _error("A condition has a form that conditions cannot have."),
    "unknown_condition": _error("There is no condition of that name."),
    # Names that lead to nothing.
    "unknown_entity": _error("No entity of the definition has that name."),
    "unknown_stage": _error("No stage has that name."),
    "unknown_action": _error("No action has that name."),
    "unknown_role": _error("A role inherits from one that the definition does not have."),
    "unknown_table": _error("There is no such typed table."),
    "unknown_field": _error("Data is written to a field that its record cannot have."),
    "missing_field": _error("A record is created without a field that it must have."),
    "undeclared_role": _warning("A role is named that the definition's `roles` do not have."),
    "unknown_data": _warning("An expression reads data that no schema names."),
    "unknown_input": _warning("An expression reads `input` that the action does not take."),
    "unknown_member": _warning("An expression reads what a record, an actor or the like lacks."),
    "unknown_step": _warning("An expression reads a step that is not there by then."),
    # Channels.
    "unknown_channel": _warning("No channel of that name is known here."),
    "not_for_definitions": _error("A setting of a channel belongs to who operates it."),
    # Entities and stages.
    "no_entities": _warning("The definition has no entities."),
    "duplicate_stage": _error("An entity has the same stage twice."),
    "duplicate_step": _error("Two steps of a stage have the same name."),
    "only_stage_is_final": _warning("An entity has one stage alone, and records end in it."),
    "assigns_nobody": _warning("An `assign` names neither users nor roles."),
    "no_way_out": _warning("No transition leaves a stage that is not final."),
    "unreachable_stage": _warning("Nothing leads to a stage."),
    "reached_by_convert_alone": _warning("No transition leads to a stage, only `convert` does."),
    "no_end_in_sight": _warning("No final stage can be reached from a stage."),
    # Transitions.
    "ambiguous_entity": _error("A transition could belong to several entities."),
    "stages_of_several_entities": _error("A transition leads between stages of two entities."),
    "leaves_final_stage": _warning("A transition leaves a final stage, where nothing leaves."),
    "leaves_no_stage": _error("A transition from `*` has no stage to leave from."),
    "never_its_turn": _warning("Something else always has its turn before.", at_key=True),
    "not_a_template": _warning("A text that is no template looks like one."),
    "join_can_hang": _warning("A run waits for an event that may never come."),
    "nothing_to_interrupt": _warning(
        "A transition interrupts, and its stages run nothing.", at_key=True
    ),
    # What takes them by itself.
    "now_in_auto": _error("An automatic transition looks at `now`, and nothing would wake it."),
    "auto_without_condition": _warning("An automatic transition has no condition.", at_key=True),
    "auto_loop": _warning("Automatic transitions may lead in a circle.", at_key=True),
    "endless_auto": _error("Automatic transitions lead in a circle, always.", at_key=True),
    # People.
    "nobody_may_take": _error("`by` names neither users nor roles."),
    "no_role_can_take": _warning("No role `can` take a transition.", at_key=True),
    "role_cannot_take": _warning("`by` names a role that `can` not take the transition."),
    "assignees_cannot_take": _warning(
        "Those to whom a stage is assigned `can` not take a transition out of it.", at_key=True
    ),
    "not_by_hand": _warning(
        "A key is for actions, and no action takes the transition.", at_key=True
    ),
    "quorum_above_voters": _warning("A quorum is larger than the number of voters."),
    # Values.
    "unlike_types": _warning("Values are compared or computed that can never fit."),
    "never_matches": _warning("A value is compared with one that it can never be."),
    "always_true": _warning("A condition, or a part of it, always holds."),
    "always_false": _warning("A condition, or a part of it, never holds."),
}
