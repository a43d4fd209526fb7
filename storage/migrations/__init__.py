"""Alembic migrations. `HEAD` is the newest revision; a test holds it equal to the scripts'."""

HEAD = "0003"
