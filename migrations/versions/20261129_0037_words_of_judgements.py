r"""Judgements know how many words there were to read, and how many were typed.

Words are pieces between spaces; scripts that are written without spaces (Thai, Lao, Burmese, Khmer,
Chinese, Japanese) have a word in every two characters.
"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

COLUMNS = ("n_words", "n_trace_words", "n_typed")

COUNT_WORDS = r"""
CREATE FUNCTION count_words(words text) RETURNS int LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(regexp_count(words, '\S+') + regexp_count(words,
    '[\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF\u2E80-\uA4CF\uF900-\uFAFF\uFF00-\uFF9F]') / 2, 0)
$$;
CREATE FUNCTION count_words_in(texts jsonb) RETURNS int LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(sum(count_words(string #>> '{}')), 0)::int
  FROM jsonb_path_query(texts, 'strict $.** ? (@.type() == "string")') AS string
$$;
CREATE FUNCTION count_words_to_read(place bigint, shown bigint[]) RETURNS int
LANGUAGE sql STABLE AS $$
  SELECT count_words(item.question) + count_words(item.answer) + coalesce(
    (SELECT sum(count_words(candidate.text)) FROM candidate WHERE candidate.id = ANY (shown)), 0)
  FROM round_item JOIN item ON item.id = round_item.item_id WHERE round_item.id = place
$$;
CREATE FUNCTION count_words_of_traces(shown bigint[]) RETURNS int LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(count_words_in(draw.trace)), 0)::int FROM (
    SELECT DISTINCT ON (candidate_id) trace FROM sample
    WHERE candidate_id = ANY (shown) AND trace IS NOT NULL
    ORDER BY candidate_id, log_probability DESC NULLS LAST, id
  ) AS draw
$$;
CREATE FUNCTION count_words_of_judgement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' OR NEW.shown_order <> OLD.shown_order THEN
    NEW.n_words := coalesce(count_words_to_read(NEW.round_item_id, NEW.shown_order), 0);
    NEW.n_trace_words := count_words_of_traces(NEW.shown_order);
  END IF;
  -- What was typed took its time, even where it was deleted again.
  NEW.n_typed := greatest(NEW.n_typed, count_words(NEW.comment) + count_words_in(NEW.edits)
    + count_words_in(NEW.corrections));
  RETURN NEW;
END $$;
"""
TRIGGER = """
CREATE TRIGGER count_words_of_judgement
  BEFORE INSERT OR UPDATE OF shown_order, comment, edits, corrections ON judgement
  FOR EACH ROW WHEN (NEW.user_kind = 'person') EXECUTE FUNCTION count_words_of_judgement();
"""
FUNCTIONS = (
    "count_words_of_judgement()",
    "count_words_of_traces(bigint[])",
    "count_words_to_read(bigint, bigint[])",
    "count_words_in(jsonb)",
    "count_words(text)",
)


def upgrade() -> None:
    op.execute(COUNT_WORDS)
    for name in COLUMNS:
        op.add_column(
            "judgement", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)
        )
    # Counters kept by other triggers have nothing to do with this.
    op.execute("ALTER TABLE judgement DISABLE TRIGGER USER")
    op.execute(
        """
        UPDATE judgement SET
          n_words = coalesce(count_words_to_read(round_item_id, shown_order), 0),
          n_trace_words = count_words_of_traces(shown_order),
          n_typed = count_words(comment) + count_words_in(edits) + count_words_in(corrections)
        WHERE user_kind = 'person'
        """
    )
    op.execute("ALTER TABLE judgement ENABLE TRIGGER USER")
    op.create_check_constraint(
        op.f("ck_judgement_words_not_negative"),
        "judgement",
        "n_words >= 0 AND n_trace_words >= 0 AND n_typed >= 0",
    )
    op.execute(TRIGGER)


def downgrade() -> None:
    op.execute("DROP TRIGGER count_words_of_judgement ON judgement")
    op.drop_constraint(op.f("ck_judgement_words_not_negative"), "judgement", type_="check")
    for name in COLUMNS:
        op.drop_column("judgement", name)
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
