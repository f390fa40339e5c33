"""Projects are put away, and marked to be deleted by a worker."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

COLUMNS = ("archived_at", "deletion_requested_at")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("project", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_project_deleted_when_archived"),
        "project",
        "deletion_requested_at IS NULL OR archived_at IS NOT NULL",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_project_deleted_when_archived"), "project", type_="check")
    for name in reversed(COLUMNS):
        op.drop_column("project", name)
