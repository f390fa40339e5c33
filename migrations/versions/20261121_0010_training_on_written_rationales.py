"""Training rows may name a written rationale, and such a text never changes."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OLD_KEY = ["run_id", "item_id", "candidate_id"]
COLUMNS = ["written_judgement_id", "written_candidate_id"]


def upgrade() -> None:
    op.create_unique_constraint(
        op.f("uq_written_rationale_judgement_id_candidate_id_item_id"),
        "written_rationale",
        ["judgement_id", "candidate_id", "item_id"],
    )
    # Taking back deletes the row, so only changes are forbidden.
    op.execute(
        "CREATE TRIGGER written_rationale_never_changes BEFORE UPDATE ON written_rationale "
        "FOR EACH ROW EXECUTE FUNCTION forbid_change('judgement', 'judgement_id')"
    )
    for name in COLUMNS:
        op.add_column("training_row", sa.Column(name, sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_training_row_written_rationale"),
        "training_row",
        "written_rationale",
        [*COLUMNS, "item_id"],
        ["judgement_id", "candidate_id", "item_id"],
    )
    op.create_check_constraint(
        op.f("ck_training_row_one_rationale"),
        "training_row",
        "num_nonnulls(candidate_id, written_judgement_id) <= 1",
    )
    op.create_check_constraint(
        op.f("ck_training_row_written_whole_or_absent"),
        "training_row",
        "num_nulls(written_judgement_id, written_candidate_id) IN (0, 2)",
    )
    op.drop_constraint(op.f("uq_training_row_run_id_item_id_candidate_id"), "training_row")
    op.create_unique_constraint(
        op.f("uq_training_row_rationale"),
        "training_row",
        [*OLD_KEY, *COLUMNS],
        postgresql_nulls_not_distinct=True,
    )
    op.create_index(
        "ix_training_row_written_judgement_id",
        "training_row",
        ["written_judgement_id"],
        postgresql_where=sa.text("written_judgement_id IS NOT NULL"),
    )


def downgrade() -> None:
    # Their rationale has no place in the older schema.
    op.execute("DELETE FROM training_row WHERE written_judgement_id IS NOT NULL")
    op.drop_index("ix_training_row_written_judgement_id", table_name="training_row")
    op.drop_constraint(op.f("uq_training_row_rationale"), "training_row")
    op.create_unique_constraint(
        op.f("uq_training_row_run_id_item_id_candidate_id"),
        "training_row",
        OLD_KEY,
        postgresql_nulls_not_distinct=True,
    )
    for name in ("one_rationale", "written_whole_or_absent"):
        op.drop_constraint(op.f(f"ck_training_row_{name}"), "training_row", type_="check")
    op.drop_constraint(
        op.f("fk_training_row_written_rationale"), "training_row", type_="foreignkey"
    )
    for name in reversed(COLUMNS):
        op.drop_column("training_row", name)
    op.execute("DROP TRIGGER written_rationale_never_changes ON written_rationale")
    op.drop_constraint(
        op.f("uq_written_rationale_judgement_id_candidate_id_item_id"),
        "written_rationale",
        type_="unique",
    )
