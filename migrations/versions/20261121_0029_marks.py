"""Marks and corrected observations: what people say of the turns of a draw."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

COLUMNS = ("marks", "corrections")
TABLES = ("mark", "corrected_observation")

# A key cannot look into an array or across four tables, so this is checked once per statement.
FUNCTION = """
CREATE FUNCTION turn_is_of_judgement() RETURNS trigger LANGUAGE plpgsql AS $$
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
      OR added.turn > coalesce(jsonb_array_length(sample.trace -> 'turns'), 0)
  ) THEN
    RAISE EXCEPTION 'a turn is of a draw that led to a candidate of a submitted judgement'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
"""


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column(
            "judgement",
            sa.Column(
                name,
                postgresql.JSONB(none_as_null=True),
                server_default=sa.text("'{}'::jsonb"),
                nullable=False,
            ),
        )
        op.create_check_constraint(
            op.f(f"ck_judgement_{name}_by_draw"), "judgement", f"jsonb_typeof({name}) = 'object'"
        )
    _create_table(
        "mark",
        sa.Column("of", sa.String(length=50), nullable=False),
        sa.Column("value", sa.String(length=50), nullable=False),
        sa.CheckConstraint("of ~ '^[a-z_]+$'", name=op.f("ck_mark_of_is_a_name")),
        sa.CheckConstraint("value ~ '^[a-z_]+$'", name=op.f("ck_mark_value_is_a_name")),
        more_key=("of",),
    )
    _create_table(
        "corrected_observation",
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("text <> ''", name=op.f("ck_corrected_observation_text_given")),
    )
    op.execute(FUNCTION)
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_is_of_judgement AFTER INSERT ON {table}"
            " REFERENCING NEW TABLE AS added FOR EACH STATEMENT"
            " EXECUTE FUNCTION turn_is_of_judgement()"
        )
        # Taking back deletes the rows, so only changes are forbidden.
        op.execute(
            f"CREATE TRIGGER {table}_never_changes BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION forbid_change('judgement', 'judgement_id')"
        )


def _create_table(name: str, *parts: sa.schema.SchemaItem, more_key: tuple[str, ...] = ()) -> None:
    op.create_table(
        name,
        sa.Column("judgement_id", sa.BigInteger(), nullable=False),
        sa.Column("sample_id", sa.BigInteger(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        *parts,
        sa.CheckConstraint("turn >= 1", name=op.f(f"ck_{name}_turn_from_one")),
        *(
            sa.ForeignKeyConstraint(
                [f"{other}_id"],
                [f"{other}.id"],
                name=op.f(f"fk_{name}_{other}_id"),
                ondelete="CASCADE",
            )
            for other in ("judgement", "sample")
        ),
        sa.PrimaryKeyConstraint(
            "judgement_id", "sample_id", "turn", *more_key, name=op.f(f"pk_{name}")
        ),
    )
    op.create_index(f"ix_{name}_sample_id", name, ["sample_id"])


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("DROP FUNCTION turn_is_of_judgement()")
    for name in reversed(COLUMNS):
        op.drop_constraint(op.f(f"ck_judgement_{name}_by_draw"), "judgement", type_="check")
        op.drop_column("judgement", name)
