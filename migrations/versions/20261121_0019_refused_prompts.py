"""Items whose prompt is refused have a kind of failure of their own."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _check("'image', 'prompt', 'server'")


def downgrade() -> None:
    # Until then such failures were written down as those of the image.
    op.execute("UPDATE item_failure SET kind = 'image' WHERE kind = 'prompt'")
    _check("'image', 'server'")


def _check(kinds: str) -> None:
    name = op.f("ck_item_failure_kind")
    op.drop_constraint(name, "item_failure", type_="check")
    op.create_check_constraint(name, "item_failure", f"kind IN ({kinds})")
