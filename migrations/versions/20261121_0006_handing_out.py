"""What handing out needs: each person's place in the queue, and why an item was set aside."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Beside the counters of places: the priority of an item that is taken falls by its weight, and of a
# person in a round the number of submissions and the place in the queue are kept. That row is only
# touched by what its person does, who is locked meanwhile; the release of leases never is.
COUNT_SLOTS = """
CREATE OR REPLACE FUNCTION count_slots() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  change_taken int := 0;
  change_submitted int := 0;
  place float8;
BEGIN
  -- Critics hold no slot and are not counted.
  IF TG_OP <> 'INSERT' THEN
    change_taken := change_taken - (OLD.slot IS NOT NULL)::int;
    change_submitted := change_submitted
      - (OLD.slot IS NOT NULL AND OLD.status = 'submitted')::int;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    change_taken := change_taken + (NEW.slot IS NOT NULL)::int;
    change_submitted := change_submitted
      + (NEW.slot IS NOT NULL AND NEW.status = 'submitted')::int;
  END IF;
  IF change_taken <> 0 OR change_submitted <> 0 THEN
    UPDATE round_item
    SET n_taken = n_taken + change_taken, n_submitted = n_submitted + change_submitted,
      priority = priority - taken_weight * change_taken
    WHERE id = COALESCE(NEW.round_item_id, OLD.round_item_id)
    RETURNING random_key INTO place;
  END IF;
  IF TG_OP = 'INSERT' AND NEW.slot IS NOT NULL THEN
    INSERT INTO round_annotator (round_id, user_id, n_submitted, queue_position)
    VALUES (NEW.round_id, NEW.user_id, change_submitted, place)
    ON CONFLICT (round_id, user_id) DO UPDATE
    SET n_submitted = round_annotator.n_submitted + EXCLUDED.n_submitted,
      queue_position = EXCLUDED.queue_position;
  ELSIF change_submitted <> 0 THEN
    UPDATE round_annotator SET n_submitted = n_submitted + change_submitted
    WHERE round_id = COALESCE(NEW.round_id, OLD.round_id)
      AND user_id = COALESCE(NEW.user_id, OLD.user_id);
  END IF;
  RETURN NULL;
END $$;
"""
COUNT_SLOTS_BEFORE = """
CREATE OR REPLACE FUNCTION count_slots() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  change_taken int := 0;
  change_submitted int := 0;
BEGIN
  -- Critics hold no slot and are not counted.
  IF TG_OP <> 'INSERT' THEN
    change_taken := change_taken - (OLD.slot IS NOT NULL)::int;
    change_submitted := change_submitted
      - (OLD.slot IS NOT NULL AND OLD.status = 'submitted')::int;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    change_taken := change_taken + (NEW.slot IS NOT NULL)::int;
    change_submitted := change_submitted
      + (NEW.slot IS NOT NULL AND NEW.status = 'submitted')::int;
  END IF;
  IF change_taken <> 0 OR change_submitted <> 0 THEN
    UPDATE round_item
    SET n_taken = n_taken + change_taken, n_submitted = n_submitted + change_submitted
    WHERE id = COALESCE(NEW.round_item_id, OLD.round_item_id);
  END IF;
  RETURN NULL;
END $$;
"""
# Rounds that are open go on in the order they began with.
FILL = """
INSERT INTO round_annotator (round_id, user_id, n_submitted)
SELECT round_id, user_id, count(*) FILTER (WHERE status = 'submitted')
FROM judgement WHERE user_kind = 'person' GROUP BY round_id, user_id
"""
WEIGH = """
UPDATE round_item SET taken_weight = 1, priority = priority - n_taken
FROM round
WHERE round.id = round_item.round_id AND round.status NOT IN ('completed', 'cancelled')
  AND round.settings -> 'judging' ->> 'order' = 'fewest_first'
"""


def upgrade() -> None:
    op.create_table(
        "round_annotator",
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("n_submitted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("queue_position", sa.Double(), server_default="2", nullable=False),
        sa.CheckConstraint(
            "n_submitted >= 0", name=op.f("ck_round_annotator_submitted_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["round_id"], ["round.id"], name=op.f("fk_round_annotator_round_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_round_annotator_user_id")),
        sa.PrimaryKeyConstraint("round_id", "user_id", name=op.f("pk_round_annotator")),
    )
    op.create_index("ix_round_annotator_user_id", "round_annotator", ["user_id"])
    op.add_column(
        "round_item",
        sa.Column("taken_weight", sa.Double(), server_default="0", nullable=False),
    )
    op.add_column("round_item", sa.Column("set_aside_reason", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_round_item_reason_of_what_is_set_aside"),
        "round_item",
        "set_aside_reason IS NULL OR state = 'set_aside'",
    )
    op.create_index(
        "ix_judgement_skipped",
        "judgement",
        ["round_item_id"],
        postgresql_where=sa.text("status = 'skipped'"),
    )
    op.execute(FILL)
    op.execute(WEIGH)
    op.execute(COUNT_SLOTS)


def downgrade() -> None:
    op.execute(COUNT_SLOTS_BEFORE)
    op.execute("UPDATE round_item SET priority = priority + taken_weight * n_taken")
    op.drop_index("ix_judgement_skipped", table_name="judgement")
    op.drop_constraint(
        op.f("ck_round_item_reason_of_what_is_set_aside"), "round_item", type_="check"
    )
    op.drop_column("round_item", "set_aside_reason")
    op.drop_column("round_item", "taken_weight")
    op.drop_table("round_annotator")
