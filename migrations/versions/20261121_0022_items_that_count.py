"""An index of the few items of rounds that belong to no figure."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

NAME = "ix_round_item_uncounted"


def upgrade() -> None:
    op.create_index(
        op.f(NAME), "round_item", ["id"], postgresql_where=sa.text("purpose <> 'training'")
    )


def downgrade() -> None:
    op.drop_index(op.f(NAME), table_name="round_item")
