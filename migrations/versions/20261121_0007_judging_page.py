"""Faults and corrected texts of a judgement, and the keys that a person chose."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = (("judgement", "faults"), ("judgement", "edits"), ("user", "judging_keys"))


def upgrade() -> None:
    for table, name in COLUMNS:
        op.add_column(
            table,
            sa.Column(
                name,
                postgresql.JSONB(none_as_null=True),
                server_default=sa.text("'{}'::jsonb"),
                nullable=False,
            ),
        )
    for name in ("faults", "edits"):
        op.create_check_constraint(
            op.f(f"ck_judgement_{name}_by_candidate"),
            "judgement",
            f"jsonb_typeof({name}) = 'object'",
        )
    op.create_check_constraint(
        op.f("ck_verdict_fitting_has_no_fault"), "verdict", "NOT (fits AND faults <> '[]'::jsonb)"
    )
    op.create_table(
        "written_rationale",
        sa.Column("judgement_id", sa.BigInteger(), nullable=False),
        sa.Column("candidate_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("text <> ''", name=op.f("ck_written_rationale_text_given")),
        sa.ForeignKeyConstraint(
            ["candidate_id", "item_id"],
            ["candidate.id", "candidate.item_id"],
            name=op.f("fk_written_rationale_candidate_id_item_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["judgement_id"],
            ["judgement.id"],
            name=op.f("fk_written_rationale_judgement_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("judgement_id", "candidate_id", name=op.f("pk_written_rationale")),
    )
    for column in ("item_id", "candidate_id"):
        op.create_index(f"ix_written_rationale_{column}", "written_rationale", [column])


def downgrade() -> None:
    op.drop_table("written_rationale")
    op.drop_constraint(op.f("ck_verdict_fitting_has_no_fault"), "verdict", type_="check")
    for name in ("edits", "faults"):
        op.drop_constraint(op.f(f"ck_judgement_{name}_by_candidate"), "judgement", type_="check")
    for table, name in reversed(COLUMNS):
        op.drop_column(table, name)
