"""Pictures that admins put into guidelines, numbered in each project."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLE = "guidelines_picture"


def upgrade() -> None:
    """The table begins empty: until now no guidelines showed any."""
    op.create_table(
        TABLE,
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("image_sha256", sa.String(64), nullable=False),
        sa.Column("alt", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.CheckConstraint("number >= 1", name=op.f(f"ck_{TABLE}_number_positive")),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f(f"fk_{TABLE}_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["image_sha256"], ["image.sha256"], name=op.f(f"fk_{TABLE}_image_sha256")
        ),
        sa.PrimaryKeyConstraint("project_id", "number", name=op.f(f"pk_{TABLE}")),
        sa.UniqueConstraint(
            "project_id", "image_sha256", name=op.f(f"uq_{TABLE}_project_id_image_sha256")
        ),
    )
    op.create_index(op.f(f"ix_{TABLE}_image_sha256"), TABLE, ["image_sha256"])


def downgrade() -> None:
    op.drop_table(TABLE)
