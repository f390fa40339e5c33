"""What a model says of an item when it is shown a blank picture, beside what it says of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = ("blank_answer", "blank_rationale", "blank_answer_is_right", "blank_fits")


def upgrade() -> None:
    for name in COLUMNS:
        is_text = name in {"blank_answer", "blank_rationale"}
        op.add_column("prediction", sa.Column(name, sa.Text() if is_text else sa.Boolean()))
    op.create_check_constraint(
        op.f("ck_prediction_blank_whole_or_absent"),
        "prediction",
        f"num_nulls({', '.join(COLUMNS)}) IN (0, 4)",
    )
    op.create_check_constraint(
        op.f("ck_prediction_blank_wrong_answer_is_no_fit"),
        "prediction",
        "blank_answer_is_right OR blank_fits IS NOT TRUE",
    )


def downgrade() -> None:
    op.drop_constraint(
        op.f("ck_prediction_blank_wrong_answer_is_no_fit"), "prediction", type_="check"
    )
    op.drop_constraint(op.f("ck_prediction_blank_whole_or_absent"), "prediction", type_="check")
    for name in reversed(COLUMNS):
        op.drop_column("prediction", name)
