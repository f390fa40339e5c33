"""People choose the language of their pages."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("user", sa.Column("language", sa.String(10), nullable=True))


def downgrade() -> None:
    op.drop_column("user", "language")
