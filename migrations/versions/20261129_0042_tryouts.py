"""Two models are tried on one picture, beside the rounds."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

JOBS = "baseline generate judge branch close train reinforce evaluate import release assess compare"


def upgrade() -> None:
    _allow_jobs(f"{JOBS} try")
    op.create_table(
        "tried_picture",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(50), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "length(content) BETWEEN 1 AND 16777216", name=op.f("ck_tried_picture_content_within")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_tried_picture_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_tried_picture")),
    )
    op.create_index(
        "ix_run_tried", "run", ["project_id", "id"], postgresql_where=sa.text("job = 'try'")
    )


def downgrade() -> None:
    # Try-outs are kept for some days only; nothing else knows of them.
    op.drop_index("ix_run_tried", table_name="run")
    op.drop_table("tried_picture")
    op.execute("DELETE FROM run WHERE job = 'try'")
    _allow_jobs(JOBS)


def _allow_jobs(names: str) -> None:
    listed = ", ".join(f"'{name}'" for name in names.split())
    op.drop_constraint(op.f("ck_run_job"), "run", type_="check")
    op.create_check_constraint(op.f("ck_run_job"), "run", f"job IN ({listed})")
