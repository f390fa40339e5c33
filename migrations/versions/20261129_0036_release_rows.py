"""Rows of releases can be compared without reading what they hold."""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # In one statement, so that the table is written anew only once.
    op.execute(
        """
        ALTER TABLE release_row
            ADD COLUMN row_id TEXT GENERATED ALWAYS AS (payload ->> 'row_id') STORED,
            ADD COLUMN kind TEXT GENERATED ALWAYS AS (payload ->> 'kind') STORED,
            ADD COLUMN digest TEXT GENERATED ALWAYS AS (md5(payload::text)) STORED
        """
    )
    op.create_index(
        "ix_release_row_row_id",
        "release_row",
        ["release_id", "row_id"],
        postgresql_include=["kind", "digest", "number"],
        postgresql_where="NOT is_tombstone",
    )


def downgrade() -> None:
    op.drop_index("ix_release_row_row_id", table_name="release_row")
    op.execute("ALTER TABLE release_row DROP COLUMN row_id, DROP COLUMN kind, DROP COLUMN digest")
