"""Who may do what: decided in the core, whatever a shell has let through (R11, R12, SR-001)."""

import pytest

from nexus.core.commands import SYSTEM_ACTOR, Actor, NewRecord
from nexus.core.events import ActionTaken
from nexus.core.state import Assignees
from tests.core.playing import ADMIN, ANN, BOB, Document, Play, lead, only, refused

GO = {"from": "new", "to": "qualified"}
EVE = Actor("eve")
SELLER = Actor("sue", ("seller",))
VIEWER = Actor("vic", ("viewer",))
ROLES: Document = {
    "boss": {"can": ["*"]},
    "seller": {"can": ["go", "update"], "inherits": ["viewer"]},
    "viewer": {"can": ["comment"]},
}


def started(definition: object, *records: NewRecord, actor: Actor = ANN) -> Play:
    play = Play(definition)
    play.start(records=records, actor=actor)
    return play


def assigned(definition: object, *users: str, roles: tuple[str, ...] = ()) -> Play:
    """An instance whose lead is assigned to these, by an admin."""
    play = started(definition)
    play.act("assign", actor=ADMIN, data={"users": list(users), "roles": list(roles)})
    return play


def overridden(play: Play, action: str, actor: Actor, **given: object) -> bool:
    taken = only(play.act(action, actor=actor, **given), ActionTaken)  # type: ignore[arg-type]
    return taken.override


# --- without roles -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action", ["go", "update", "assign", "comment", "convert", "close", "cancel"]
)
def test_without_roles_and_assignees_any_user_of_the_tenant_may_act(action: str) -> None:
    """R11."""
    data = {"users": ["bob"]} if action == "assign" else {"a": 1}
    play = started(lead({"go": GO}))
    assert not overridden(play, action, EVE, data=data, comment="x")


def test_assignees_only_may_act_where_somebody_is_assigned() -> None:
    """R11, SR-001."""
    play = assigned(lead({"go": GO}), "ann", "bob")
    refusal = refused("forbidden", lambda: play.act("go", actor=EVE), "'eve' may not take 'go'")
    assert refusal.message.endswith("'lead-1' is assigned to 'ann', 'bob'.")
    assert not overridden(play, "go", BOB)


@pytest.mark.parametrize("action", ["update", "assign", "comment", "convert", "close", "cancel"])
def test_built_in_actions_are_subject_to_the_same_authority(action: str) -> None:
    """Design 3.1."""
    play = assigned(lead(), "ann")
    data = {"users": ["eve"]}
    refused("forbidden", lambda: play.act(action, actor=EVE, data=data, comment="x"), "'ann'")
    assert not overridden(play, action, ANN, data=data, comment="x")


def test_an_assigned_role_lets_its_holders_act() -> None:
    """R11: an actor acts as an assignee, or through a role."""
    play = assigned(lead({"go": GO}), roles=("sales",))
    refused("forbidden", lambda: play.act("go", actor=SELLER), "the role 'sales'")
    assert not overridden(play, "go", Actor("x", ("other", "sales")))


def test_assignees_need_not_stand_in_any_directory() -> None:
    """R11."""
    play = assigned(lead({"go": GO}), "nobody-knows-me")
    play.act("go", actor=Actor("nobody-knows-me"))


def test_a_stage_s_assignees_are_asked_as_well() -> None:
    """R11, design 3.1."""
    stages = [{"id": "new", "assign": {"users": ["bob"]}}, "qualified", "won"]
    play = started(lead({"go": GO}, stages))
    refused("forbidden", lambda: play.act("go"))
    play.act("go", actor=BOB)


def test_cancel_asks_for_authority_over_every_open_record() -> None:
    play = started(lead(), NewRecord("lead"), NewRecord("lead"), NewRecord("lead"))
    play.act("assign", record="lead-1", data={"users": ["ann"]})
    play.act("assign", record="lead-2", data={"users": ["bob"]})
    refused("forbidden", lambda: play.act("cancel"), "'lead-2' is assigned to 'bob'")
    play.act("close", record="lead-2", actor=BOB)
    play.act("cancel")


