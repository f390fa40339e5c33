"""A verdict is of a submitted judgement and says what the judgement says, of its own item."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A key cannot look into an array or across three tables, so this is checked once per statement.
FUNCTION = """
CREATE FUNCTION verdict_agrees_with_judgement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM added
    JOIN judgement ON judgement.id = added.judgement_id
    JOIN round_item ON round_item.id = judgement.round_item_id
    JOIN candidate ON candidate.id = added.candidate_id
    WHERE candidate.item_id <> round_item.item_id
      OR added.candidate_id <> ALL (judgement.shown_order)
      OR added.fits <> (added.candidate_id = ANY (judgement.picked))
  ) THEN
    RAISE EXCEPTION 'a verdict says what its judgement says, of a candidate shown with its item'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
"""
EVENTS = ("insert", "update")


def upgrade() -> None:
    op.drop_constraint(
        op.f("fk_verdict_judgement_id_round_id_none_fits_answer_is_wrong"),
        "verdict",
        type_="foreignkey",
    )
    op.drop_constraint(
        op.f("uq_judgement_id_round_id_none_fits_answer_is_wrong"), "judgement", type_="unique"
    )
    op.add_column(
        "verdict",
        sa.Column("status", sa.String(length=20), server_default="submitted", nullable=False),
    )
    op.create_unique_constraint(
        op.f("uq_judgement_submitted_answer"),
        "judgement",
        ["id", "round_id", "status", "none_fits", "answer_is_wrong"],
    )
    op.create_foreign_key(
        op.f("fk_verdict_submitted_answer"),
        "verdict",
        "judgement",
        ["judgement_id", "round_id", "status", "none_fits", "answer_is_wrong"],
        ["id", "round_id", "status", "none_fits", "answer_is_wrong"],
        ondelete="CASCADE",
    )
    op.create_check_constraint(op.f("ck_verdict_submitted_only"), "verdict", "status = 'submitted'")
    op.execute(FUNCTION)
    for event in EVENTS:
        op.execute(
            f"CREATE TRIGGER verdict_agrees_on_{event} AFTER {event.upper()} ON verdict"
            " REFERENCING NEW TABLE AS added FOR EACH STATEMENT"
            " EXECUTE FUNCTION verdict_agrees_with_judgement()"
        )


def downgrade() -> None:
    for event in EVENTS:
        op.execute(f"DROP TRIGGER verdict_agrees_on_{event} ON verdict")
    op.execute("DROP FUNCTION verdict_agrees_with_judgement()")
    op.drop_constraint(op.f("ck_verdict_submitted_only"), "verdict", type_="check")
    op.drop_constraint(op.f("fk_verdict_submitted_answer"), "verdict", type_="foreignkey")
    op.drop_constraint(op.f("uq_judgement_submitted_answer"), "judgement", type_="unique")
    op.drop_column("verdict", "status")
    op.create_unique_constraint(
        op.f("uq_judgement_id_round_id_none_fits_answer_is_wrong"),
        "judgement",
        ["id", "round_id", "none_fits", "answer_is_wrong"],
    )
    op.create_foreign_key(
        op.f("fk_verdict_judgement_id_round_id_none_fits_answer_is_wrong"),
        "verdict",
        "judgement",
        ["judgement_id", "round_id", "none_fits", "answer_is_wrong"],
        ["id", "round_id", "none_fits", "answer_is_wrong"],
        ondelete="CASCADE",
    )
