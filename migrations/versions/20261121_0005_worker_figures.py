"""A worker says how much memory it uses and how fast it is."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("worker", sa.Column("memory_used", sa.BigInteger(), nullable=True))
    op.add_column("worker", sa.Column("memory_total", sa.BigInteger(), nullable=True))
    op.add_column("worker", sa.Column("per_second", sa.Float(), nullable=True))
    op.add_column(
        "worker", sa.Column("unit", sa.String(length=20), server_default="", nullable=False)
    )


def downgrade() -> None:
    for name in ("unit", "per_second", "memory_total", "memory_used"):
        op.drop_column("worker", name)
