"""People are erased: their words may leave the history, which otherwise never changes."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# The words of a person may be taken out where a transaction says that it erases somebody. What
# candidates and releases say is never among them.
ERASING = """
  IF TG_OP = 'UPDATE' AND TG_TABLE_NAME IN ('event', 'judgement_revision', 'written_rationale')
    AND current_setting('illume.erasing', true) = 'on' THEN
    RETURN NEW;
  END IF;"""
FORBID_CHANGE = """
CREATE OR REPLACE FUNCTION forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  parent_is_there boolean;
BEGIN{erasing}
  IF TG_OP = 'DELETE' THEN
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I WHERE id = ($1).%I)', TG_ARGV[0], TG_ARGV[1])
      INTO parent_is_there USING OLD;
    IF NOT parent_is_there AND (to_jsonb(OLD) ->> TG_ARGV[1]) IS NOT NULL THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION '% is append-only: a row can be neither changed nor deleted', TG_TABLE_NAME
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""


def upgrade() -> None:
    for table in ("user", "written_rationale"):
        op.add_column(table, sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_user_erased_is_closed"),
        "user",
        "erased_at IS NULL OR (disabled_at IS NOT NULL AND password_hash IS NULL AND NOT is_admin)",
    )
    _check_text("(text = '') = (erased_at IS NOT NULL)")
    op.execute(FORBID_CHANGE.replace("{erasing}", ERASING))


def downgrade() -> None:
    op.drop_constraint(op.f("ck_written_rationale_text_given"), "written_rationale", type_="check")
    op.execute("SET LOCAL illume.erasing = 'on'")
    # Never the text again: only a word in its place, which the older schema asks for.
    op.execute("UPDATE written_rationale SET text = '(erased)' WHERE erased_at IS NOT NULL")
    op.execute("SET LOCAL illume.erasing = 'off'")
    op.create_check_constraint(
        op.f("ck_written_rationale_text_given"), "written_rationale", "text <> ''"
    )
    op.execute(FORBID_CHANGE.replace("{erasing}", ""))
    op.drop_constraint(op.f("ck_user_erased_is_closed"), "user", type_="check")
    for table in ("written_rationale", "user"):
        op.drop_column(table, "erased_at")


def _check_text(condition: str) -> None:
    name = op.f("ck_written_rationale_text_given")
    op.drop_constraint(name, "written_rationale", type_="check")
    op.create_check_constraint(name, "written_rationale", condition)
