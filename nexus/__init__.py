"""Nexus: pipelines for CRM and marketing, written in JSON and run durably."""

__version__ = "0.1.0"

__all__ = ["__version__"]
