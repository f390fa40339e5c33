"""Samples of a serving engine may lack figures; items that a run could not do are on record."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("sample", "log_probability", existing_type=sa.Float(), nullable=True)
    op.alter_column("sample", "n_tokens", existing_type=sa.BigInteger(), nullable=True)
    op.create_table(
        "item_failure",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("shard_id", sa.BigInteger(), nullable=False),
        sa.Column("shard_attempt", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("kind IN ('image', 'server')", name=op.f("ck_item_failure_kind")),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_item_failure_reason_given")),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_item_failure_item_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_item_failure_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["shard_id", "shard_attempt"],
            ["run_shard.id", "run_shard.attempt"],
            name=op.f("fk_item_failure_shard_id_shard_attempt"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item_failure")),
        sa.UniqueConstraint("run_id", "item_id", name=op.f("uq_item_failure_run_id_item_id")),
    )
    op.create_index("ix_item_failure_item_id", "item_failure", ["item_id"])
    op.create_index("ix_item_failure_shard_id", "item_failure", ["shard_id"])


def downgrade() -> None:
    # Fails where samples lack the figures: they cannot be made up.
    op.drop_table("item_failure")
    op.alter_column("sample", "n_tokens", existing_type=sa.BigInteger(), nullable=False)
    op.alter_column("sample", "log_probability", existing_type=sa.Float(), nullable=False)
