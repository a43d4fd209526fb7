"""The core: definitions, decisions, rows. No I/O, so no fixtures."""
