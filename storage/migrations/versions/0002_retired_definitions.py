"""Who activated a version of a definition, and who retired it, and when.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("definitions", sa.Column("activated_by", sa.String(500), nullable=True))
    op.add_column("definitions", sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("definitions", sa.Column("retired_by", sa.String(500), nullable=True))
    # Until now, whoever uploaded a version activated it.
    fill = "UPDATE definitions SET activated_by = uploaded_by WHERE activated_at IS NOT NULL"
    if op.get_bind().dialect.name != "postgresql":
        op.execute(fill)
        return
    # Row-level security holds for the owner as well, who here means every tenant's rows.
    op.execute("ALTER TABLE definitions NO FORCE ROW LEVEL SECURITY")
    op.execute(fill)
    op.execute("ALTER TABLE definitions FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    for column in ("retired_by", "retired_at", "activated_by"):
        op.drop_column("definitions", column)