def test_a_comment_on_the_instance_asks_the_same_of_its_open_records() -> None:
    play = started(lead(), NewRecord("lead"), NewRecord("lead"))
    play.act("assign", record="lead-1", data={"users": ["ann"]})
    refused("forbidden", lambda: play.act("comment", actor=BOB, comment="x"))
    play.act("comment", actor=BOB, comment="x", record="lead-2")


# --- by ------------------------------------------------------------------------------------


def test_by_names_who_may_take_a_transition() -> None:
    """Design 3.1, SR-006: it replaces the question of who is assigned."""
    by = {"users": ["bob"], "roles": ["seller"]}
    play = assigned(lead({"go": {**GO, "by": by}}), "ann")
    refused("forbidden", lambda: play.act("go"), "it is for 'bob', the role 'seller'")
    assert not overridden(play, "go", SELLER)
    assert not overridden(assigned(lead({"go": {**GO, "by": by}}), "ann"), "go", BOB)


# --- roles ---------------------------------------------------------------------------------


def test_roles_given_only_what_they_can() -> None:
    """R11, SR-006."""
    play = started(lead({"go": GO}, roles=ROLES))
    for actor in (EVE, VIEWER, Actor("x", ("stranger",))):
        refused("forbidden", lambda a=actor: play.act("go", actor=a))  # type: ignore[misc]
    refusal = refused("forbidden", lambda: play.act("go", actor=VIEWER))
    assert refusal.message == "'vic' may not take 'go': it takes the role 'boss' or 'seller'."
    assert not overridden(play, "go", SELLER)


def test_roles_inherit() -> None:
    """Design 3.1."""
    play = started(lead({"go": GO}, roles=ROLES))
    play.act("comment", actor=SELLER, comment="hi")


def test_the_star_is_every_action() -> None:
    play = started(lead({"go": GO}, roles=ROLES))
    boss = Actor("b", ("boss",))
    play.act("go", actor=boss)
    assert not overridden(play, "cancel", boss)


def test_an_action_that_no_role_can_is_nobody_s_but_admin_s() -> None:
    play = started(lead({"go": GO}, roles={"seller": {"can": []}}))
    refused("forbidden", lambda: play.act("go", actor=SELLER), "no role of this definition can")
    assert overridden(play, "go", ADMIN)


def test_roles_stand_on_top_of_who_is_assigned() -> None:
    """R11, design 3.1: both are asked."""
    play = assigned(lead({"go": GO}, roles=ROLES), "sue", "ann")
    refused("forbidden", lambda: play.act("go", actor=ANN), "it takes the role")
    refused("forbidden", lambda: play.act("go", actor=Actor("sam", ("seller",))), "assigned to")
    assert not overridden(play, "go", SELLER)


def test_roles_stand_on_top_of_by() -> None:
    """R11, design 3.1."""
    play = started(lead({"go": {**GO, "by": {"users": ["ann", "sue"]}}}, roles=ROLES))
    refused("forbidden", lambda: play.act("go"), "it takes the role")
    play.act("go", actor=SELLER)


def test_starting_and_adding_are_open_until_a_role_lists_them() -> None:
    """Decision: what the language leaves open."""
    play = started(lead({"go": GO}, roles=ROLES), actor=EVE)
    play.add("lead", actor=EVE)
    listed = {**ROLES, "clerk": {"can": ["start", "add"]}}
    clerk = Actor("c", ("clerk",))
    play = Play(lead({"go": GO}, roles=listed))
    refused("forbidden", lambda: play.start(actor=EVE), "'boss' or 'clerk'")
    assert play.status() == "new"
    play.start(actor=clerk)
    refused("forbidden", lambda: play.add("lead", actor=EVE))
    play.add("lead", actor=clerk)
    play.add("lead", actor=Actor("b", ("boss",)))
    play.add("lead", actor=ADMIN)


# --- admin ---------------------------------------------------------------------------------


def test_an_admin_may_override_and_the_history_says_so() -> None:
    """R11: audited."""
    play = assigned(lead({"go": GO}, roles=ROLES), "sue")
    assert overridden(play, "go", ADMIN)


