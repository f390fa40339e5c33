"""Items keep the file name under which their picture was imported."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("item", sa.Column("image_name", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("item", "image_name")
