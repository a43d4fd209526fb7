"""Tasks and incidents, which dashboards show too; whether a record's stage still runs something.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
TABLES = ("tasks", "incidents")
KEYS = {"pk": "%(table_name)s_pkey"}  # what PostgreSQL calls them; SQLite has no names for them


def key(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def required(name: str, kind: sa.types.TypeEngine) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, kind, nullable=False)


def optional(name: str, kind: sa.types.TypeEngine) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, kind, nullable=True)


def upgrade() -> None:
    op.add_column(
        "records", sa.Column("running", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    create_tasks()
    create_incidents()
    change_assignments()
    # The clock of a step has that step's path for a name.
    with op.batch_alter_table("timers") as timers:
        timers.alter_column(
            "name", type_=sa.String(1000), existing_type=sa.String(200), existing_nullable=False
        )
    if op.get_bind().dialect.name == "postgresql":
        scope_on_postgresql()


def downgrade() -> None:
    op.execute("DELETE FROM assignments WHERE task <> ''")
    with op.batch_alter_table("assignments", naming_convention=KEYS) as assignments:
        for column in ("incidents", "title"):
            assignments.drop_column(column)
        assignments.drop_constraint("assignments_pkey", type_="primary")
        assignments.drop_column("task")
        assignments.create_primary_key(
            "assignments_pkey", ["instance", "record", "kind", "assignee"]
        )
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_column("records", "running")


def create_tasks() -> None:
    op.create_table(
        "tasks",
        required("tenant", key(200)),
        required("instance", key(64)),
        required("id", key(64)),
        required("record", key(250)),
        required("step", sa.String(1000)),
        required("title", sa.String(1000)),
        required("users", JSON),
        required("roles", JSON),
        required("since", MOMENT),
        sa.PrimaryKeyConstraint("instance", "id"),
    )


def create_incidents() -> None:
    op.create_table(
        "incidents",
        required("tenant", key(200)),
        required("instance", key(64)),
        required("id", key(64)),
        required("seq", sa.BigInteger()),
        optional("record", key(250)),
        required("code", key(200)),
        required("message", sa.Text()),
        optional("stage", key(200)),
        optional("step", sa.String(1000)),
        optional("channel", key(200)),
        required("retryable", sa.Boolean()),
        required("attempts", sa.Integer()),
        required("status", key(16)),
        required("raised_at", MOMENT),
        optional("closed_at", MOMENT),
        optional("closed_by", sa.String(500)),
        sa.PrimaryKeyConstraint("instance", "id"),
    )
    op.create_index("ix_incidents_raised", "incidents", ["tenant", "raised_at", "instance", "id"])
    op.create_index(
        "ix_incidents_status", "incidents", ["tenant", "status", "raised_at", "instance", "id"]
    )


def change_assignments() -> None:
    """A row for each task as well; `task` is empty for that of the record itself."""
    with op.batch_alter_table("assignments", naming_convention=KEYS) as assignments:
        assignments.add_column(sa.Column("task", key(64), nullable=False, server_default=""))
        assignments.add_column(optional("title", sa.String(1000)))
        assignments.add_column(
            sa.Column("incidents", sa.Integer(), nullable=False, server_default="0")
        )
        assignments.drop_constraint("assignments_pkey", type_="primary")
        assignments.create_primary_key(
            "assignments_pkey", ["instance", "record", "task", "kind", "assignee"]
        )


def scope_on_postgresql() -> None:
    caller = "tenant = current_setting('nexus.tenant', true)"
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_tenant ON {table} USING ({caller}) WITH CHECK ({caller})")
    # A metric counts the incidents of all tenants, and shows none of them.
    op.execute(
        "CREATE POLICY counted ON incidents FOR SELECT USING "
        "(current_setting('nexus.counting', true) = 'on')"
    )
