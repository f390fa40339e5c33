"""The boxes of people in the manifest of a training, which held-out items never enter."""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

EDGES = ("left", "top", "right", "bottom")


def upgrade() -> None:
    op.create_table(
        "training_box",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
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
            server_default="train",
            nullable=False,
        ),
        *(sa.Column(edge, sa.Float(), nullable=False) for edge in EDGES),
        sa.CheckConstraint("split = 'train'", name=op.f("ck_training_box_train_split_only")),
        sa.CheckConstraint(
            '"left" >= 0 AND "left" < "right" AND "right" <= 1',
            name=op.f("ck_training_box_lies_within_width"),
        ),
        sa.CheckConstraint(
            "top >= 0 AND top < bottom AND bottom <= 1",
            name=op.f("ck_training_box_lies_within_height"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_training_box_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "split"],
            ["item.id", "item.split"],
            name=op.f("fk_training_box_item_id_split"),
        ),
        sa.PrimaryKeyConstraint("run_id", "item_id", *EDGES, name=op.f("pk_training_box")),
    )
    op.create_index("ix_training_box_item_id", "training_box", ["item_id"])


def downgrade() -> None:
    op.drop_table("training_box")
