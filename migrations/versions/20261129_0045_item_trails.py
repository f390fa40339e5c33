"""How items fared in the rounds of their project, a letter for each."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "item_trail",
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "split",
            sa.Enum(
                "train",
                "validation",
                "test",
                name="split",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("trail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_item_trail")),
        sa.ForeignKeyConstraint(
            ["item_id", "project_id"],
            ["item.id", "item.project_id"],
            name=op.f("fk_item_trail_item_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("trail ~ '^[rsuoicz-]+$'", name=op.f("ck_item_trail_letters_known")),
    )
    op.create_index(
        "ix_item_trail_project_id", "item_trail", ["project_id", "split", "trail", "item_id"]
    )


def downgrade() -> None:
    # Written down from rows that stay: the next decision writes it again.
    op.drop_table("item_trail")
