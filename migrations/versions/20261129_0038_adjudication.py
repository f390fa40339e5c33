"""What people differ on, and what adjudicators decide of it."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

PURPOSES = "training measure check practice anchor comparison"

# What is disputed of some items: candidates that not all who submitted them pick, but some do.
DISPUTED = """
SELECT picks.round_item_id, array_agg(candidate_id ORDER BY candidate_id) AS ids
FROM (
  SELECT round_item_id, candidate_id, count(*) AS n_fits
  FROM judgement, unnest(picked) AS candidate_id
  WHERE {which} AND user_kind = 'person' AND status = 'submitted' AND NOT answer_is_wrong
  GROUP BY round_item_id, candidate_id
) AS picks
JOIN (
  SELECT round_item_id, count(*) AS n_votes FROM judgement
  WHERE {which} AND user_kind = 'person' AND status = 'submitted' AND NOT answer_is_wrong
  GROUP BY round_item_id
) AS votes ON votes.round_item_id = picks.round_item_id AND n_fits < n_votes
GROUP BY picks.round_item_id
"""

# Called after count_slots, in the order of their names: an item with one submission, as most are
# where one person judges each, costs one look.
NOTE_DISPUTES = f"""
CREATE FUNCTION note_disputes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  place bigint := COALESCE(NEW.round_item_id, OLD.round_item_id);
BEGIN
  IF EXISTS (
    SELECT FROM round_item
    WHERE id = place AND purpose = 'training' AND (n_submitted > 1 OR disputed <> '{{}}')
  ) THEN
    UPDATE round_item SET disputed = COALESCE(found.ids, '{{}}')
    FROM (SELECT) AS one
    LEFT JOIN ({DISPUTED.format(which="round_item_id = place")}) AS found ON true
    WHERE id = place AND disputed <> COALESCE(found.ids, '{{}}');
  END IF;
  RETURN NULL;
END $$;
"""  # noqa: S608
SUBMITTED = {
    "insert": "NEW.status = 'submitted'",
    "update": "OLD.status <> NEW.status AND 'submitted' IN (OLD.status, NEW.status)",
    "delete": "OLD.status = 'submitted'",
}


def upgrade() -> None:
    op.add_column(
        "round_item",
        sa.Column(
            "disputed",
            sa.ARRAY(sa.BigInteger()),
            server_default=sa.text("'{}'::bigint[]"),
            nullable=False,
        ),
    )
    op.execute(
        f"""
        UPDATE round_item SET disputed = found.ids
        FROM ({DISPUTED.format(which="true")}) AS found
        WHERE found.round_item_id = round_item.id AND purpose = 'training'
        """  # noqa: S608
    )
    op.create_index(
        "ix_round_item_disputed",
        "round_item",
        ["round_id", "random_key"],
        postgresql_where=sa.text("disputed <> '{}'"),
    )
    op.execute(NOTE_DISPUTES)
    for event, condition in SUBMITTED.items():
        kind = "OLD" if event == "delete" else "NEW"
        op.execute(
            f"CREATE TRIGGER note_disputes_on_{event} AFTER {event.upper()} ON judgement"
            f" FOR EACH ROW WHEN ({kind}.user_kind = 'person' AND {condition})"
            " EXECUTE FUNCTION note_disputes()"
        )
    op.create_table(
        "adjudication",
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("candidate_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "purpose",
            sa.Enum(
                *PURPOSES.split(),
                name="purpose",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="training",
            nullable=False,
        ),
        sa.Column("is_shown", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("fits", sa.Boolean(), nullable=False),
        sa.Column("decided_by_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "decided_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint(
            "round_id", "item_id", "candidate_id", name=op.f("pk_adjudication")
        ),
        sa.UniqueConstraint(
            "round_id", "candidate_id", name=op.f("uq_adjudication_round_id_candidate_id")
        ),
        sa.ForeignKeyConstraint(
            ["round_id", "item_id", "purpose"],
            ["round_item.round_id", "round_item.item_id", "round_item.purpose"],
            name=op.f("fk_adjudication_round_id_item_id_purpose"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["candidate_id", "item_id"],
            ["candidate.id", "candidate.item_id"],
            name=op.f("fk_adjudication_candidate_id_item_id"),
        ),
        sa.ForeignKeyConstraint(
            ["round_id", "candidate_id", "is_shown"],
            [
                "round_candidate.round_id",
                "round_candidate.candidate_id",
                "round_candidate.is_shown",
            ],
            name=op.f("fk_adjudication_round_id_candidate_id_is_shown"),
        ),
        sa.ForeignKeyConstraint(
            ["decided_by_id"], ["user.id"], name=op.f("fk_adjudication_decided_by_id")
        ),
        sa.CheckConstraint("purpose = 'training'", name=op.f("ck_adjudication_training_only")),
        sa.CheckConstraint("is_shown", name=op.f("ck_adjudication_shown_only")),
    )
    op.create_index(
        "ix_adjudication_decided_by_id", "adjudication", ["round_id", "decided_by_id", "decided_at"]
    )
    op.create_index("ix_adjudication_candidate_id", "adjudication", ["candidate_id"])
    op.add_column(
        "admission",
        sa.Column("is_adjudicated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.drop_constraint(op.f("ck_admission_votes_add_up"), "admission", type_="check")
    op.create_check_constraint(
        op.f("ck_admission_votes_add_up"),
        "admission",
        "n_fits BETWEEN (NOT is_adjudicated)::int AND n_votes",
    )
    for name in ("n_disputed", "n_adjudicated"):
        op.add_column(
            "admission_decision",
            sa.Column(name, sa.BigInteger(), server_default="0", nullable=False),
        )
    op.add_column("candidate_tally", sa.Column("adjudicated", sa.Boolean(), nullable=True))


def downgrade() -> None:
    # The older schema cannot hold what was admitted against all votes.
    op.execute("DELETE FROM admission WHERE n_fits = 0")
    op.drop_column("candidate_tally", "adjudicated")
    for name in ("n_adjudicated", "n_disputed"):
        op.drop_column("admission_decision", name)
    op.drop_constraint(op.f("ck_admission_votes_add_up"), "admission", type_="check")
    op.drop_column("admission", "is_adjudicated")
    op.create_check_constraint(
        op.f("ck_admission_votes_add_up"), "admission", "n_fits BETWEEN 1 AND n_votes"
    )
    op.drop_table("adjudication")
    for event in SUBMITTED:
        op.execute(f"DROP TRIGGER note_disputes_on_{event} ON judgement")
    op.execute("DROP FUNCTION note_disputes()")
    op.drop_index("ix_round_item_disputed", table_name="round_item")
    op.drop_column("round_item", "disputed")
