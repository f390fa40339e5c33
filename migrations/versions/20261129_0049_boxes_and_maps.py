"""Drawn boxes: where a look should have been; and occlusion maps: what hiding places changes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

# Turns of a monologue, looks of a perception: what is said of a draw is said of one of these.
N_TURNS = "coalesce(jsonb_array_length(sample.trace -> 'turns'), {more}0)"
FUNCTION = """
CREATE OR REPLACE FUNCTION turn_is_of_judgement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM added
    JOIN judgement ON judgement.id = added.judgement_id
    JOIN sample ON sample.id = added.sample_id
    JOIN run ON run.id = sample.run_id
    WHERE judgement.status <> 'submitted'
      OR run.round_id IS DISTINCT FROM judgement.round_id
      OR sample.candidate_id IS NULL
      OR sample.candidate_id <> ALL (judgement.shown_order)
      OR added.turn > {n_turns}
  ) THEN
    RAISE EXCEPTION 'a turn is of a draw that led to a candidate of a submitted judgement'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
"""


def upgrade() -> None:
    op.add_column(
        "judgement",
        sa.Column(
            "boxes",
            postgresql.JSONB(none_as_null=True),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.create_check_constraint(
        op.f("ck_judgement_boxes_by_draw"), "judgement", "jsonb_typeof(boxes) = 'object'"
    )
    looks = "jsonb_array_length(sample.trace -> 'looks'), "
    op.execute(FUNCTION.format(n_turns=N_TURNS.format(more=looks)))
    _create_boxes()
    _create_maps()


def _create_boxes() -> None:
    op.create_table(
        "drawn_box",
        sa.Column("judgement_id", sa.BigInteger(), nullable=False),
        sa.Column("sample_id", sa.BigInteger(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        *(
            sa.Column(edge, sa.Float(), nullable=False)
            for edge in ("left", "top", "right", "bottom")
        ),
        sa.CheckConstraint("turn >= 1", name=op.f("ck_drawn_box_turn_from_one")),
        sa.CheckConstraint(
            '"left" >= 0 AND "left" < "right" AND "right" <= 1',
            name=op.f("ck_drawn_box_lies_within_width"),
        ),
        sa.CheckConstraint(
            "top >= 0 AND top < bottom AND bottom <= 1",
            name=op.f("ck_drawn_box_lies_within_height"),
        ),
        *(
            sa.ForeignKeyConstraint(
                [f"{other}_id"],
                [f"{other}.id"],
                name=op.f(f"fk_drawn_box_{other}_id"),
                ondelete="CASCADE",
            )
            for other in ("judgement", "sample")
        ),
        sa.PrimaryKeyConstraint("judgement_id", "sample_id", "turn", name=op.f("pk_drawn_box")),
    )
    op.create_index("ix_drawn_box_sample_id", "drawn_box", ["sample_id"])
    op.execute(
        "CREATE TRIGGER drawn_box_is_of_judgement AFTER INSERT ON drawn_box"
        " REFERENCING NEW TABLE AS added FOR EACH STATEMENT"
        " EXECUTE FUNCTION turn_is_of_judgement()"
    )
    # Taking back deletes the rows, so only changes are forbidden.
    op.execute(
        "CREATE TRIGGER drawn_box_never_changes BEFORE UPDATE ON drawn_box "
        "FOR EACH ROW EXECUTE FUNCTION forbid_change('judgement', 'judgement_id')"
    )


def _create_maps() -> None:
    op.create_table(
        "occlusion_map",
        sa.Column("sample_id", sa.BigInteger(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("n_columns", sa.BigInteger(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("falls", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("without", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column(
            "made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("turn >= 1", name=op.f("ck_occlusion_map_turn_from_one")),
        sa.CheckConstraint(
            "n_rows BETWEEN 1 AND 9 AND n_columns BETWEEN 1 AND 9",
            name=op.f("ck_occlusion_map_at_most_81"),
        ),
        sa.CheckConstraint(
            "cardinality(falls) = n_rows * n_columns",
            name=op.f("ck_occlusion_map_fall_of_each_place"),
        ),
        sa.CheckConstraint(
            "probability BETWEEN 0 AND 1", name=op.f("ck_occlusion_map_probability_within")
        ),
        sa.CheckConstraint("seconds >= 0", name=op.f("ck_occlusion_map_seconds_not_negative")),
        sa.ForeignKeyConstraint(
            ["sample_id"],
            ["sample.id"],
            name=op.f("fk_occlusion_map_sample_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sample_id", "turn", name=op.f("pk_occlusion_map")),
    )


def downgrade() -> None:
    op.drop_table("occlusion_map")
    op.drop_table("drawn_box")
    # The older schema cannot hold marks of looks, of which it knows nothing.
    op.execute(
        "DELETE FROM mark USING sample WHERE sample.id = mark.sample_id AND sample.trace ? 'looks'"
    )
    op.execute(FUNCTION.format(n_turns=N_TURNS.format(more="")))
    op.drop_constraint(op.f("ck_judgement_boxes_by_draw"), "judgement", type_="check")
    op.drop_column("judgement", "boxes")
