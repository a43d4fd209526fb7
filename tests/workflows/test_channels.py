"""What a stage runs, on a real Temporal: calls in parallel that join, fail, and are tried again."""

from __future__ import annotations

from nexus.core.calls import CallRequest
from nexus.core.commands import GiveUp, RetryIncident, SkipIncident
from tests.workflows.channels import ScriptedChannels
from tests.workflows.definitions import call, running
from tests.workflows.harness import ANN, BOB, Harness, agree, events, eventually, until_joined


async def test_parallel_calls_join_and_only_then_may_the_stage_be_left(harness: Harness) -> None:
    """FR-L2-004, BR-008, R7: all start together, and the join waits for all."""
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(
            running(call("ok", name="a"), call("slow", name="b"), call("ok", name="c"))
        )
        assert started is not None
        assert started.records[0].running
        assert not started.records[0].pending
        await eventually(lambda: len(channels.requests) == 3, what="three calls together")
        refusal = await harness.refused(harness.act(handle, "finish"))
        assert refusal.code == "run_in_progress"
        channels.go.set()
        joined = await until_joined(harness, handle)
        assert joined.records[0].pending
        await harness.act(handle, "finish")
        assert await handle.result() == "completed"
        assert sorted(channels.done.values()) == [1, 1, 1]
        rows = harness.history(started.instance.id)
        assert events(rows).count("channel_succeeded") == 3
        assert harness.intact(started.instance.id)


async def test_sibling_branches_finish_when_one_channel_fails(harness: Harness) -> None:
    """REL-002, R9, R10: a failure becomes an incident, and blocks nothing."""
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(
            running(
                call("down", name="broken"),
                {"sequence": [call("ok"), call("refuses"), call("ok", name="last")]},
            )
        )
        assert started is not None
        joined = await until_joined(harness, handle)
        assert {(one.channel, one.code, one.attempts) for one in joined.incidents} == {
            ("down", "unreachable", 2),
            ("refuses", "refused", 1),
        }
        assert channels.steps() == {"run/1/sequence/0": 1, "run/1/sequence/2": 1}
        await agree(harness, handle)
        await harness.act(handle, "finish")
        assert harness.intact(started.instance.id)
        await handle.terminate()


async def test_an_incident_is_retried_to_success_under_the_same_key(harness: Harness) -> None:
    """R10: also when the instance has ended meanwhile, which keeps its workflow open."""
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(running(call("down")))
        assert started is not None
        joined = await until_joined(harness, handle)
        (incident,) = joined.incidents
        assert (incident.status, incident.retryable) == ("open", True)
        ended = await harness.act(handle, "finish")
        assert (ended.instance.status, len(ended.incidents)) == ("completed", 1)

        again = RetryIncident(actor=ANN, incident=incident.id, comment="once more")
        retried = await harness.send(handle, again)
        assert retried is not None
        assert retried.incidents[0].status == "retrying"
        assert (await harness.refused(harness.send(handle, again))).code == "conflict"
        await eventually(lambda: len(channels.requests) == 4, what="two more tries")

        async def raised_again() -> bool:
            snapshot = await harness.snapshot(handle)
            return snapshot is not None and snapshot.incidents[0].status == "open"

        await eventually(raised_again, what="the incident raised again")
        channels.down.clear()
        await harness.send(handle, again)
        assert await handle.result() == "completed"
        assert len(channels.tries) == 1, "every try had the same key"
        assert list(channels.done.values()) == [1]
        rows = harness.history(started.instance.id)
        assert [row.event for row in rows[-2:]] == ["channel_succeeded", "incident_closed"]
        assert rows[-1].payload["outcome"] == "resolved"
        assert harness.intact(started.instance.id)


async def test_an_incident_is_skipped_and_then_the_workflow_closes(harness: Harness) -> None:
    """R10."""
    async with harness.worker(channels=ScriptedChannels()):
        started, handle = await harness.start(running(call("refuses")))
        assert started is not None
        (incident,) = (await until_joined(harness, handle)).incidents
        await harness.act(handle, "finish")
        unknown = SkipIncident(actor=ANN, incident="incident-99")
        assert (await harness.refused(harness.send(handle, unknown))).code == "not_found"
        skipped = await harness.send(handle, SkipIncident(actor=BOB, incident=incident.id))
        assert skipped is not None
        assert not skipped.incidents
        assert await handle.result() == "completed"
        closed = harness.history(started.instance.id)[-1]
        assert (closed.event, closed.actor) == ("incident_closed", "bob")
        assert harness.intact(started.instance.id)


