"""Storage, on SQLite and on PostgreSQL as a role that row-level security holds for."""
