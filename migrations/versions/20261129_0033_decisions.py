"""Admissions with a probability, and what a round's policy decided with, apart from its rows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("admission", sa.Column("probability", sa.Float()))
    op.create_check_constraint(
        op.f("ck_admission_probability_within"), "admission", "probability BETWEEN 0 AND 1"
    )
    op.create_check_constraint(
        op.f("ck_admission_probability_of_people"),
        "admission",
        "(policy LIKE 'dawid_skene%') = (probability IS NOT NULL)",
    )
    op.create_table(
        "admission_decision",
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("policy", sa.String(50), nullable=False),
        sa.Column("n_rationales", sa.BigInteger(), nullable=False),
        sa.Column("n_items", sa.BigInteger(), nullable=False),
        sa.Column("n_judged_items", sa.BigInteger(), nullable=False),
        sa.Column("weighing", JSONB()),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_admission_decision")),
        sa.ForeignKeyConstraint(
            ["round_id"],
            ["round.id"],
            name=op.f("fk_admission_decision_round_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "n_items <= n_rationales AND n_items <= n_judged_items",
            name=op.f("ck_admission_decision_counts_add_up"),
        ),
        sa.CheckConstraint(
            "(policy LIKE 'dawid_skene%') = (weighing IS NOT NULL)",
            name=op.f("ck_admission_decision_weighing_of_people"),
        ),
    )


def downgrade() -> None:
    # The older schema has no place for a probability: what was admitted by it stays admitted.
    op.drop_table("admission_decision")
    op.drop_constraint(op.f("ck_admission_probability_of_people"), "admission", type_="check")
    op.drop_constraint(op.f("ck_admission_probability_within"), "admission", type_="check")
    op.drop_column("admission", "probability")
    # Under a name without the promise of a probability, so that the schema can come back.
    op.execute("UPDATE admission SET policy = 'weighed' WHERE policy LIKE 'dawid_skene%'")
