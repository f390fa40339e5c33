"""Items keep what several people answered, and predictions how far they agree with them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "item", sa.Column("answers", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False)
    )
    for name in ("soft_accuracy", "blank_soft_accuracy"):
        op.add_column("prediction", sa.Column(name, sa.Float()))
    op.create_check_constraint(
        op.f("ck_prediction_soft_accuracy_within"),
        "prediction",
        "soft_accuracy BETWEEN 0 AND 1 AND blank_soft_accuracy BETWEEN 0 AND 1",
    )


def downgrade() -> None:
    # The answers come back with an import of the same file that updates items.
    for name in ("blank_soft_accuracy", "soft_accuracy"):
        op.drop_column("prediction", name)
    op.drop_column("item", "answers")
