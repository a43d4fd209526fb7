"""Receivers and mail servers that fail, hang, are slow, close early and answer twice.

All of it through the whole platform: told over HTTP, called over sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from tests.platform.company import ATTEMPTS, SECRET, Company, mail, mailing, webhook
from tests.support import receiver as web
from tests.support import smtp
from tests.support.processes import free_port
from tests.support.receiver import Receiver
from tests.support.smtp import SmtpServer


def ended(company: Company, instance: str) -> dict[str, tuple[object, ...]]:
    """How each call ended: `done` and the attempts; or its outcome, code and attempts."""
    rows = company.history(instance, "channel_succeeded", "channel_failed")
    found: dict[str, tuple[object, ...]] = {}
    for payload in (row["payload"] for row in rows):
        if "outcome" in payload:
            found[payload["step"]] = (payload["outcome"], payload["code"], payload["attempts"])
        else:
            found[payload["step"]] = ("done", payload["attempts"])
    return found


# --- webhooks -------------------------------------------------------------------------------


ONCE: Mapping[str, web.Behaviour] = {
    "fails": web.answer(500),
    "is-busy": web.answer(503, headers={"Retry-After": "0"}),
    "has-enough": web.answer(429),
    "hangs": web.hang(),
    "is-late": web.answer(after=3),
    "trickles": web.trickle(),
    "closes": web.drop(),
    "loses-its-answer": web.lose_answer(),
    "stops-halfway": web.cut_short(),
    "speaks-no-http": web.garbage(),
}


def test_whatever_a_receiver_does_wrong_once_is_tried_again_to_success(
    company: Company, receiver: Receiver
) -> None:
    """REL-005, R10: always under the same key and with the same words."""
    company.configure({"webhook": {"secrets": [SECRET]}})
    company.define([webhook(receiver, name) for name in ONCE])
    for name, fault in ONCE.items():
        receiver.on(f"/{name}", fault, web.answer())

    instance = company.reach()

    company.joined(instance)
    assert company.incidents("all") == []
    assert set(ended(company, instance).values()) == {("done", 2)}
    for name, fault in ONCE.items():
        first, second = receiver.to(f"/{name}")
        assert first.key == second.key, name
        assert first.body == second.body, name
        assert receiver.succeeded[first.key] == 1, name
        assert receiver.duplicates[first.key] == int(fault.does_it), name
    assert len({request.key for request in receiver.requests}) == len(ONCE)
    assert {request.signature for request in receiver.requests} == {"verified"}


def test_a_second_answer_is_not_taken_for_that_of_the_next_call(
    company: Company, receiver: Receiver
) -> None:
    company.configure({"webhook": {"secrets": [SECRET]}})
    names = ("first", "second", "third")
    for name in names:
        receiver.on(f"/{name}", web.twice(200, {"from": name}))
    said = {"heard": "{{ steps.first.response.body.from }} {{ steps.second.response.body.from }}"}
    company.define(
        {"sequence": [webhook(receiver, "first"), webhook(receiver, "second"),
                      webhook(receiver, "third", said)]}
    )  # fmt: skip

    instance = company.reach()

    company.joined(instance)
    assert [request.path for request in receiver.requests] == [f"/{name}" for name in names]
    assert receiver.to("/third")[0].json == {"heard": "first second"}
    rows = company.history(instance, "channel_succeeded")
    assert [row["payload"]["response"]["body"]["from"] for row in rows] == list(names)


def test_receivers_that_stay_faulty_become_incidents_and_leave_their_siblings_alone(
    company: Company, receiver: Receiver
) -> None:
    """REL-002, R9, R10: 4xx other than 408, 425 and 429 are final."""
    faults: Mapping[str, tuple[web.Behaviour, str, int]] = {
        "fails": (web.answer(500), "receiver_failed", ATTEMPTS),
        "has-enough": (web.answer(429), "receiver_failed", ATTEMPTS),
        "hangs": (web.hang(), "timed_out", ATTEMPTS),
        "closes": (web.drop(), "unreachable", ATTEMPTS),
        "speaks-no-http": (web.garbage(), "unreachable", ATTEMPTS),
        "is-gone": (web.answer(410), "refused_by_receiver", 1),
        "objects": (web.answer(422, "no such lead"), "refused_by_receiver", 1),
    }
    for name, (fault, _, _) in faults.items():
        receiver.on(f"/{name}", fault)
    nobody = {"url": f"http://127.0.0.1:{free_port()}/"}
    company.configure({"webhook": {"secrets": [SECRET]}})
    company.define(
        [
            *(webhook(receiver, name) for name in faults),
            {**webhook(receiver, "nobody"), "with": nobody},
            webhook(receiver, "fine"),
            {"sequence": [webhook(receiver, "fails-first"), webhook(receiver, "after")]},
        ]
    )
    receiver.on("/fails-first", web.answer(500))

    instance = company.reach()

    company.joined(instance)
    expected = {f"run/{at}": how for at, (_, *how) in enumerate(faults.values())}
    last = len(faults)
    expected |= {
        f"run/{last}": ["unreachable", ATTEMPTS],
        f"run/{last + 2}/sequence/0": ["receiver_failed", ATTEMPTS],
    }
    incidents = company.incidents()
    assert {one["step"]: [one["code"], one["attempts"]] for one in incidents} == expected
    found = ended(company, instance)
    assert found.pop(f"run/{last + 1}") == ("done", 1)
    assert found.pop(f"run/{last + 2}/sequence/1") == ("done", 1)
    assert {step: list(how[1:]) for step, how in found.items()} == expected
    assert [step for step, how in found.items() if how[0] == "timed_out"] == ["run/2"]
    for name, (_, _, attempts) in faults.items():
        assert len(receiver.to(f"/{name}")) == attempts, name
    (objection,) = [one["message"] for one in incidents if one["step"] == "run/6"]
    assert "422" in objection
    assert "no such lead" in objection


def test_an_incident_is_retried_over_the_api_to_success_under_the_same_key(
    company: Company, receiver: Receiver
) -> None:
    """R10: as often as it takes, also once the instance is completed."""
    company.configure({"webhook": {"secrets": [SECRET]}})
    company.define([webhook(receiver, "broken"), webhook(receiver, "fine")])
    receiver.on("/broken", web.answer(500))
    instance = company.reach()
    assert company.joined(instance)["status"] == "completed"
    (incident,) = company.incidents()
    assert (incident["status"], incident["retryable"], incident["instance"]) == (
        "open",
        True,
        instance,
    )

    assert company.settle(incident["id"], "retry")["status"] == "retrying"
    again = company.until_incident(incident["id"], ("open", "resolved"))
    assert (again["status"], again["code"]) == ("open", "receiver_failed")
    assert len(receiver.to("/broken")) == 2 * ATTEMPTS

    receiver.on("/broken", web.answer(200, {"mended": True}))
    company.settle(incident["id"], "retry", comment="They have mended it.")
    resolved = company.until_incident(incident["id"], ("open", "resolved"))
    assert resolved["status"] == "resolved"
    assert company.incidents() == []
    requests = receiver.to("/broken")
    assert len(requests) == 2 * ATTEMPTS + 1
    (key,) = {request.key for request in requests}
    assert receiver.succeeded[key] == 1
    assert len(receiver.to("/fine")) == 1
    retried = company.history(instance, "incident_retried")
    assert [(row["actor"], row["comment"]) for row in retried] == [
        ("ann", None),
        ("ann", "They have mended it."),
    ]
    refused = company.client.post(f"/v1/incidents/{incident['id']}/retry", json={})
    assert refused.status_code == 409, refused.text
    assert len(receiver.to("/broken")) == 2 * ATTEMPTS + 1


def test_an_incident_is_skipped_and_never_called_again(
    company: Company, receiver: Receiver
) -> None:
    company.configure({"webhook": {"secrets": [SECRET]}})
    company.define([webhook(receiver, "gone")])
    receiver.on("/gone", web.answer(410))
    instance = company.reach()
    company.joined(instance)
    (incident,) = company.incidents()

    skipped = company.settle(incident["id"], "skip", comment="We told them by telephone.")

    assert skipped["status"] == "skipped"
    assert company.incidents() == []
    (closed,) = company.history(instance, "incident_closed")
    assert (closed["actor"], closed["comment"], closed["payload"]["outcome"]) == (
        "ann",
        "We told them by telephone.",
        "skipped",
    )
    refused = company.client.post(f"/v1/incidents/{incident['id']}/retry", json={})
    assert refused.status_code == 409, refused.text
    assert len(receiver.to("/gone")) == 1


# --- mails ----------------------------------------------------------------------------------


def test_whatever_a_mail_server_does_wrong_once_is_tried_again_to_success(
    company: Company,
) -> None:
    """REL-005: a mail that has to go twice is the same mail, byte for byte."""
    faults: dict[str, tuple[str, smtp.Behaviour]] = {
        "sends-away": ("CONNECT", smtp.reply(421, "come back later")),
        "closes": ("CONNECT", smtp.drop()),
        "keeps-silent": ("CONNECT", smtp.hang()),
        "is-late": ("MAIL", smtp.ok(after=3)),
        "greylists": ("RCPT", smtp.reply(450, "greylisted")),
        "is-full": ("BODY", smtp.reply(452, "no room")),
        "closes-early": ("BODY", smtp.drop()),
        "hangs": ("BODY", smtp.hang()),
        "loses-its-answer": ("BODY", smtp.lose_answer()),
    }
    with ExitStack() as stack:
        servers = {name: stack.enter_context(SmtpServer()) for name in faults}
        for name, (at, fault) in faults.items():
            servers[name].on(at, fault, smtp.ok())
        company.configure({name: mailing(server.port) for name, server in servers.items()})
        company.define([mail(name) for name in faults])

        instance = company.reach()

        company.joined(instance)
        assert company.incidents("all") == []
        assert set(ended(company, instance).values()) == {("done", 2)}
        for name, server in servers.items():
            assert list(server.taken.values()) == [2 if name == "loses-its-answer" else 1], name
        assert len({id_ for server in servers.values() for id_ in server.taken}) == len(faults)
        first, second = servers["loses-its-answer"].mails
        assert first.content == second.content


def test_an_answer_too_many_is_not_taken_for_that_to_the_next_mail(company: Company) -> None:
    """Over one connection, which the channel would use again."""
    with SmtpServer() as server, SmtpServer() as confused:
        server.on("BODY", smtp.twice())
        confused.on("MAIL", smtp.twice())
        company.configure(
            {
                "post": mailing(server.port, connections=1),
                "confused": mailing(confused.port, connections=1),
            }
        )
        company.define(
            [
                {"sequence": [{**mail("post"), "name": f"mail{at}"} for at in range(3)]},
                mail("confused"),
            ]
        )

        instance = company.reach()

        company.joined(instance)
        # Whoever answers twice before the mail is sent cannot be told what it took.
        assert [one["channel"] for one in company.incidents("all")] == ["confused"]
        assert not confused.taken
        assert [
            row["payload"]["channel"] for row in company.history(instance, "channel_succeeded")
        ] == ["post"] * 3
        assert list(server.taken.values()) == [1, 1, 1]


def test_mail_servers_that_stay_faulty_become_incidents_and_leave_their_siblings_alone(
    company: Company,
) -> None:
    """REL-002, R10: what a server says for good is final."""
    faults: dict[str, tuple[str, smtp.Behaviour]] = {
        "knows-nobody": ("RCPT", smtp.reply(550, "no such person")),
        "calls-it-spam": ("BODY", smtp.reply(554, "spam")),
        "serves-nobody": ("CONNECT", smtp.reply(554, "no service")),
        "greylists": ("RCPT", smtp.reply(450, "greylisted")),
        "hangs": ("CONNECT", smtp.hang()),
        "closes": ("MAIL", smtp.drop()),
    }
    with ExitStack() as stack:
        servers = {name: stack.enter_context(SmtpServer()) for name in (*faults, "fine")}
        for name, (at, fault) in faults.items():
            servers[name].on(at, fault)
        settings = {name: mailing(server.port) for name, server in servers.items()}
        settings["nobody"] = mailing(free_port())
        company.configure(settings)
        company.define([mail(name) for name in settings])

        instance = company.reach()

        company.joined(instance)
        incidents = company.incidents()
        assert {one["channel"]: (one["code"], one["attempts"]) for one in incidents} == {
            "knows-nobody": ("recipients_refused", 1),
            "calls-it-spam": ("refused_by_server", 1),
            "serves-nobody": ("refused_by_server", 1),
            "greylists": ("recipients_refused", ATTEMPTS),
            "hangs": ("timed_out", ATTEMPTS),
            "closes": ("unreachable", ATTEMPTS),
            "nobody": ("unreachable", ATTEMPTS),
        }
        assert list(servers["fine"].taken.values()) == [1]
        assert not any(servers[name].taken for name in faults)

        servers["knows-nobody"].on("RCPT", smtp.ok())
        (known,) = [one for one in incidents if one["channel"] == "knows-nobody"]
        company.settle(known["id"], "retry")
        assert company.until_incident(known["id"], ("open", "resolved"))["status"] == "resolved"
        assert list(servers["knows-nobody"].taken.values()) == [1]
