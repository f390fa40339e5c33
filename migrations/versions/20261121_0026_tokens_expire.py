"""Tokens expire, and the time of their last use is kept. Those made before last until revoked."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("expires_at", "used_at"):
        op.add_column("api_token", sa.Column(column, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    # Code of before knows no end of a token: those that are over must not be good again.
    op.execute(
        "UPDATE api_token SET revoked_at = now() WHERE expires_at <= now() AND revoked_at IS NULL"
    )
    for column in ("used_at", "expires_at"):
        op.drop_column("api_token", column)
