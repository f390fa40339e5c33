"""Evidence about the judgements of rounds, and the runs that gather it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

JOBS = "baseline generate judge branch close train reinforce evaluate import release"


def upgrade() -> None:
    _allow_jobs(f"{JOBS} assess")
    op.create_table(
        "round_evidence",
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("figures", JSONB(none_as_null=True), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("run_attempt", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("kind ~ '^[a-z_]+$'", name=op.f("ck_round_evidence_kind_is_a_name")),
        sa.ForeignKeyConstraint(
            ["round_id"], ["round.id"], name=op.f("fk_round_evidence_round_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id", "run_attempt"],
            ["run.id", "run.attempt"],
            name=op.f("fk_round_evidence_run_id_run_attempt"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("round_id", "kind", name=op.f("pk_round_evidence")),
    )
    op.create_index("ix_round_evidence_run_id", "round_evidence", ["run_id"])


def downgrade() -> None:
    # Measured from judgements, which stay: it can be gathered again.
    op.drop_table("round_evidence")
    op.execute("DELETE FROM run WHERE job = 'assess'")
    _allow_jobs(JOBS)


def _allow_jobs(names: str) -> None:
    listed = ", ".join(f"'{name}'" for name in names.split())
    op.drop_constraint(op.f("ck_run_job"), "run", type_="check")
    op.create_check_constraint(op.f("ck_run_job"), "run", f"job IN ({listed})")
