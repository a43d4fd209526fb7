# mypy: ignore-errors
"""A program of a user's: it says the same wherever its models keep things."""

import sys

import nexus
from nexus import Rejected
from nexus.crm import CrmDashboard, HasCrm
from nexus.sales_marketing import HasSalesMarketing, SmDashboard

told = []


class Account(HasCrm, HasSalesMarketing):
    def __init__(self, number, name):
        self.id = number
        self.name = name

    def crm(self):
        return {
            "roles": {
                "sales": {"can": ["qualify", "win", "update", "assign", "comment"]},
                "closer": {"can": ["update"]},
            },
            "dataSchema": {"score": {"type": "number"}},
            "entities": {
                "lead": {
                    "stages": [
                        "new",
                        {"id": "qualified", "assign": {"roles": ["closer"]}},
                        {"id": "won", "final": True},
                    ]
                },
                "contact": {"fields": ["name", "email"]},
            },
            "transitions": {
                "qualify": {"from": "new", "to": "qualified", "condition": "data.score > 50"},
                "win": {
                    "from": "qualified",
                    "to": "won",
                    "by": {"roles": ["sales"]},
                    "guard": lambda lead: lead.budget is not None,
                    "after": lambda lead: told.append(("won", lead.id, lead.stage)),
                },
            },
            "guards": {"add_contact": lambda contact: "@" in (contact.email or "@")},
            "hooks": {
                "before": {
                    "update": lambda record, action: told.append((action.name, action.actor))
                }
            },
        }

    def sm(self):
        return {
            "entities": {
                "campaign": {"stages": [{"id": "plan", "assign": {"users": ["max"]}}, "live"]}
            },
            "transitions": {"go": {"from": "plan", "to": "live"}},
        }


def attempt(what, *args, **kwargs):
    try:
        print("done:", what(*args, **kwargs))
    except Rejected as refused:
        print("refused:", refused.code, "|", refused.message)


account = Account(sys.argv[1], "Acme")
crm = account.crm()
print(crm.status, crm.state, crm.records(), crm.history(), crm.can("edit"), crm.can("qualify"))
attempt(crm.add_contact, {"name": "John", "email": "nowhere"})
print(crm.status, crm.records())

with nexus.acting("ann", ["sales"]):
    attempt(account.crm().add, "lead", {"score": 40})
    attempt(account.crm().add_contact, {"name": "John", "email": "j@example.com"})
    attempt(account.crm().add_contact, {"nam": "John"})
    attempt(account.crm().act, "qualify")
    print(account.crm().can("qualify"), "|", account.crm().why("qualify").message)
    attempt(account.crm().act, "edit", data={"score": 60})
    attempt(account.crm().act, "edit", "lead-1", {"score": 60}, "Called.")
    attempt(account.crm().act, "qualify", comment="Nice people.")
    attempt(account.crm().act, "win")
    attempt(account.crm().act, "qualify", "contact-1")
    attempt(account.crm().act, "asign")
attempt(account.crm(actor="eve").act, "win")
print(account.crm().can("win"), account.crm().can("add_contact"), account.crm().state)

for row in CrmDashboard.for_user("cleo", ["closer"], over=[account]).pending().sort("-since"):
    print(row.record, row.stage, row.entity, row.assigned_as, row.role, row.subject.id, row.task)

with nexus.acting("cleo", ["closer", "sales"]):
    attempt(account.crm().act, "edit", "lead-1", {"budget": 1000})
    print(account.crm().can("win"), account.crm().why("win").message)
    attempt(account.crm().act, "win", "lead-1")
print(account.crm().status, account.crm().state, [record.id for record in account.crm().records()])
attempt(account.crm().act, "comment", comment="too late")

attempt(account.sm().launch_campaign, {"name": "Summer"})
mine = SmDashboard.for_user("max", over=[account])
print([(row.record, row.stage) for row in mine.active().filter(stage="plan")])
print([(row.record, row.stage) for row in mine.active().filter(lambda row: row.stage == "live")])
attempt(account.sm(actor="max").act, "go")
print(account.sm().status)

attempt(account.crm(actor=nexus.Actor("ann", ("sales",))).add, "lead", {"score": 99})
print(account.crm().status, account.crm().records("lead"))
print(told)
for entry in [*account.crm().history(), *account.sm().history()]:
    print(
        entry.seq,
        entry.event,
        entry.actor,
        entry.record,
        entry.before,
        entry.after,
        entry.comment,
        sorted(entry.payload),
    )
