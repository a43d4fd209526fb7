"""Tests of the models: `python manage.py test`. No server is needed, and no platform."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

from django.core import mail
from django.core.management import call_command
from django.test import TestCase

import nexus
from shop.models import Customer, Product

MARKETING = nexus.Actor("ann", ("marketing",))
MANAGER = nexus.Actor("max", ("manager",))


class Contacts(TestCase):
    """What becomes of people at customers."""

    def setUp(self) -> None:
        """One customer."""
        self.customer = Customer.objects.create(name="ACME")

    def test_a_new_contact_is_greeted_once_they_are_kept(self) -> None:
        """The hook asks Django to wait for the transaction."""
        with self.captureOnCommitCallbacks(execute=True):
            self.customer.crm().add_contact({"name": "John", "email": "john@acme.example"})
            self.assertEqual(mail.outbox, [])
        self.assertEqual([message.to for message in mail.outbox], [["john@acme.example"]])

    def test_nobody_changes_a_contact_who_has_left(self) -> None:
        """The guard is asked by `can` as well."""
        contact = self.customer.crm().add_contact({"name": "John", "status": "active"})
        self.assertTrue(self.customer.crm().can("edit", contact))
        self.customer.crm().act("edit", contact, {"status": "left"})
        self.assertFalse(self.customer.crm().can("edit", contact))
        with self.assertRaises(nexus.Rejected):
            self.customer.crm().act("edit", contact, {"name": "Jim"})


class Campaigns(TestCase):
    """What becomes of campaigns."""

    def setUp(self) -> None:
        """One product, and a clock that the test sets."""
        self.product = Product.objects.create(name="Lamp")
        self.now = datetime.now(UTC)
        nexus.configure(clock=lambda: self.now)
        self.addCleanup(nexus.configure, clock=None)

    def test_a_campaign_runs_for_two_weeks(self) -> None:
        """Both of them tell; nobody ends it by hand."""
        self.now -= timedelta(days=14)
        self.product.sm(MARKETING).launch_campaign({"name": "Summer", "budget": 900})
        self.product.sm(MARKETING).act("update", data={"channel": "web"})
        self.product.sm(MARKETING).act("submit")
        self.assertFalse(self.product.sm(MARKETING).can("approve"))
        self.product.sm(MANAGER).act("approve", comment="Go ahead.")
        self.now += timedelta(days=14)
        said = StringIO()
        call_command("look_at_clocks", stdout=said)
        self.assertIn("Looked at 1", said.getvalue())
        product = Product.objects.get()
        self.assertEqual([one.stage for one in product.sm().records()], ["over"])
        self.assertEqual(product.sm().status, "completed")

    def test_what_is_not_sold_is_not_advertised(self) -> None:
        """The guard sees the product."""
        self.product.on_sale = False
        with self.assertRaises(nexus.Rejected):
            self.product.sm(MARKETING).launch_campaign({"name": "Summer"})
