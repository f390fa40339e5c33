"""Anchors: items whose candidates are judged again in every round."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

CHOSEN_BY = "draws random not_shown check"


def upgrade() -> None:
    op.create_table(
        "anchor_item",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "project_id"],
            ["item.id", "item.project_id"],
            name=op.f("fk_anchor_item_item_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_anchor_item_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["round_id", "item_id"],
            ["round_item.round_id", "round_item.item_id"],
            name=op.f("fk_anchor_item_round_id_item_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_anchor_item")),
        sa.UniqueConstraint("item_id", name=op.f("uq_anchor_item_item_id")),
    )
    op.create_index("ix_anchor_item_project_id", "anchor_item", ["project_id"])
    op.create_index("ix_anchor_item_round_id", "anchor_item", ["round_id"])
    _allow(f"{CHOSEN_BY} anchor")


def downgrade() -> None:
    # The older schema cannot hold what people said of anchors.
    anchors = "SELECT id FROM round_item WHERE purpose = 'anchor'"
    op.execute(f"DELETE FROM judgement WHERE round_item_id IN ({anchors})")  # noqa: S608
    op.execute("DELETE FROM round_item WHERE purpose = 'anchor'")
    _allow(CHOSEN_BY)
    op.drop_table("anchor_item")


def _allow(names: str) -> None:
    """Lets a shown candidate have been chosen by these."""
    listed = ", ".join(f"'{value}'" for value in names.split())
    constraint = op.f("ck_round_candidate_chosen_by_known")
    op.drop_constraint(constraint, "round_candidate", type_="check")
    op.create_check_constraint(constraint, "round_candidate", f"chosen_by IN ({listed})")
