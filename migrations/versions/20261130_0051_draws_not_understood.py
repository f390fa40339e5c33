"""An index on draws whose words were not understood, so that a page finds the newest of them."""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_sample_not_understood",
        "sample",
        ["run_id", "id"],
        postgresql_where=sa.text("trace ->> 'outcome' = 'not_understood'"),
    )


def downgrade() -> None:
    op.drop_index("ix_sample_not_understood", table_name="sample")
