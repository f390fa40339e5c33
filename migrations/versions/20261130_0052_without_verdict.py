"""Predictions of items that a critic cannot judge: with a blank picture, too, and without a verdict."""

from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

WHOLE = "ck_prediction_blank_whole_or_absent"
BOTH = "ck_prediction_verdict_on_both_or_neither"
FAULT = "ck_prediction_fault_has_verdict"
BLANK = ("blank_answer", "blank_rationale", "blank_answer_is_right")


def upgrade() -> None:
    # Every prediction of before has a verdict, on what was said of a blank picture as well.
    op.drop_constraint(op.f(WHOLE), "prediction", type_="check")
    op.create_check_constraint(
        op.f(WHOLE), "prediction", f"num_nulls({', '.join(BLANK)}) IN (0, 3)"
    )
    op.create_check_constraint(
        op.f(BOTH), "prediction", "(blank_fits IS NULL) = (fits IS NULL OR blank_answer IS NULL)"
    )
    op.create_check_constraint(op.f(FAULT), "prediction", "fits IS NOT NULL OR fault IS NULL")


def downgrade() -> None:
    # The older schema cannot hold what was said of a blank picture without a verdict, and one would
    # have to be invented: those words are dropped, their scores stay. Other predictions stay.
    absent = ", ".join(f"{name} = NULL" for name in (*BLANK, "blank_soft_accuracy"))
    op.execute(
        f"UPDATE prediction SET {absent} WHERE fits IS NULL AND blank_answer IS NOT NULL"  # noqa: S608
    )
    op.drop_constraint(op.f(FAULT), "prediction", type_="check")
    op.drop_constraint(op.f(BOTH), "prediction", type_="check")
    op.drop_constraint(op.f(WHOLE), "prediction", type_="check")
    op.create_check_constraint(
        op.f(WHOLE), "prediction", f"num_nulls({', '.join((*BLANK, 'blank_fits'))}) IN (0, 4)"
    )
