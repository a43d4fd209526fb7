"""Channels: what reaches the world, and all that stands between a definition and it."""
