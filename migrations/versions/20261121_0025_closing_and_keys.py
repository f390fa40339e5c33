"""Rounds close in a status of their own, by a job; runs say which strategy and role they are about;
written rationales keep the key of their text."""

import sqlalchemy as sa
from alembic import op

# Not a copy: keys are right when they are those that the code asks for.
from app.same_text import text_key

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

ROUND_STATUSES = "draft generating judging training evaluating completed cancelled"
JOBS = "baseline generate judge train evaluate import release"
LIVE = "status IN ('queued', 'running')"
TRIGGER = "written_rationale_never_changes"
IN_ONE_UPDATE = 5000


def upgrade() -> None:
    _check("round", "status", ROUND_STATUSES.replace("judging", "judging closing"))
    _check("run", "job", JOBS.replace("judge", "judge close"))
    for column in ("strategy", "role"):
        op.add_column("run", sa.Column(column, sa.String(50), nullable=True))
    op.execute(
        "UPDATE run SET strategy = 'direct', role = CASE job WHEN 'train' THEN 'model' END"
        " WHERE job IN ('generate', 'train', 'evaluate')"
    )
    op.drop_index("uq_run_one_live_per_round_and_job", table_name="run")
    op.create_index(
        op.f("uq_run_one_live_per_part"),
        "run",
        ["round_id", "job", "strategy", "role"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text(f"{LIVE} AND round_id IS NOT NULL"),
    )
    _add_keys()


def downgrade() -> None:
    op.drop_constraint(op.f("ck_written_rationale_key_given"), "written_rationale", type_="check")
    op.drop_column("written_rationale", "text_key")
    # What was being closed is judged again, and closed by whoever asks for it.
    op.execute("DELETE FROM admission USING round WHERE round.id = round_id AND status = 'closing'")
    op.execute("UPDATE round SET status = 'judging' WHERE status = 'closing'")
    op.execute("DELETE FROM run WHERE job = 'close'")
    op.drop_index("uq_run_one_live_per_part", table_name="run")
    op.create_index(
        op.f("uq_run_one_live_per_round_and_job"),
        "run",
        ["round_id", "job"],
        unique=True,
        postgresql_where=sa.text(LIVE),
    )
    for column in ("role", "strategy"):
        op.drop_column("run", column)
    _check("run", "job", JOBS)
    _check("round", "status", ROUND_STATUSES)


def _check(table: str, column: str, values: str) -> None:
    name = op.f(f"ck_{table}_{column}")
    listed = ", ".join(f"'{value}'" for value in values.split())
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({listed})")


def _add_keys() -> None:
    op.add_column(
        "written_rationale",
        sa.Column("text_key", sa.String(64), server_default="", nullable=False),
    )
    op.alter_column("written_rationale", "text_key", server_default=None)
    # A written rationale never changes, but for this.
    op.execute(f"ALTER TABLE written_rationale DISABLE TRIGGER {TRIGGER}")
    texts = op.get_bind().execute(
        sa.text(
            "SELECT judgement_id, candidate_id, text FROM written_rationale WHERE erased_at IS NULL"
        )
    )
    while rows := texts.fetchmany(IN_ONE_UPDATE):
        op.get_bind().execute(
            sa.text(
                "UPDATE written_rationale SET text_key = :key"
                " WHERE judgement_id = :judgement_id AND candidate_id = :candidate_id"
            ),
            [
                {
                    "judgement_id": row.judgement_id,
                    "candidate_id": row.candidate_id,
                    "key": text_key(row.text),
                }
                for row in rows
            ],
        )
    op.execute(f"ALTER TABLE written_rationale ENABLE TRIGGER {TRIGGER}")
    op.create_check_constraint(
        op.f("ck_written_rationale_key_given"),
        "written_rationale",
        "(text_key = '') = (erased_at IS NOT NULL)",
    )
