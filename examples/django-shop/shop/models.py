"""Customers with contacts, and products with campaigns. Each keeps its own, in one column."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from django.core.mail import send_mail
from django.db import models, transaction

from nexus.crm import HasCrm
from nexus.local import Action, Record
from nexus.sales_marketing import HasSalesMarketing


def is_still_there(contact: Record) -> bool:
    """A guard: nobody changes a contact who has left."""
    return contact.status != "left"


def greet(contact: Record, action: Action) -> None:
    """A hook: a new contact gets a mail, once it is certain that they are kept."""
    if contact.email is None:
        return
    text = f"Hello {contact.name}, we have noted you for {action.model.name}."
    mail = partial(send_mail, "Welcome", text, "shop@example.com", [contact.email])
    transaction.on_commit(mail)


class Customer(HasCrm, models.Model):
    """Somebody who buys, and whom we know there."""

    name = models.CharField(max_length=100)

    crm_definition: ClassVar[Mapping[str, Any] | Path] = {
        "version": "1.0.0",
        "entities": {
            "contact": {
                "fields": {
                    "name": {"type": "string", "minLength": 1, "required": True},
                    "email": {"type": "string", "format": "email"},
                    "status": {"enum": ["active", "left"]},
                }
            }
        },
        "guards": {"edit": is_still_there},
        "hooks": {"after": {"add_contact": greet}},
    }

    def __str__(self) -> str:
        return self.name


def is_on_sale(_: Record, action: Action) -> bool:
    """A guard: nothing is advertised that nobody can buy."""
    return bool(action.model.on_sale)


class Product(HasSalesMarketing, models.Model):
    """Something that is sold, and advertised."""

    name = models.CharField(max_length=100)
    on_sale = models.BooleanField(default=True)

    sm_definition: ClassVar[Mapping[str, Any] | Path] = {
        "version": "1.0.0",
        "roles": {
            "marketing": {"can": ["submit", "stop", "update", "comment"]},
            "manager": {"can": ["approve", "reject"], "inherits": ["marketing"]},
        },
        "entities": {
            "campaign": {
                "fields": {
                    "name": {"type": "string", "minLength": 1, "required": True},
                    "budget": {"type": "number", "minimum": 0},
                    "channel": {"enum": ["mail", "web", "print"]},
                },
                "stages": [
                    {"id": "draft", "assign": {"roles": ["marketing"]}},
                    {"id": "review", "assign": {"roles": ["manager"]}},
                    {"id": "running", "assign": {"roles": ["marketing"]}},
                    {"id": "over", "final": True},
                ],
            }
        },
        "transitions": {
            "submit": {
                "from": "draft",
                "to": "review",
                "condition": "data.budget > 0 AND has(data.channel)",
            },
            "approve": {"from": "review", "to": "running", "condition": "data.budget <= 5000"},
            "reject": {"from": "review", "to": "draft"},
            "stop": {"from": "running", "to": "over"},
            "end": {"from": "running", "to": "over", "on": {"after": "14 days"}},
        },
        "guards": {"launch_campaign": is_on_sale},
    }

    def __str__(self) -> str:
        return self.name
