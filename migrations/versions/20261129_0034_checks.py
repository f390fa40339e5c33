"""Check items with expected verdicts, their places in rounds, and judgements that are set apart."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

STATES = "waiting open done resting set_aside"
STATUSES = "leased draft submitted skipped released"
CHOSEN_BY = "draws random not_shown"

# As in 0006, but for check items: they lie outside of the queue, so a person's place in it stays.
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
    RETURNING {place} INTO place;
  END IF;
  IF TG_OP = 'INSERT' AND NEW.slot IS NOT NULL THEN
    INSERT INTO round_annotator (round_id, user_id, n_submitted, queue_position)
    VALUES (NEW.round_id, NEW.user_id, change_submitted, {first})
    ON CONFLICT (round_id, user_id) DO UPDATE
    SET n_submitted = round_annotator.n_submitted + EXCLUDED.n_submitted,
      queue_position = {next};
  ELSIF change_submitted <> 0 THEN
    UPDATE round_annotator SET n_submitted = n_submitted + change_submitted
    WHERE round_id = COALESCE(NEW.round_id, OLD.round_id)
      AND user_id = COALESCE(NEW.user_id, OLD.user_id);
  END IF;
  RETURN NULL;
END $$;
"""
BEFORE = {"place": "random_key", "first": "place", "next": "EXCLUDED.queue_position"}
NOW = {
    "place": "CASE WHEN purpose <> 'check' THEN random_key END",
    "first": "COALESCE(place, 2)",
    "next": "COALESCE(place, round_annotator.queue_position)",
}


def upgrade() -> None:
    op.create_table(
        "check_item",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("max_uses", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("max_uses >= 1", name=op.f("ck_check_item_used_at_least_once")),
        sa.ForeignKeyConstraint(
            ["created_by_id"],
            ["user.id"],
            name=op.f("fk_check_item_created_by_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "project_id"],
            ["item.id", "item.project_id"],
            name=op.f("fk_check_item_item_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_check_item_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_check_item")),
        sa.UniqueConstraint("id", "item_id", name=op.f("uq_check_item_id_item_id")),
    )
    op.create_index("ix_check_item_project_id", "check_item", ["project_id"])
    op.create_index(
        "uq_check_item_serving",
        "check_item",
        ["item_id"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL"),
    )
    op.create_table(
        "check_candidate",
        sa.Column("check_item_id", sa.BigInteger(), nullable=False),
        sa.Column("candidate_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("fits", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["candidate_id", "item_id"],
            ["candidate.id", "candidate.item_id"],
            name=op.f("fk_check_candidate_candidate_id_item_id"),
        ),
        sa.ForeignKeyConstraint(
            ["check_item_id", "item_id"],
            ["check_item.id", "check_item.item_id"],
            name=op.f("fk_check_candidate_check_item_id_item_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("check_item_id", "candidate_id", name=op.f("pk_check_candidate")),
    )
    op.create_index("ix_check_candidate_candidate_id", "check_candidate", ["candidate_id"])
    op.execute(
        "CREATE TRIGGER check_candidate_never_changes BEFORE UPDATE ON check_candidate"
        " FOR EACH ROW EXECUTE FUNCTION forbid_change()"
    )
    op.add_column("round_item", sa.Column("check_item_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_round_item_check_item_id_item_id"),
        "round_item",
        "check_item",
        ["check_item_id", "item_id"],
        ["id", "item_id"],
    )
    _allow("round_item", "state", STATES.replace("done", "standing done"))
    op.create_check_constraint(
        op.f("ck_round_item_check_names_its_verdicts"),
        "round_item",
        "(check_item_id IS NOT NULL) = (purpose = 'check')",
    )
    op.create_check_constraint(
        op.f("ck_round_item_only_checks_stand"),
        "round_item",
        "state <> 'standing' OR purpose = 'check'",
    )
    op.create_index(
        "ix_round_item_check_item_id",
        "round_item",
        ["check_item_id"],
        postgresql_where=sa.text("check_item_id IS NOT NULL"),
    )
    _allow("judgement", "status", f"{STATUSES} withdrawn")
    _allow("round_candidate", "chosen_by", f"{CHOSEN_BY} check", name="chosen_by_known")
    op.add_column(
        "round_annotator",
        sa.Column("n_checks", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_round_annotator_checks_not_negative"), "round_annotator", "n_checks >= 0"
    )
    op.execute(COUNT_SLOTS.format(**NOW))


def downgrade() -> None:
    # The older schema cannot hold what people said of check items, nor what was set apart.
    op.execute("DELETE FROM judgement WHERE status = 'withdrawn'")
    checks = "SELECT id FROM round_item WHERE purpose = 'check'"
    op.execute(f"DELETE FROM judgement WHERE round_item_id IN ({checks})")  # noqa: S608
    op.execute("DELETE FROM round_item WHERE purpose = 'check'")
    op.execute(COUNT_SLOTS.format(**BEFORE))
    op.drop_constraint(
        op.f("ck_round_annotator_checks_not_negative"), "round_annotator", type_="check"
    )
    op.drop_column("round_annotator", "n_checks")
    _allow("round_candidate", "chosen_by", CHOSEN_BY, name="chosen_by_known")
    _allow("judgement", "status", STATUSES)
    op.drop_index("ix_round_item_check_item_id", table_name="round_item")
    op.drop_constraint(op.f("ck_round_item_only_checks_stand"), "round_item", type_="check")
    op.drop_constraint(op.f("ck_round_item_check_names_its_verdicts"), "round_item", type_="check")
    _allow("round_item", "state", STATES)
    op.drop_constraint(
        op.f("fk_round_item_check_item_id_item_id"), "round_item", type_="foreignkey"
    )
    op.drop_column("round_item", "check_item_id")
    op.drop_table("check_candidate")
    op.drop_table("check_item")


def _allow(table: str, column: str, names: str, name: str | None = None) -> None:
    """Lets a column hold these values; the CHECK on them is called after the column or by name."""
    listed = ", ".join(f"'{value}'" for value in names.split())
    constraint = op.f(f"ck_{table}_{name or column}")
    op.drop_constraint(constraint, table, type_="check")
    op.create_check_constraint(constraint, table, f"{column} IN ({listed})")
