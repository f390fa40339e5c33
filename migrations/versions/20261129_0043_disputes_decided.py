"""Which disputed items are decided stands on their places, so that a large round is not counted."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

# Whether all that people differ on is decided, of a place that its table calls `place`.
IS_DECIDED = """
place.disputed <> '{}' AND NOT EXISTS (
  SELECT FROM unnest(place.disputed) AS asked (id) WHERE NOT EXISTS (
    SELECT FROM adjudication
    WHERE round_id = place.round_id AND item_id = place.item_id AND candidate_id = asked.id
  )
)
"""
NOTE_DECISION = f"""
CREATE FUNCTION note_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE round_item AS place SET is_decided = ({IS_DECIDED})
  WHERE place.round_id = COALESCE(NEW.round_id, OLD.round_id)
    AND place.item_id = COALESCE(NEW.item_id, OLD.item_id)
    AND place.is_decided <> ({IS_DECIDED});
  RETURN NULL;
END $$;
"""  # noqa: S608
# What is disputed changes with submissions, and then what of it is decided.
NOTE_CHANGE = f"""
CREATE FUNCTION note_disputes_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE round_item AS place SET is_decided = ({IS_DECIDED})
  WHERE place.id = NEW.id AND place.is_decided <> ({IS_DECIDED});
  RETURN NULL;
END $$;
"""  # noqa: S608


def upgrade() -> None:
    op.add_column(
        "round_item",
        sa.Column("is_decided", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.execute(
        "UPDATE round_item AS place SET is_decided = true "  # noqa: S608
        f"WHERE disputed <> '{{}}' AND ({IS_DECIDED})"
    )
    op.execute(NOTE_DECISION)
    op.execute(NOTE_CHANGE)
    op.execute(
        "CREATE TRIGGER note_decision AFTER INSERT OR DELETE ON adjudication"
        " FOR EACH ROW EXECUTE FUNCTION note_decision()"
    )
    op.execute(
        "CREATE TRIGGER note_disputes_decided AFTER UPDATE OF disputed ON round_item"
        " FOR EACH ROW WHEN (OLD.disputed <> NEW.disputed)"
        " EXECUTE FUNCTION note_disputes_decided()"
    )
    op.create_index(
        "ix_round_item_undecided",
        "round_item",
        ["round_id", "random_key"],
        postgresql_where=sa.text("disputed <> '{}' AND NOT is_decided"),
    )
    op.drop_index("ix_round_item_disputed", table_name="round_item")
    op.create_index(
        "ix_round_item_disputed",
        "round_item",
        ["round_id", "item_id"],
        postgresql_include=["state", "is_decided"],
        postgresql_where=sa.text("disputed <> '{}'"),
    )
    op.create_index(
        "ix_adjudication_decided_at", "adjudication", ["round_id", "decided_at", "item_id"]
    )
    op.create_index(
        "ix_item_excluded",
        "item",
        ["id"],
        postgresql_where=sa.text("excluded_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_item_excluded", table_name="item")
    op.drop_index("ix_adjudication_decided_at", table_name="adjudication")
    op.drop_index("ix_round_item_disputed", table_name="round_item")
    op.create_index(
        "ix_round_item_disputed",
        "round_item",
        ["round_id", "random_key"],
        postgresql_where=sa.text("disputed <> '{}'"),
    )
    op.drop_index("ix_round_item_undecided", table_name="round_item")
    op.execute("DROP TRIGGER note_disputes_decided ON round_item")
    op.execute("DROP TRIGGER note_decision ON adjudication")
    op.execute("DROP FUNCTION note_disputes_decided()")
    op.execute("DROP FUNCTION note_decision()")
    op.drop_column("round_item", "is_decided")
