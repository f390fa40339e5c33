"""Draws say whether their text was cut at the limit of tokens; of those of before nobody knows."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sample", sa.Column("is_cut", sa.Boolean(), nullable=True))
    op.create_index(
        "ix_sample_cut", "sample", ["run_id"], postgresql_where=sa.text("is_cut IS TRUE")
    )


def downgrade() -> None:
    op.drop_index("ix_sample_cut", "sample")
    op.drop_column("sample", "is_cut")
