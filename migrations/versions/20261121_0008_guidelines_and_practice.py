"""Guidelines keep their versions and who has read them; a practice round before the first item."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    default = None if nullable else sa.text("now()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _id() -> sa.Column[object]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


def upgrade() -> None:
    _add_guidelines()
    _add_settings()
    _add_practice()


def _add_guidelines() -> None:
    op.create_table(
        "guidelines_version",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=True),
        _time("created_at"),
        sa.CheckConstraint("number >= 1", name=op.f("ck_guidelines_version_number_positive")),
        sa.ForeignKeyConstraint(
            ["author_id"], ["user.id"], name=op.f("fk_guidelines_version_author_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_guidelines_version_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "number", name=op.f("pk_guidelines_version")),
    )
    # Of older versions only the numbers are known; the texts were not kept.
    op.execute(
        "INSERT INTO guidelines_version (project_id, number, text) "
        "SELECT id, guidelines_version, guidelines FROM project"
    )
    op.create_table(
        "guidelines_reading",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        _time("read_at"),
        sa.CheckConstraint("number >= 1", name=op.f("ck_guidelines_reading_number_positive")),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_guidelines_reading_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user.id"],
            name=op.f("fk_guidelines_reading_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "user_id", name=op.f("pk_guidelines_reading")),
    )


def _add_settings() -> None:
    op.add_column(
        "project",
        sa.Column("practice", sa.String(length=32), server_default="offered", nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_project_practice"), "project", "practice IN ('off', 'offered', 'required')"
    )
    op.add_column(
        "project",
        sa.Column("practice_pass_share", sa.Float(), server_default="0.8", nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_project_practice_pass_share_range"),
        "project",
        "practice_pass_share BETWEEN 0 AND 1",
    )


def _add_practice() -> None:
    op.create_table(
        "practice_item",
        _id(),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("answer_is_wrong", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("explanation", sa.Text(), server_default="", nullable=False),
        _time("created_at"),
        sa.CheckConstraint("answer <> ''", name=op.f("ck_practice_item_answer_given")),
        sa.ForeignKeyConstraint(
            ["item_id", "project_id"],
            ["item.id", "item.project_id"],
            name=op.f("fk_practice_item_item_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_practice_item_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practice_item")),
        sa.UniqueConstraint("id", "project_id", name=op.f("uq_practice_item_id_project_id")),
        sa.UniqueConstraint(
            "project_id", "item_id", name=op.f("uq_practice_item_project_id_item_id")
        ),
    )
    op.create_table(
        "practice_candidate",
        _id(),
        sa.Column("practice_item_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("fits", sa.Boolean(), nullable=False),
        sa.Column("explanation", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("text <> ''", name=op.f("ck_practice_candidate_text_given")),
        sa.ForeignKeyConstraint(
            ["practice_item_id"],
            ["practice_item.id"],
            name=op.f("fk_practice_candidate_practice_item_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practice_candidate")),
        sa.UniqueConstraint(
            "practice_item_id",
            "position",
            name=op.f("uq_practice_candidate_practice_item_id_position"),
        ),
    )
    op.create_table(
        "practice_attempt",
        _id(),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        _time("started_at"),
        _time("finished_at", nullable=True),
        sa.Column("is_passed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint(
            "finished_at IS NOT NULL OR NOT is_passed",
            name=op.f("ck_practice_attempt_passed_when_finished"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_practice_attempt_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_practice_attempt_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practice_attempt")),
        sa.UniqueConstraint("id", "project_id", name=op.f("uq_practice_attempt_id_project_id")),
        sa.UniqueConstraint(
            "project_id",
            "user_id",
            "number",
            name=op.f("uq_practice_attempt_project_id_user_id_number"),
        ),
    )
    op.create_index(op.f("ix_practice_attempt_user_id"), "practice_attempt", ["user_id"])
    op.create_index(
        "uq_practice_attempt_open",
        "practice_attempt",
        ["project_id", "user_id"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "practice_answer",
        _id(),
        sa.Column("attempt_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("practice_item_id", sa.BigInteger(), nullable=False),
        sa.Column("content", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("n_right", sa.BigInteger(), nullable=False),
        sa.Column("n_asked", sa.BigInteger(), nullable=False),
        _time("at"),
        sa.CheckConstraint(
            "n_asked >= 1 AND n_right BETWEEN 0 AND n_asked",
            name=op.f("ck_practice_answer_right_of_asked"),
        ),
        sa.ForeignKeyConstraint(
            ["attempt_id", "project_id"],
            ["practice_attempt.id", "practice_attempt.project_id"],
            name=op.f("fk_practice_answer_attempt_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["practice_item_id", "project_id"],
            ["practice_item.id", "practice_item.project_id"],
            name=op.f("fk_practice_answer_practice_item_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practice_answer")),
        sa.UniqueConstraint(
            "attempt_id",
            "practice_item_id",
            name=op.f("uq_practice_answer_attempt_id_practice_item_id"),
        ),
    )
    op.create_index("ix_practice_answer_practice_item_id", "practice_answer", ["practice_item_id"])


def downgrade() -> None:
    for table in (
        "practice_answer",
        "practice_attempt",
        "practice_candidate",
        "practice_item",
        "guidelines_reading",
        "guidelines_version",
    ):
        op.drop_table(table)
    for name in ("practice_pass_share_range", "practice"):
        op.drop_constraint(op.f(f"ck_project_{name}"), "project")
    op.drop_column("project", "practice_pass_share")
    op.drop_column("project", "practice")
