"""Questions that a model asked about images, and what became of them."""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "asked_image",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("image_sha256", sa.String(length=64), nullable=False),
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
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("shard_id", sa.BigInteger(), nullable=False),
        sa.Column("shard_attempt", sa.BigInteger(), nullable=False),
        sa.Column("adapter_id", sa.BigInteger(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("n_drawn", sa.BigInteger(), nullable=False),
        sa.Column("n_known", sa.BigInteger(), nullable=False),
        sa.Column("n_empty", sa.BigInteger(), nullable=False),
        sa.Column("n_over", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "least(n_drawn, n_known, n_empty, n_over) >= 0", name=op.f("ck_asked_image_counts")
        ),
        sa.ForeignKeyConstraint(
            ["adapter_id"], ["adapter.id"], name=op.f("fk_asked_image_adapter_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "image_sha256", "split"],
            ["project_image.project_id", "project_image.image_sha256", "project_image.split"],
            name=op.f("fk_asked_image_project_id_image_sha256_split"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["round_id", "project_id"],
            ["round.id", "round.project_id"],
            name=op.f("fk_asked_image_round_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_asked_image_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["shard_id", "shard_attempt"],
            ["run_shard.id", "run_shard.attempt"],
            name=op.f("fk_asked_image_shard_id_shard_attempt"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asked_image")),
        sa.UniqueConstraint(
            "id",
            "project_id",
            "image_sha256",
            name=op.f("uq_asked_image_id_project_id_image_sha256"),
        ),
        sa.UniqueConstraint(
            "run_id", "image_sha256", name=op.f("uq_asked_image_run_id_image_sha256")
        ),
    )
    op.create_index(
        "ix_asked_image_project_id_image",
        "asked_image",
        ["project_id", "image_sha256"],
        unique=False,
    )
    op.create_index("ix_asked_image_round_id", "asked_image", ["round_id"], unique=False)
    op.create_index("ix_asked_image_shard_id", "asked_image", ["shard_id"], unique=False)
    op.create_table(
        "asked_question",
        sa.Column("asked_image_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("image_sha256", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_key", sa.String(length=64), nullable=False),
        sa.Column("n_draws", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("temperature", sa.Double(), nullable=False),
        sa.Column("log_probability", sa.Double(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "proposed",
                "kept",
                "dropped",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="proposed",
            nullable=False,
        ),
        sa.Column("decided_by_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=50), nullable=True),
        sa.Column("is_grounded", sa.Boolean(), nullable=True),
        sa.Column("is_grounded_elsewhere", sa.Boolean(), nullable=True),
        sa.Column("item_id", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_by_id IS NULL)",
            name=op.f("ck_asked_question_decided_by_somebody"),
        ),
        sa.CheckConstraint(
            "item_id IS NULL OR state = 'kept'", name=op.f("ck_asked_question_items_are_kept")
        ),
        sa.CheckConstraint("text <> ''", name=op.f("ck_asked_question_text_given")),
        sa.CheckConstraint("n_draws >= 1", name=op.f("ck_asked_question_drawn")),
        sa.ForeignKeyConstraint(
            ["asked_image_id", "project_id", "image_sha256"],
            ["asked_image.id", "asked_image.project_id", "asked_image.image_sha256"],
            name=op.f("fk_asked_question_asked_image_id_project_id_image_sha256"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["decided_by_id"], ["user.id"], name=op.f("fk_asked_question_decided_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_asked_question_item_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asked_question")),
        sa.UniqueConstraint("item_id", name=op.f("uq_asked_question_item_id")),
        sa.UniqueConstraint(
            "project_id",
            "image_sha256",
            "text_key",
            name=op.f("uq_asked_question_project_id_image_sha256_text_key"),
        ),
    )
    op.create_index(
        "ix_asked_question_asked_image_id", "asked_question", ["asked_image_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_asked_question_asked_image_id", table_name="asked_question")
    op.drop_table("asked_question")
    op.drop_index("ix_asked_image_shard_id", table_name="asked_image")
    op.drop_index("ix_asked_image_round_id", table_name="asked_image")
    op.drop_index("ix_asked_image_project_id_image", table_name="asked_image")
    op.drop_table("asked_image")
