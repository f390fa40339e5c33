"""What changed between two versions of guidelines is made once and kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLE = "guidelines_difference"


def upgrade() -> None:
    """Nothing is filled in: each difference is made when it is first asked for."""
    numbers = ("old_number", "new_number")
    op.create_table(
        TABLE,
        *(
            sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)
            for name in ("project_id", *numbers)
        ),
        sa.Column("lines", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("old_number < new_number", name=op.f(f"ck_{TABLE}_numbers_in_order")),
        *(
            sa.ForeignKeyConstraint(
                ["project_id", number],
                ["guidelines_version.project_id", "guidelines_version.number"],
                name=op.f(f"fk_{TABLE}_{number}"),
                ondelete="CASCADE",
            )
            for number in numbers
        ),
        sa.PrimaryKeyConstraint("project_id", *numbers, name=op.f(f"pk_{TABLE}")),
    )


def downgrade() -> None:
    op.drop_table(TABLE)
