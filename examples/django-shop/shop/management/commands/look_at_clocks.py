"""`manage.py look_at_clocks`: for cron, every minute."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from nexus.local import run_due
from nexus.local.django import due_before
from shop.models import Product


class Command(BaseCommand):
    """Only products have clocks; of these, only the rows that have something due are read."""

    help = "Have what has come due happen, such as the end of campaigns."

    def handle(self, **_: Any) -> None:
        """Look once."""
        due = Product.objects.filter(due_before(timezone.now(), "sm_data"))
        looked = run_due(due)
        for product, error in looked.failed:
            self.stderr.write(f"{product} (product {product.pk}): {error}")
        if looked.failed:
            raise CommandError(f"{len(looked.failed)} of {looked.models} could not be looked at.")
        self.stdout.write(f"Looked at {looked.models}: {looked.happened} things have happened.")
