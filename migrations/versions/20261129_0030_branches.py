"""Branches of draws, of train items only, and runs that make them beside a round."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

JOBS = "baseline generate judge close train evaluate import release"
LIVE_OF_ROUND = "status IN ('queued', 'running') AND round_id IS NOT NULL"
MADE = "run_attempt, seed, trace, text, log_probability, n_tokens, is_cut, seconds, made_at"
ASKED = "judgement_id, round_id, sample_id, turn, correction, item_id, split"

# A key cannot look into an array or a trace.
FUNCTION = """
CREATE FUNCTION branch_is_of_draw() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (
    SELECT 1 FROM judgement
    JOIN round_item ON round_item.id = judgement.round_item_id
    JOIN sample ON sample.id = NEW.sample_id
    JOIN run ON run.id = sample.run_id
    WHERE judgement.id = NEW.judgement_id
      AND judgement.round_id = NEW.round_id
      AND run.round_id = NEW.round_id
      AND round_item.item_id = NEW.item_id
      AND sample.item_id = NEW.item_id
      AND sample.candidate_id = ANY (judgement.shown_order)
      AND NEW.turn <= coalesce(jsonb_array_length(sample.trace -> 'turns'), 0)
  ) THEN
    RAISE EXCEPTION 'a branch is of a turn of a draw that led to a candidate of its judgement'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
"""


def upgrade() -> None:
    _allow_jobs(JOBS.replace("judge", "judge branch"))
    _one_live_run(f"{LIVE_OF_ROUND} AND job <> 'branch'")
    op.create_table(
        "branch",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("judgement_id", sa.BigInteger(), nullable=False),
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("sample_id", sa.BigInteger(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("correction", sa.Text(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("split", sa.String(32), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("run_attempt", sa.BigInteger(), nullable=True),
        sa.Column("adapter_id", sa.BigInteger(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("trace", JSONB(none_as_null=True), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("log_probability", sa.Float(), nullable=True),
        sa.Column("n_tokens", sa.BigInteger(), nullable=True),
        sa.Column("is_cut", sa.Boolean(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "split IN ('train', 'validation', 'test')", name=op.f("ck_branch_split")
        ),
        sa.CheckConstraint("split = 'train'", name=op.f("ck_branch_train_split_only")),
        sa.CheckConstraint("turn >= 1", name=op.f("ck_branch_turn_from_one")),
        sa.CheckConstraint("correction <> ''", name=op.f("ck_branch_correction_given")),
        sa.CheckConstraint(
            f"num_nulls({MADE}) IN (0, 9)", name=op.f("ck_branch_whole_or_not_made")
        ),
        sa.CheckConstraint(
            "adapter_id IS NULL OR trace IS NOT NULL",
            name=op.f("ck_branch_adapter_of_what_is_made"),
        ),
        *(
            sa.ForeignKeyConstraint(
                [f"{other}_id"],
                [f"{other}.id"],
                name=op.f(f"fk_branch_{other}_id"),
                ondelete="CASCADE",
            )
            for other in ("judgement", "round", "sample")
        ),
        sa.ForeignKeyConstraint(["adapter_id"], ["adapter.id"], name=op.f("fk_branch_adapter_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_branch_run_id")),
        sa.ForeignKeyConstraint(
            ["run_id", "run_attempt"],
            ["run.id", "run.attempt"],
            name=op.f("fk_branch_run_id_run_attempt"),
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "split"], ["item.id", "item.split"], name=op.f("fk_branch_item_id_split")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_branch")),
        sa.UniqueConstraint(
            "judgement_id",
            "sample_id",
            "turn",
            "correction",
            name=op.f("uq_branch_judgement_id_sample_id_turn_correction"),
        ),
        sa.UniqueConstraint("run_id", name=op.f("uq_branch_run_id")),
    )
    for column in ("sample_id", "round_id", "item_id"):
        op.create_index(f"ix_branch_{column}", "branch", [column])
    op.execute(FUNCTION)
    op.execute(
        "CREATE TRIGGER branch_is_of_draw AFTER INSERT ON branch"
        " FOR EACH ROW EXECUTE FUNCTION branch_is_of_draw()"
    )
    old, new = (", ".join(f"{row}.{name}" for name in ASKED.split(", ")) for row in ("OLD", "NEW"))
    op.execute(
        "CREATE TRIGGER branch_never_changes BEFORE UPDATE ON branch FOR EACH ROW"
        f" WHEN (OLD.trace IS NOT NULL OR ({old}) IS DISTINCT FROM ({new}))"
        " EXECUTE FUNCTION forbid_change('judgement', 'judgement_id')"
    )


def downgrade() -> None:
    op.drop_table("branch")
    op.execute("DROP FUNCTION branch_is_of_draw()")
    op.execute("DELETE FROM run WHERE job = 'branch'")
    _one_live_run(LIVE_OF_ROUND)
    _allow_jobs(JOBS)


def _allow_jobs(names: str) -> None:
    listed = ", ".join(f"'{name}'" for name in names.split())
    op.drop_constraint(op.f("ck_run_job"), "run", type_="check")
    op.create_check_constraint(op.f("ck_run_job"), "run", f"job IN ({listed})")


def _one_live_run(where: str) -> None:
    """Let a round have one live run of each job, strategy and role, where this holds of the run."""
    op.drop_index("uq_run_one_live_per_part", table_name="run")
    op.create_index(
        op.f("uq_run_one_live_per_part"),
        "run",
        ["round_id", "job", "strategy", "role"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text(where),
    )
