"""A user's dashboard: the first 50 of 1,000 pending among 100,000 instances.

    python benchmarks/dashboard.py [--url postgresql://…] [--instances 100000]

Without `--url` it makes a SQLite file in a temporary folder. Rows are inserted
directly, and fewer than asked for only where they are there already: a database
can be used again with `--url`. It also times a projection of a plain action.
Prints medians and 95th percentiles in milliseconds; target: below 25.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nexus.core.projection import HistoryRow, InstanceRow, Projection, RecordRow
from storage import rows
from storage.chain import GENESIS
from storage.dashboard import DashboardFilter, SortBy, list_dashboard
from storage.engine import Engine, create_engine, is_postgresql
from storage.instances import InstanceFilter, list_instances
from storage.migrate import upgrade
from storage.projection import write_projection
from storage.scope import name_tenant, reading
from storage.tables import Assignment, Instance, Record, table_of

TENANT = "acme"
START = datetime(2026, 11, 21, tzinfo=UTC)
PENDING = 1_000
BATCH = 5_000
REPEATS = 50


def instance(n: int, seq: int = 1, name: str | None = None) -> InstanceRow:
    at = START + timedelta(seconds=n)
    return InstanceRow(
        id=name or f"{n:08d}-0000-7000-8000-000000000000",
        tenant=TENANT,
        workflow_id=f"{TENANT}:sales-pipeline:user:{n}",
        definition="sales-pipeline" if n % 3 else "promo-funnel",
        version="1.0.0",
        domain="crm",
        subject_type="user",
        subject_id=str(n),
        status="active",
        stage="new" if n % 2 else "qualified",
        data={"region": "EU"},
        started_by="ann",
        started_at=at,
        ended_at=None,
        seq=seq,
        updated_at=at + timedelta(seconds=seq),
    )


def lead(n: int, every: int) -> RecordRow:
    """A record of which one in `every` is ann's: half by name, half by her role."""
    hers = n % every == 0
    by_name = n % (2 * every) == 0
    at = START + timedelta(seconds=n)
    return RecordRow(
        id="lead-1",
        position=1,
        entity="lead",
        table="contacts",
        stage="new" if n % 2 else "qualified",
        status="open",
        data={"score": n % 100},
        users=("ann",) if by_name else (f"user-{n % 500}",),
        roles=("closers",) if hers and not by_name else (f"team-{n % 50}",),
        pending=True,
        running=False,
        parent=None,
        created_at=at,
        since=at,
        due_at=at + timedelta(days=2) if n % 5 else None,
    )


def seed(engine: Engine, instances: int) -> None:
    every = instances // PENDING
    with engine.begin() as connection:
        name_tenant(connection, TENANT)
        count = sa.select(sa.func.count()).select_from(table_of(Instance))
        present = connection.scalar(count) or 0
    for first in range(present, instances, BATCH):
        made = [(instance(n), lead(n, every)) for n in range(first, min(first + BATCH, instances))]
        chain = {"chain_position": 0, "chain_hash": GENESIS}
        with engine.begin() as connection:
            name_tenant(connection, TENANT)
            connection.execute(
                sa.insert(table_of(Instance)), [{**rows.of_instance(i), **chain} for i, _ in made]
            )
            connection.execute(sa.insert(table_of(Record)), [rows.of_record(i, r) for i, r in made])
            connection.execute(
                sa.insert(table_of(Assignment)),
                [row for i, r in made for row in rows.of_assignees(i, r)],
            )
    with engine.begin() as connection:
        connection.execute(sa.text("ANALYZE"))


def plain_actions() -> Iterator[Projection]:
    """One instance, taking one action after the other."""
    record, name = lead(0, 1), str(uuid.uuid4())
    for seq in range(1, 1_000, 2):
        row = instance(0, seq + 1, name)
        events = [
            HistoryRow(
                seq=number,
                at=row.updated_at,
                event=event,
                actor="ann",
                on_behalf_of=None,
                record="lead-1",
                before={"stage": "new"},
                after={"stage": "qualified"},
                comment=None,
                payload={"action": "qualify"},
                command=f"update-{seq}",
            )
            for number, event in ((seq, "action_taken"), (seq + 1, "stage_entered"))
        ]
        yield Projection(instance=row, records=[record], timers=[], history=events)


def report(what: str, call: Callable[[], object]) -> None:
    call()
    took = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        took.append((time.perf_counter() - started) * 1_000)
    p95 = sorted(took)[int(len(took) * 0.95)]
    print(f"  {what:<48} p50 {statistics.median(took):7.2f}   p95 {p95:7.2f}")


def measure(engine: Engine) -> None:
    roles = ["closers"]

    def board(sort: SortBy = "since", cursor: str | None = None, **wanted: Any) -> str | None:
        with reading(engine, TENANT) as session:
            page = list_dashboard(
                session, "ann", roles, DashboardFilter(**wanted), sort=sort, cursor=cursor
            )
        assert len(page.items) == 50
        return page.next

    last: str | None = None
    for _ in range(18):
        last = board(cursor=last)

    def listed() -> None:
        with reading(engine, TENANT) as session:
            list_instances(session, InstanceFilter(status="active"), descending=True)

    actions = plain_actions()
    report("dashboard, first 50 of 1,000", board)
    report("dashboard, page 19 of 20", lambda: board(cursor=last))
    report("dashboard by deadline", lambda: board("due_at"))
    report("dashboard of one definition", lambda: board(definition="sales-pipeline"))
    report("50 active instances, newest first", listed)
    report("projection of a plain action", lambda: write_projection(engine, next(actions)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="database; default: SQLite in a temporary folder")
    parser.add_argument("--instances", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nexus-benchmark-") as folder:
        url = arguments.url or f"sqlite:///{Path(folder) / 'nexus.db'}"
        upgrade(url)
        engine = create_engine(url)
        name = "PostgreSQL" if is_postgresql(engine) else "SQLite"
        print(f"{name}: {arguments.instances:,} instances …", flush=True)
        seed(engine, arguments.instances)
        measure(engine)
        engine.dispose()


if __name__ == "__main__":
    main()
