"""The hash chain of the audit trail (SR-005).

Each row of an instance's history carries the hash of the row written before it
and its own, over that hash and everything that the row stores, as it is stored.
So a value may be stored sealed, and destroying its key later changes no row
(R30). The instance keeps the chain's head: rows missing at the end show too.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from storage.scope import TenantSession
from storage.tables import History, Instance, table_of

GENESIS = "0" * 64

# In this order, for ever: another order is another hash. A column that is added
# later joins under a migration that says from which position on.
HASHED = (
    "instance",
    "tenant",
    "position",
    "seq",
    "revision",
    "at",
    "event",
    "actor",
    "on_behalf_of",
    "record",
    "before",
    "after",
    "comment",
    "payload",
    "command",
)


def hash_row(prev_hash: str, row: Any) -> str:
    """SHA-256, in hex, over the previous hash and a row's stored values.

    Args:
        prev_hash: Hash of the row written before; `GENESIS` for the first.
        row: Mapping by column name; `at` timezone-aware, in any zone.
    """
    values = [prev_hash]
    values.extend(_stored(row[name]) for name in HASHED)
    return hashlib.sha256(msgspec.json.encode(values)).hexdigest()


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value


def verify_chain(session: TenantSession, instance: str) -> int | None:
    """Check an instance's history against its hashes.

    Returns:
        None if it is whole; else the number (`seq`) of the first event that was
        changed, moved or follows a removed one, or the last number plus one if
        rows are missing at the end.
    """
    head = session.execute(
        sa.select(Instance.chain_position, Instance.chain_hash).where(  # type: ignore[call-overload]
            Instance.id == instance
        )
    ).one_or_none()
    columns = [getattr(History, column.name) for column in table_of(History).columns]
    rows = session.execute(
        sa.select(*columns)
        .where(History.instance == instance)  # type: ignore[arg-type]
        .order_by(History.position)  # type: ignore[arg-type]
        .execution_options(yield_per=500)
    ).mappings()
    position, prev_hash, last = 0, GENESIS, 0
    for row in rows:
        position += 1
        intact = (
            row["position"] == position
            and row["prev_hash"] == prev_hash
            and row["hash"] == hash_row(prev_hash, row)
        )
        if not intact:
            return int(row["seq"])
        prev_hash, last = row["hash"], max(last, row["seq"])
    if position == 0 and head is None:
        return None
    whole = head is not None and (position, prev_hash) == (head.chain_position, head.chain_hash)
    return None if whole else last + 1
