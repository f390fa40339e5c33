"""Images that came without a question: how they were called, and what a critic may read of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("project_image", sa.Column("image_name", sa.Text(), nullable=True))
    op.add_column(
        "project_image",
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    )
    op.create_index(
        "ix_project_image_alone",
        "project_image",
        ["project_id", "split", "image_sha256"],
        unique=False,
        postgresql_where=sa.text("image_name IS NOT NULL"),
    )
    op.add_column(
        "run_shard",
        sa.Column(
            "images",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
    )


def downgrade() -> None:
    op.drop_column("run_shard", "images")
    op.drop_index("ix_project_image_alone", table_name="project_image")
    op.drop_column("project_image", "facts")
    op.drop_column("project_image", "image_name")
