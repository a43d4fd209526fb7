"""The app."""

import warnings

from django.apps import AppConfig

from nexus.local import Level1Warning


class ShopConfig(AppConfig):
    """A shop: its customers and its products."""

    name = "shop"

    def ready(self) -> None:
        """Campaigns end by a clock, which wants somebody to look at it: `look_at_clocks` does."""
        warnings.filterwarnings("ignore", "Product: 'end' is taken after", Level1Warning)
