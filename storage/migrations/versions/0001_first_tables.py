"""The tables of definitions, instances, records, history, clocks and assignments.

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)

TABLES = (
    "definitions",
    "instances",
    "records",
    "history",
    "timers",
    "assignments",
    "contacts",
    "opportunities",
    "campaigns",
    "pricings",
    "idempotency_keys",
)


def key(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def required(name: str, kind: sa.types.TypeEngine) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, kind, nullable=False)


def optional(name: str, kind: sa.types.TypeEngine) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, kind, nullable=True)


def counter(name: str, kind: sa.types.TypeEngine) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, kind, nullable=False, autoincrement=False)


def upgrade() -> None:
    create_definitions()
    create_instances()
    create_history()
    create_work()
    create_typed_tables()
    create_idempotency_keys()
    if op.get_bind().dialect.name == "postgresql":
        protect_history_on_postgresql()
        scope_on_postgresql()
    else:
        protect_history_on_sqlite()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION history_is_append_only()")


def create_definitions() -> None:
    op.create_table(
        "definitions",
        required("tenant", key(200)),
        required("id", key(1000)),
        required("version", key(200)),
        counter("revision", sa.Integer()),
        optional("label", sa.String(500)),
        optional("domain", sa.String(200)),
        required("text", sa.Text()),
        required("sha256", sa.String(64)),
        required("active", sa.Boolean()),
        required("source", sa.String(16)),
        required("uploaded_by", sa.String(500)),
        required("uploaded_at", MOMENT),
        optional("activated_at", MOMENT),
        required("warnings", JSON),
        sa.PrimaryKeyConstraint("tenant", "id", "version", "revision"),
    )


def create_instances() -> None:
    op.create_table(
        "instances",
        required("tenant", key(200)),
        required("id", key(64)),
        required("workflow_id", sa.String(1000)),
        required("definition", key(1000)),
        required("version", sa.String(200)),
        optional("domain", sa.String(200)),
        required("subject_type", key(1000)),
        required("subject_id", key(1000)),
        required("status", key(16)),
        optional("stage", key(200)),
        required("data", JSON),
        required("started_by", sa.String(500)),
        required("started_at", MOMENT),
        optional("ended_at", MOMENT),
        required("seq", sa.BigInteger()),
        required("updated_at", MOMENT),
        required("chain_position", sa.BigInteger()),
        required("chain_hash", sa.String(64)),
        sa.PrimaryKeyConstraint("id"),
    )
    for name, columns in {
        "started": ("started_at", "id"),
        "updated": ("updated_at", "id"),
        "id": ("id",),
        "definition": ("definition", "started_at", "id"),
        "status": ("status", "started_at", "id"),
        "stage": ("stage", "started_at", "id"),
        "subject": ("subject_type", "subject_id", "definition"),
    }.items():
        op.create_index(f"ix_instances_{name}", "instances", ["tenant", *columns])
    op.create_table(
        "records",
        required("tenant", key(200)),
        required("instance", key(64)),
        required("id", key(250)),
        required("position", sa.Integer()),
        required("entity", sa.String(200)),
        optional("typed_table", sa.String(32)),
        optional("stage", sa.String(200)),
        required("status", sa.String(16)),
        required("data", JSON),
        required("users", JSON),
        required("roles", JSON),
        required("pending", sa.Boolean()),
        optional("parent", sa.String(250)),
        required("created_at", MOMENT),
        optional("since", MOMENT),
        optional("due_at", MOMENT),
        required("seq", sa.BigInteger()),
        sa.PrimaryKeyConstraint("instance", "id"),
    )


def create_history() -> None:
    op.create_table(
        "history",
        required("tenant", key(200)),
        required("instance", key(64)),
        counter("seq", sa.BigInteger()),
        counter("revision", sa.Integer()),
        required("position", sa.BigInteger()),
        required("at", MOMENT),
        required("event", sa.String(200)),
        required("actor", sa.String(500)),
        optional("on_behalf_of", sa.String(500)),
        optional("record", sa.String(250)),
        required("before", sa.Text()),
        required("after", sa.Text()),
        optional("comment", sa.Text()),
        required("payload", sa.Text()),
        optional("command", key(200)),
        required("prev_hash", sa.String(64)),
        required("hash", sa.String(64)),
        sa.PrimaryKeyConstraint("instance", "seq", "revision"),
        sa.UniqueConstraint("instance", "position", name="uq_history_position"),
    )
    op.create_index("ix_history_command", "history", ["instance", "command"])


def create_work() -> None:
    op.create_table(
        "timers",
        required("tenant", key(200)),
        required("instance", key(64)),
        required("id", key(1000)),
        required("record", sa.String(250)),
        required("kind", sa.String(32)),
        required("name", sa.String(200)),
        required("trigger_at", MOMENT),
        required("summary", sa.String(500)),
        sa.PrimaryKeyConstraint("instance", "id"),
    )
    op.create_index("ix_timers_trigger_at", "timers", ["trigger_at"])
    op.create_index("ix_timers_due", "timers", ["tenant", "trigger_at", "instance", "id"])
    op.create_table(
        "assignments",
        required("tenant", key(200)),
        required("instance", key(64)),
        required("record", key(250)),
        required("kind", key(8)),
        required("assignee", key(500)),
        required("entity", sa.String(200)),
        required("definition", key(1000)),
        required("version", sa.String(200)),
        optional("stage", key(200)),
        required("subject_type", key(1000)),
        required("subject_id", key(1000)),
        required("pending", sa.Boolean()),
        required("since", MOMENT),
        optional("due_at", MOMENT),
        required("due_sort", MOMENT),
        sa.PrimaryKeyConstraint("instance", "record", "kind", "assignee"),
    )
    for name, column in {"since": "since", "due": "due_sort"}.items():
        op.create_index(
            f"ix_assignments_{name}",
            "assignments",
            ["tenant", "kind", "assignee", column, "instance", "record"],
        )


def create_typed_tables() -> None:
    number: sa.types.TypeEngine[float] = sa.Double()
    text = sa.String(500)
    columns: dict[str, tuple[tuple[str, sa.types.TypeEngine], ...]] = {  # type: ignore[type-arg]
        "contacts": (("name", text), ("email", text), ("status", text), ("score", number)),
        "opportunities": (
            ("contact_id", key(250)),
            ("stage", text),
            ("value", number),
            ("close_date", sa.Date()),
        ),
        "campaigns": (
            ("name", text),
            ("type", text),
            ("channel", text),
            ("status", text),
            ("budget", number),
            ("start", MOMENT),
            ("end", MOMENT),
            ("metrics", JSON),
        ),
        "pricings": (
            ("campaign_id", key(250)),
            ("type", text),
            ("value", number),
            ("discount", number),
        ),
    }
    for table, fields in columns.items():
        op.create_table(
            table,
            required("tenant", key(200)),
            required("instance", key(64)),
            required("id", key(250)),
            *(optional(name, kind) for name, kind in fields),
            sa.PrimaryKeyConstraint("instance", "id"),
        )


def create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        required("tenant", key(200)),
        required("actor", key(500)),
        required("route", key(500)),
        required("key", key(255)),
        required("fingerprint", sa.String(64)),
        optional("status", sa.Integer()),
        optional("body", sa.Text()),
        required("created_at", MOMENT),
        sa.PrimaryKeyConstraint("tenant", "actor", "route", "key"),
    )
    op.create_index("ix_idempotency_created", "idempotency_keys", ["tenant", "created_at"])


def protect_history_on_sqlite() -> None:
    """Refuse changes; INSERT OR REPLACE is one too, and fires no DELETE trigger by default."""
    refuse = "BEGIN SELECT RAISE(ABORT, 'history is append-only'); END"
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER history_no_{change.lower()} BEFORE {change} ON history {refuse}"
        )
    taken = (
        "EXISTS (SELECT 1 FROM history WHERE instance = NEW.instance "
        "AND (position = NEW.position OR (seq = NEW.seq AND revision = NEW.revision)))"
    )
    op.execute(f"CREATE TRIGGER history_no_replace BEFORE INSERT ON history WHEN {taken} {refuse}")


def protect_history_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION history_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION 'history is append-only' "
        "USING ERRCODE = 'restrict_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER history_no_change BEFORE UPDATE OR DELETE ON history "
        "FOR EACH ROW EXECUTE FUNCTION history_is_append_only()"
    )
    op.execute(
        "CREATE TRIGGER history_no_truncate BEFORE TRUNCATE ON history "
        "FOR EACH STATEMENT EXECUTE FUNCTION history_is_append_only()"
    )


def scope_on_postgresql() -> None:
    """Row-level security: a transaction sees the tenant that it has named, and no other.

    FORCE, because the role that owns the tables is the one that serves requests.
    """
    caller = "tenant = current_setting('nexus.tenant', true)"
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own_tenant ON {table} USING ({caller}) WITH CHECK ({caller})")
    # What the folder holds serves every tenant that has named itself, for reading.
    op.execute(
        "CREATE POLICY shared ON definitions FOR SELECT USING "
        "(tenant = '*' AND current_setting('nexus.tenant', true) <> '')"
    )
