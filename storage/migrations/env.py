"""Alembic's environment: migrates on the connection that `storage.migrate` hands in.

All of it happens in the caller's transaction, on both databases, so a
migration is there as a whole or not at all.
"""

from alembic import context

from storage.tables import METADATA

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("Migrations run through storage.migrate.upgrade(url).")

context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
