"""Looks that people found untrue are in the manifest of a training, with what it learns instead, and
a correction that it learned leaves an empty row when its author is erased."""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

PLACE = ["judgement_id", "sample_id", "turn"]
KEPT_SHUT = "('event', 'judgement_revision', 'written_rationale')"
OPEN_TOO = "('event', 'judgement_revision', 'written_rationale', 'corrected_observation')"
FORBID_CHANGE = """
CREATE OR REPLACE FUNCTION forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  parent_is_there boolean;
BEGIN
  IF TG_OP = 'UPDATE' AND TG_TABLE_NAME IN {tables}
    AND current_setting('illume.erasing', true) = 'on' THEN
    RETURN NEW;
  END IF;
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
# A key cannot look into an array, so this is checked once per statement.
LOOK_IS_OF_ITEM = """
CREATE FUNCTION look_is_of_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM added
    JOIN sample ON sample.id = added.sample_id
    WHERE sample.item_id <> added.item_id
      OR added.turn > coalesce(jsonb_array_length(sample.trace -> 'turns'), 0)
  ) THEN
    RAISE EXCEPTION 'a look of a training is a turn of a draw of its item'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
"""


def upgrade() -> None:
    op.execute(FORBID_CHANGE.replace("{tables}", OPEN_TOO))
    op.add_column(
        "corrected_observation", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True)
    )
    _check_text("(text = '') = (erased_at IS NOT NULL)")
    op.create_table(
        "untaught_look",
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("run_id", "sample_id", "turn", "item_id")
        ),
        sa.Column(
            "split",
            sa.Enum(
                "train",
                "validation",
                "test",
                name="split",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="train",
            nullable=False,
        ),
        sa.Column("judgement_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("split = 'train'", name=op.f("ck_untaught_look_train_split_only")),
        sa.CheckConstraint("turn >= 1", name=op.f("ck_untaught_look_turn_from_one")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_untaught_look_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["sample.id"], name=op.f("fk_untaught_look_sample_id")
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "split"],
            ["item.id", "item.split"],
            name=op.f("fk_untaught_look_item_id_split"),
        ),
        sa.ForeignKeyConstraint(
            PLACE,
            [f"corrected_observation.{name}" for name in PLACE],
            name=op.f("fk_untaught_look_corrected_observation"),
        ),
        sa.PrimaryKeyConstraint("run_id", "sample_id", "turn", name=op.f("pk_untaught_look")),
    )
    for name in ("item_id", "sample_id"):
        op.create_index(f"ix_untaught_look_{name}", "untaught_look", [name])
    op.create_index(
        "ix_untaught_look_judgement_id",
        "untaught_look",
        ["judgement_id"],
        postgresql_where=sa.text("judgement_id IS NOT NULL"),
    )
    op.execute(LOOK_IS_OF_ITEM)
    op.execute(
        "CREATE TRIGGER untaught_look_is_of_item AFTER INSERT ON untaught_look"
        " REFERENCING NEW TABLE AS added FOR EACH STATEMENT"
        " EXECUTE FUNCTION look_is_of_item()"
    )


def downgrade() -> None:
    op.drop_table("untaught_look")
    op.execute("DROP FUNCTION look_is_of_item()")
    # An erased correction has no place in the older schema.
    op.execute("DELETE FROM corrected_observation WHERE erased_at IS NOT NULL")
    _check_text("text <> ''")
    op.drop_column("corrected_observation", "erased_at")
    op.execute(FORBID_CHANGE.replace("{tables}", KEPT_SHUT))


def _check_text(condition: str) -> None:
    name = op.f("ck_corrected_observation_text_given")
    op.drop_constraint(name, "corrected_observation", type_="check")
    op.create_check_constraint(name, "corrected_observation", condition)
