"""Comparisons: texts of two adapters in one list, judged by people or a critic."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

CHOSEN_BY = "draws random not_shown check anchor"
JOBS = "baseline generate judge branch close train reinforce evaluate import release assess"


def upgrade() -> None:
    _make_comparison()
    _make_comparison_item()
    _make_comparison_candidate()
    _allow("round_candidate", "chosen_by", f"{CHOSEN_BY} comparison", name="chosen_by_known")
    _allow("run", "job", f"{JOBS} compare")


def _make_comparison() -> None:
    op.create_table(
        "comparison",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("created_by_id", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"],
            ["user.id"],
            name=op.f("fk_comparison_created_by_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_comparison_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["round_id", "project_id"],
            ["round.id", "round.project_id"],
            name=op.f("fk_comparison_round_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_comparison_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparison")),
    )
    op.create_index(
        "uq_comparison_one_per_round",
        "comparison",
        ["round_id"],
        unique=True,
        postgresql_where=sa.text("cancelled_at IS NULL"),
    )
    op.create_index("ix_comparison_project_id", "comparison", ["project_id"])
    op.create_index("ix_comparison_run_id", "comparison", ["run_id"])


def _make_comparison_item() -> None:
    op.create_table(
        "comparison_item",
        sa.Column("comparison_id", sa.BigInteger(), nullable=False),
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
            server_default="test",
            nullable=False,
        ),
        sa.Column("round_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("split = 'test'", name=op.f("ck_comparison_item_test_split_only")),
        sa.ForeignKeyConstraint(
            ["comparison_id"],
            ["comparison.id"],
            name=op.f("fk_comparison_item_comparison_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "split"],
            ["item.id", "item.split"],
            name=op.f("fk_comparison_item_item_id_split"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["round_id", "item_id"],
            ["round_item.round_id", "round_item.item_id"],
            name=op.f("fk_comparison_item_round_id_item_id"),
        ),
        sa.PrimaryKeyConstraint("comparison_id", "item_id", name=op.f("pk_comparison_item")),
    )
    op.create_index("ix_comparison_item_item_id", "comparison_item", ["item_id"])
    op.create_index("ix_comparison_item_round_id", "comparison_item", ["round_id", "item_id"])


def _make_comparison_candidate() -> None:
    op.create_table(
        "comparison_candidate",
        sa.Column("comparison_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("candidate_id", sa.BigInteger(), nullable=False),
        sa.Column("n_old", sa.BigInteger(), nullable=False),
        sa.Column("n_new", sa.BigInteger(), nullable=False),
        sa.Column("is_shown", sa.Boolean(), nullable=False),
        sa.Column("fits", sa.Boolean(), nullable=True),
        sa.Column("shard_id", sa.BigInteger(), nullable=False),
        sa.Column("shard_attempt", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "n_old >= 0 AND n_new >= 0 AND n_old + n_new > 0",
            name=op.f("ck_comparison_candidate_somebody_drew_it"),
        ),
        sa.CheckConstraint(
            "fits IS NULL OR is_shown", name=op.f("ck_comparison_candidate_shown_only")
        ),
        sa.ForeignKeyConstraint(
            ["candidate_id", "item_id"],
            ["candidate.id", "candidate.item_id"],
            name=op.f("fk_comparison_candidate_candidate_id_item_id"),
        ),
        sa.ForeignKeyConstraint(
            ["comparison_id", "item_id"],
            ["comparison_item.comparison_id", "comparison_item.item_id"],
            name=op.f("fk_comparison_candidate_comparison_id_item_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["shard_id", "shard_attempt"],
            ["run_shard.id", "run_shard.attempt"],
            name=op.f("fk_comparison_candidate_shard_id_shard_attempt"),
        ),
        sa.PrimaryKeyConstraint(
            "comparison_id", "item_id", "candidate_id", name=op.f("pk_comparison_candidate")
        ),
    )
    op.create_index(
        "ix_comparison_candidate_candidate_id", "comparison_candidate", ["candidate_id"]
    )
    op.create_index("ix_comparison_candidate_shard_id", "comparison_candidate", ["shard_id"])


def downgrade() -> None:
    # The older schema cannot hold what people said of comparisons, nor the runs that sampled.
    compared = "SELECT id FROM round_item WHERE purpose = 'comparison'"
    runs = "SELECT id FROM run WHERE job = 'compare'"
    op.execute(f"DELETE FROM judgement WHERE round_item_id IN ({compared})")  # noqa: S608
    op.drop_table("comparison_candidate")
    op.drop_table("comparison_item")
    op.drop_table("comparison")
    op.execute("DELETE FROM round_item WHERE purpose = 'comparison'")
    op.execute(f"UPDATE run SET retry_of_id = NULL WHERE retry_of_id IN ({runs})")  # noqa: S608
    op.execute("DELETE FROM run WHERE job = 'compare'")
    _allow("run", "job", JOBS)
    _allow("round_candidate", "chosen_by", CHOSEN_BY, name="chosen_by_known")


def _allow(table: str, column: str, names: str, name: str | None = None) -> None:
    """Lets a column hold these values; the CHECK on them is called after the column or by name."""
    listed = ", ".join(f"'{value}'" for value in names.split())
    constraint = op.f(f"ck_{table}_{name or column}")
    op.drop_constraint(constraint, table, type_="check")
    op.create_check_constraint(constraint, table, f"{column} IN ({listed})")
