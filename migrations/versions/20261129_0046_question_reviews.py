"""What people say of questions that a model asked, and the model's own answers to them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("answer", "edited_text", "kept_answer"):
        op.add_column("asked_question", sa.Column(name, sa.Text(), nullable=True))
    for name in ("is_about_image", "is_worth_asking"):
        op.add_column("asked_question", sa.Column(name, sa.Boolean(), nullable=True))
    op.execute(
        "UPDATE asked_question SET kept_answer = item.answer FROM item "
        "WHERE item.id = asked_question.item_id"
    )
    op.create_check_constraint(
        op.f("ck_asked_question_undecided_says_nothing"),
        "asked_question",
        "state <> 'proposed'"
        " OR num_nonnulls(edited_text, kept_answer, is_about_image, is_worth_asking) = 0",
    )
    op.create_check_constraint(
        op.f("ck_asked_question_dropped_has_no_text"),
        "asked_question",
        "state = 'kept' OR num_nonnulls(edited_text, kept_answer) = 0",
    )
    op.create_check_constraint(
        op.f("ck_asked_question_texts_not_empty"),
        "asked_question",
        "answer <> '' AND edited_text <> '' AND kept_answer <> ''",
    )
    op.create_index(
        "ix_asked_question_proposed",
        "asked_question",
        ["project_id", "asked_image_id"],
        unique=False,
        postgresql_where=sa.text("state = 'proposed'"),
    )
    _create_reviews()


def _create_reviews() -> None:
    now = sa.text("now()")
    op.create_table(
        "question_review",
        sa.Column("asked_image_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("image_sha256", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "leased",
                "draft",
                "submitted",
                "skipped",
                "released",
                "withdrawn",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="leased",
            nullable=False,
        ),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "choices",
            JSONB(none_as_null=True),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("leased_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("active_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("n_words", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("n_trace_words", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("n_typed", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "status <> 'withdrawn'", name=op.f("ck_question_review_never_withdrawn")
        ),
        sa.CheckConstraint(
            "(lease_until IS NOT NULL) = (status IN ('leased', 'draft'))",
            name=op.f("ck_question_review_lease_has_end"),
        ),
        sa.CheckConstraint(
            "(status = 'submitted') = (submitted_at IS NOT NULL)",
            name=op.f("ck_question_review_submitted_has_time"),
        ),
        sa.CheckConstraint(
            "least(active_ms, n_words, n_trace_words, n_typed) >= 0",
            name=op.f("ck_question_review_counts"),
        ),
        sa.CheckConstraint(
            "jsonb_typeof(choices) = 'object'",
            name=op.f("ck_question_review_choices_by_question"),
        ),
        sa.ForeignKeyConstraint(
            ["asked_image_id", "project_id", "image_sha256"],
            ["asked_image.id", "asked_image.project_id", "asked_image.image_sha256"],
            name=op.f("fk_question_review_asked_image_id_project_id_image_sha256"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_question_review_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_question_review")),
        sa.UniqueConstraint(
            "asked_image_id", "user_id", name=op.f("uq_question_review_asked_image_id_user_id")
        ),
    )
    held = sa.text("status IN ('leased', 'draft')")
    for name, columns, where in (
        ("uq_question_review_held", ["project_id", "image_sha256"], held),
        (
            "uq_question_review_live",
            ["asked_image_id"],
            sa.text("status IN ('leased', 'draft', 'submitted')"),
        ),
    ):
        op.create_index(name, "question_review", columns, unique=True, postgresql_where=where)
    op.create_index(
        "ix_question_review_user_id",
        "question_review",
        ["user_id", "project_id", "submitted_at"],
        unique=False,
    )
    op.create_index(
        "ix_question_review_lease_until",
        "question_review",
        ["lease_until"],
        unique=False,
        postgresql_where=held,
    )


def downgrade() -> None:
    op.drop_table("question_review")
    op.drop_index("ix_asked_question_proposed", table_name="asked_question")
    for name in ("texts_not_empty", "dropped_has_no_text", "undecided_says_nothing"):
        op.drop_constraint(op.f(f"ck_asked_question_{name}"), "asked_question")
    for name in ("is_worth_asking", "is_about_image", "kept_answer", "edited_text", "answer"):
        op.drop_column("asked_question", name)
