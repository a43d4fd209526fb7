"""Tests of `nexus.client`."""
