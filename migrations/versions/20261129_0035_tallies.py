"""Votes on the candidates of a round as they were when its evidence was gathered."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "candidate_tally",
        sa.Column("round_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("candidate_id", sa.BigInteger(), nullable=False),
        sa.Column("n_fits", sa.SmallInteger(), nullable=False),
        sa.Column("n_votes", sa.SmallInteger(), nullable=False),
        sa.Column("probability", sa.Float()),
        sa.PrimaryKeyConstraint(
            "round_id", "item_id", "candidate_id", name=op.f("pk_candidate_tally")
        ),
        sa.ForeignKeyConstraint(
            ["round_id"], ["round.id"], name=op.f("fk_candidate_tally_round_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["candidate_id", "item_id"],
            ["candidate.id", "candidate.item_id"],
            name=op.f("fk_candidate_tally_candidate_id_item_id"),
        ),
        sa.CheckConstraint(
            "n_fits BETWEEN 0 AND n_votes", name=op.f("ck_candidate_tally_votes_add_up")
        ),
        sa.CheckConstraint(
            "probability BETWEEN 0 AND 1", name=op.f("ck_candidate_tally_probability_within")
        ),
    )
    op.create_index("ix_candidate_tally_candidate_id", "candidate_tally", ["candidate_id"])


def downgrade() -> None:
    # Counted from votes, which stay: it can be gathered again.
    op.drop_table("candidate_tally")
