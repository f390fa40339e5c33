"""Rounds of several strategies: who sits out, how long each sampled, and when traces were opened."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

COUNT_WORDS = """
CREATE OR REPLACE FUNCTION count_words_of_judgement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' OR NEW.shown_order <> OLD.shown_order THEN
    NEW.n_words := coalesce(count_words_to_read(NEW.round_item_id, NEW.shown_order), 0);
    NEW.n_trace_words := {trace_words};
  END IF;
  -- What was typed took its time, even where it was deleted again.
  NEW.n_typed := greatest(NEW.n_typed, count_words(NEW.comment) + count_words_in(NEW.edits)
    + count_words_in(NEW.corrections));
  RETURN NEW;
END $$;
"""
ALWAYS = "count_words_of_traces(NEW.shown_order)"
UNLESS_BLIND = """CASE
      -- Where several strategies take part, nobody reads a trace before they have judged.
      WHEN (SELECT jsonb_array_length(coalesce(round.settings -> 'strategies', '[]')) > 0
            FROM round WHERE round.id = NEW.round_id) THEN 0
      ELSE count_words_of_traces(NEW.shown_order) END"""


def upgrade() -> None:
    op.add_column(
        "round_model",
        sa.Column("sits_out", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column(
        "run_shard",
        sa.Column(
            "strategy_seconds",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.add_column(
        "judgement", sa.Column("traces_opened_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_check_constraint(
        op.f("ck_judgement_opened_traces_stay"),
        "judgement",
        "traces_opened_at IS NULL OR status IN ('submitted', 'withdrawn')",
    )
    _let_revisions_be("'submit', 'take_back', 'mark'")
    op.execute(COUNT_WORDS.format(trace_words=UNLESS_BLIND))


def downgrade() -> None:
    op.execute(COUNT_WORDS.format(trace_words=ALWAYS))
    op.execute("ALTER TABLE judgement_revision DISABLE TRIGGER USER")
    op.execute("DELETE FROM judgement_revision WHERE action = 'mark'")
    op.execute("ALTER TABLE judgement_revision ENABLE TRIGGER USER")
    _let_revisions_be("'submit', 'take_back'")
    op.drop_constraint(op.f("ck_judgement_opened_traces_stay"), "judgement", type_="check")
    op.drop_column("judgement", "traces_opened_at")
    op.drop_column("run_shard", "strategy_seconds")
    op.drop_column("round_model", "sits_out")


def _let_revisions_be(actions: str) -> None:
    name = op.f("ck_judgement_revision_action_known")
    op.drop_constraint(name, "judgement_revision", type_="check")
    op.create_check_constraint(name, "judgement_revision", f"action IN ({actions})")
