"""For SQLAlchemy and SQLModel: finding the rows that have something due.

run_due(session.scalars(select(User).where(due_before(User, datetime.now(UTC)))))
"""

from nexus.local.adapters.sqlalchemy import due_before

__all__ = ["due_before"]