async def test_an_instance_that_incidents_keep_open_gives_up_for_a_new_start(
    harness: Harness,
) -> None:
    """BR-007: one open instance for each subject; an end that is kept open is none."""
    async with harness.worker(channels=ScriptedChannels()):
        definition = running(call("refuses"))
        started, handle = await harness.start(definition)
        assert started is not None
        await until_joined(harness, handle)
        await harness.act(handle, "finish")
        refusal = await harness.refused(harness.start(definition))
        assert refusal.code == "conflict"
        assert len(refusal.details["keeps"]) == 1
        await harness.send(handle, GiveUp(actor=ANN))
        assert await handle.result() == "completed"
        last = harness.history(started.instance.id)[-1]
        assert (last.event, last.payload["outcome"]) == ("incident_closed", "dropped")
        again, _ = await harness.start(definition)
        assert again is not None
        assert again.instance.id != started.instance.id
        assert harness.intact(started.instance.id)


async def test_incidents_are_settled_by_signals_as_well(harness: Harness) -> None:
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        _, handle = await harness.start(running(call("down"), call("refuses")))
        joined = await until_joined(harness, handle)
        by_channel = {one.channel: one.id for one in joined.incidents}
        await harness.act(handle, "finish")
        channels.down.clear()
        await handle.signal("command", {"type": "skip_incident", "incident": by_channel["refuses"]})
        await handle.signal("command", {"type": "retry_incident", "incident": by_channel["down"]})
        assert await handle.result() == "completed"
        assert list(channels.done) == [key for key, tries in channels.tries.items() if tries == 3]


async def test_a_call_that_takes_too_long_is_tried_again_and_then_given_up(
    harness: Harness,
) -> None:
    """R10: the time of one try is the step's own."""
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        _, handle = await harness.start(running(call("hangs", timeout="1s", name="late")))
        joined = await until_joined(harness, handle)
        (incident,) = joined.incidents
        assert (incident.code, incident.attempts) == ("timed_out", 2)
        assert "'hangs' was not done within 1 second" in incident.message
        assert len(channels.requests) == 2
        await handle.terminate()


async def test_a_transition_that_interrupts_cancels_what_is_left_of_the_run(
    harness: Harness,
) -> None:
    """R7: calls under way are told, and nobody waits for them but the instance's end."""
    channels = ScriptedChannels()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(
            running(
                call("hangs", timeout="60s"),
                {"wait": "30 days"},
                {"task": {"title": "Call Ann"}},
                {"sequence": [call("ok"), call("slow"), call("ok")]},
                interrupts=True,
            )
        )
        assert started is not None
        await eventually(lambda: len(channels.requests) == 3, what="three calls")
        left = await harness.act(handle, "finish")
        assert (left.instance.stage, left.records[0].running) == ("done", False)
        assert not left.tasks
        assert not left.timers
        assert await handle.result() == "completed"
        assert len(channels.cancelled) == 2
        rows = harness.history(started.instance.id)
        assert {row.payload["outcome"] for row in rows if row.event == "channel_failed"} == {
            "cancelled"
        }
        assert rows[-1].event == "instance_ended"
        assert "incident_raised" not in events(rows)
        assert harness.intact(started.instance.id)


async def test_what_answers_come_to_is_seen_by_later_steps_and_conditions(
    harness: Harness,
) -> None:
    class Scoring(ScriptedChannels):
        def answer(self, request: CallRequest) -> object:
            return {"score": 7, "given": request.given}

    channels = Scoring()
    async with harness.worker(channels=channels):
        _, handle = await harness.start(
            running(
                {
                    "sequence": [
                        call("ok", name="rating", **{"with": {"who": "{{ subject.id }}"}}),
                        {
                            "exclusive": [
                                {"when": "steps.rating.response.score > 5", "do": call("ok")},
                                {"when": "true", "do": call("refuses")},
                            ]
                        },
                        {"set": {"score": "steps.rating.response.score"}},
                    ]
                },
                condition="steps.rating.outcome == 'done'",
            )
        )
        joined = await until_joined(harness, handle)
        assert joined.records[0].data == {"score": 7}
        assert not joined.incidents
        steps = channels.requests[1].scope["steps"]
        assert isinstance(steps, dict)
        assert steps["rating"] == {
            "outcome": "done",
            "response": {"score": 7, "given": {"who": "{{ subject.id }}"}},
        }
        await harness.act(handle, "finish")


async def test_an_answer_that_is_too_large_or_no_json_is_no_failure(harness: Harness) -> None:
    """The call was made: to fail it would have it made again."""

    class Talkative(ScriptedChannels):
        def answer(self, request: CallRequest) -> object:
            return {"large": "x" * 100_000, "strange": {1j}, "odd": ["\ud800"]}[request.channel]

    channels = Talkative()
    async with harness.worker(channels=channels):
        started, handle = await harness.start(running(call("large"), call("strange"), call("odd")))
        assert started is not None
        joined = await until_joined(harness, handle)
        assert not joined.incidents
        assert set(channels.done.values()) == {1}
        answers = {
            row.payload["channel"]: str(row.payload["response"])
            for row in harness.history(started.instance.id)
            if row.event == "channel_succeeded"
        }
        assert "100,002 bytes" in answers["large"]
        assert "no JSON" in answers["strange"]
        assert "no JSON" in answers["odd"]
        await handle.terminate()
