"""Runs that learn from rewards. Their prompts are rows of training_row, of train items only."""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

JOBS = "baseline generate judge branch close train evaluate import release"


def upgrade() -> None:
    _allow_jobs(JOBS.replace("train", "train reinforce"))


def downgrade() -> None:
    # The older schema knows them as trainings, whose adapters and rows stay as they are.
    op.execute(
        "UPDATE run SET status = 'cancelled', finished_at = now()"
        " WHERE job = 'reinforce' AND status IN ('queued', 'running')"
    )
    op.execute("UPDATE run SET job = 'train' WHERE job = 'reinforce'")
    _allow_jobs(JOBS)


def _allow_jobs(names: str) -> None:
    listed = ", ".join(f"'{name}'" for name in names.split())
    op.drop_constraint(op.f("ck_run_job"), "run", type_="check")
    op.create_check_constraint(op.f("ck_run_job"), "run", f"job IN ({listed})")
