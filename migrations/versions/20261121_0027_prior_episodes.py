"""Episodes of a prior, of train items only, and rows of trainings that name them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

OLD_KEY = ["run_id", "item_id", "candidate_id", "written_judgement_id", "written_candidate_id"]
OLD_CHECK = "num_nonnulls(candidate_id, written_judgement_id) <= 1"
CHECK = "num_nonnulls(candidate_id, written_judgement_id, prior_episode_id) <= 1"


def upgrade() -> None:
    op.create_table(
        "prior_episode",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("split", sa.String(32), server_default="train", nullable=False),
        sa.Column("item_version", sa.BigInteger(), nullable=False),
        sa.Column("turns", JSONB(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("rationale", sa.Text(), nullable=True),
        sa.Column("content_key", sa.String(64), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "split IN ('train', 'validation', 'test')", name=op.f("ck_prior_episode_split")
        ),
        sa.CheckConstraint("split = 'train'", name=op.f("ck_prior_episode_train_split_only")),
        sa.CheckConstraint(
            "answer <> '' AND rationale <> ''", name=op.f("ck_prior_episode_texts_given")
        ),
        sa.CheckConstraint(
            "jsonb_typeof(turns) = 'array' AND jsonb_array_length(turns) <= 4",
            name=op.f("ck_prior_episode_at_most_four_turns"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_prior_episode_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "project_id"],
            ["item.id", "item.project_id"],
            name=op.f("fk_prior_episode_item_id_project_id"),
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "split"],
            ["item.id", "item.split"],
            name=op.f("fk_prior_episode_item_id_split"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prior_episode")),
        sa.UniqueConstraint("id", "item_id", name=op.f("uq_prior_episode_id_item_id")),
    )
    op.create_index(
        "uq_prior_episode_current",
        "prior_episode",
        ["item_id", "content_key"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_index(
        "ix_prior_episode_project_id_item_id", "prior_episode", ["project_id", "item_id"]
    )
    op.add_column("training_row", sa.Column("prior_episode_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_training_row_prior_episode_id_item_id"),
        "training_row",
        "prior_episode",
        ["prior_episode_id", "item_id"],
        ["id", "item_id"],
    )
    op.create_index(
        "ix_training_row_prior_episode_id",
        "training_row",
        ["prior_episode_id"],
        postgresql_where=sa.text("prior_episode_id IS NOT NULL"),
    )
    _name_rationales(CHECK, [*OLD_KEY, "prior_episode_id"])


def downgrade() -> None:
    # Their episode has no place in the older schema.
    op.execute("DELETE FROM training_row WHERE prior_episode_id IS NOT NULL")
    _name_rationales(OLD_CHECK, OLD_KEY)
    op.drop_index("ix_training_row_prior_episode_id", table_name="training_row")
    op.drop_constraint(
        op.f("fk_training_row_prior_episode_id_item_id"), "training_row", type_="foreignkey"
    )
    op.drop_column("training_row", "prior_episode_id")
    op.drop_table("prior_episode")


def _name_rationales(check: str, key: list[str]) -> None:
    """Say which columns name the rationale of a row, of which there is one at most."""
    one = op.f("ck_training_row_one_rationale")
    op.drop_constraint(one, "training_row", type_="check")
    op.create_check_constraint(one, "training_row", check)
    once = op.f("uq_training_row_rationale")
    op.drop_constraint(once, "training_row", type_="unique")
    op.create_unique_constraint(once, "training_row", key, postgresql_nulls_not_distinct=True)