def test_an_admin_who_is_entitled_anyway_overrides_nothing() -> None:
    """R11: the history is not cried wolf."""
    play = assigned(lead({"go": GO}), "root")
    assert not overridden(play, "go", ADMIN)


@pytest.mark.parametrize("by", [{"users": ["bob"]}, {"roles": ["seller"]}])
def test_an_admin_passes_by_too(by: Document) -> None:
    """R11."""
    assert overridden(started(lead({"go": {**GO, "by": by}})), "go", ADMIN)


def test_an_admin_does_not_pass_a_condition() -> None:
    """R11 is about people; a condition is about facts."""
    play = started(lead({"go": {**GO, "condition": "data.score > 50"}}))
    refused("condition_not_met", lambda: play.act("go", actor=ADMIN))


def test_the_system_s_own_acts_are_not_asked() -> None:
    """Clocks and automatic transitions; no token and no signal is given that name."""
    play = assigned(lead({"go": GO}, roles=ROLES), "ann")
    assert not overridden(play, "go", SYSTEM_ACTOR)


@pytest.mark.parametrize("name", ["system:signal", "System", "systems"])
def test_names_like_the_system_s_are_asked(name: str) -> None:
    """R27: an unsigned signal acts as `system:signal`, with the roles it was given."""
    play = assigned(lead({"go": GO}), "ann")
    refused("forbidden", lambda: play.act("go", actor=Actor(name)))


def test_clocks_and_events_take_transitions_whoever_is_assigned() -> None:
    """R19: the actor is `system`."""
    play = assigned(lead({"go": {**GO, "on": {"event": "e"}}}, roles=ROLES), "ann")
    play.event("e", actor=EVE)
    assert play.lead.stage == "qualified"


# --- conditions that look at people --------------------------------------------------------


def test_a_role_check_is_a_condition() -> None:
    """FR-L2-003: refused with what was seen, and no matter of authority."""
    play = started(lead({"go": {**GO, "condition": {"role_check": ["manager", "chief"]}}}))
    refused("condition_not_met", lambda: play.act("go"), "actor.roles is []")
    play.act("go", actor=Actor("m", ("chief",)))


# --- self-assignment -----------------------------------------------------------------------


@pytest.mark.parametrize("actor", [ANN, ADMIN])
def test_nobody_assigns_to_themselves_where_the_policy_forbids_it(actor: Actor) -> None:
    """BR-001, R12: admins included."""
    play = started(lead(policy={"selfAssign": False}))
    users = [actor.id, "bob"]
    refused("self_assign", lambda: play.act("assign", actor=actor, data={"users": users}))
    play.act("assign", actor=actor, data={"users": ["bob"]})
    assert play.lead.assignees == Assignees(("bob",))


def test_everybody_may_assign_to_themselves_unless_it_is_forbidden() -> None:
    """BR-001."""
    play = started(lead())
    play.act("assign", data={"users": ["ann"]})
    assert play.lead.assignees == Assignees(("ann",))


def test_a_stage_may_assign_whoever_enters_it() -> None:
    """R12 is about the action `assign`: the definition's own assignment is its author's."""
    stages = ["new", {"id": "qualified", "assign": {"users": ["ann"]}}, "won"]
    play = started(lead({"go": GO}, stages, policy={"selfAssign": False}))
    play.act("go")
    assert play.lead.assignees == Assignees(("ann",))


def test_a_role_that_the_definition_does_not_know_is_not_assigned() -> None:
    """R12: nobody could act through it, and the record would be locked."""
    document = lead({"go": GO})
    document["roles"] = {"manager": {"can": ["*"]}}
    play = started(document)
    boss = Actor("max", ("manager",))
    refused(
        "invalid_data",
        lambda: play.act("assign", data={"roles": ["managr"]}, actor=boss),
        "no role 'managr'",
        "'manager'",
    )
    play.act("assign", data={"roles": ["manager", "admin"]}, actor=boss)
    assert play.lead.assignees.roles == ("manager", "admin")
