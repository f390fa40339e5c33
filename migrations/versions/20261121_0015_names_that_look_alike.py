"""Accounts are told apart by what people see of their names; those that collide already stay."""

from collections import Counter

import sqlalchemy as sa
from alembic import op

# Not a copy: keys are right when they are those that the code asks for.
from app.kit.texts import name_key

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("user", sa.Column("name_key", sa.Text(), nullable=True))
    op.add_column(
        "user", sa.Column("name_twin", sa.BigInteger(), server_default="0", nullable=False)
    )
    connection = op.get_bind()
    n_seen: Counter[str] = Counter()
    # The older account is the one that a name means; the other is found by its exact spelling.
    for user_id, name in connection.execute(sa.text('SELECT id, name FROM "user" ORDER BY id')):
        key = name_key(name)
        connection.execute(
            sa.text('UPDATE "user" SET name_key = :key, name_twin = :twin WHERE id = :id'),
            {"key": key, "twin": n_seen[key], "id": user_id},
        )
        n_seen[key] += 1
    op.alter_column("user", "name_key", nullable=False)
    op.create_unique_constraint(
        op.f("uq_user_name_key_name_twin"), "user", ["name_key", "name_twin"]
    )


def downgrade() -> None:
    op.drop_constraint(op.f("uq_user_name_key_name_twin"), "user", type_="unique")
    op.drop_column("user", "name_twin")
    op.drop_column("user", "name_key")
