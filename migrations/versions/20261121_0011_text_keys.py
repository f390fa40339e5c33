"""Candidates are told apart by marks, signs and symbols too; those of before are known as such."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import sqlalchemy as sa
from alembic import op

# Not a copy: keys are right when they are those that the code asks for.
from app.same_text import text_key

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

UNIQUE = "uq_candidate_item_id_text_key"
TRIGGER = "candidate_is_append_only"
IN_ONE_UPDATE = 5000


def text_key_before(text: str) -> str:
    """The key as it was made before: nothing but letters and digits counted."""
    collapsed = unicodedata.normalize("NFC", text.replace("\0", ""))
    words = re.sub(r"[^\w\s]+", " ", re.sub(r"\s+", " ", collapsed).strip().casefold())
    return hashlib.sha256(re.sub(r"\s+", " ", words).strip().encode()).hexdigest()


def upgrade() -> None:
    op.add_column(
        "candidate", sa.Column("key_version", sa.BigInteger(), server_default="1", nullable=False)
    )
    op.alter_column("candidate", "key_version", server_default="2")
    make_keys(text_key)


def downgrade() -> None:
    make_keys(text_key_before)
    op.drop_column("candidate", "key_version")


def make_keys(key_of: Callable[[str], str]) -> None:
    """Write the key of every candidate anew, from its text.

    Where two of an item come to one key, the judged or older one has it, and the other keeps its
    row and its verdicts under a key of its own, which no text can have.
    """
    # For a moment two rows may have one key. And a candidate never changes, but for this.
    op.drop_constraint(op.f(UNIQUE), "candidate", type_="unique")
    op.execute(f"ALTER TABLE candidate DISABLE TRIGGER {TRIGGER}")
    # All are read before any is written: the rows come from one statement.
    changed = list(list_keys(key_of))
    for start in range(0, len(changed), IN_ONE_UPDATE):
        store(changed[start : start + IN_ONE_UPDATE])
    op.execute(f"ALTER TABLE candidate ENABLE TRIGGER {TRIGGER}")
    op.create_unique_constraint(op.f(UNIQUE), "candidate", ["item_id", "text_key"])


def list_keys(key_of: Callable[[str], str]) -> Iterator[tuple[int, str]]:
    """(candidate, new key) of those whose key changes."""
    rows = op.get_bind().execute(
        sa.text(
            "SELECT id, item_id, text, text_key FROM candidate ORDER BY item_id, NOT ("
            "  EXISTS (SELECT FROM verdict WHERE verdict.candidate_id = candidate.id)"
            "  OR EXISTS (SELECT FROM admission WHERE admission.candidate_id = candidate.id)), id"
        )
    )
    for _, candidates in groupby(rows, key=lambda row: row.item_id):
        taken: set[str] = set()
        for row in candidates:
            key = key_of(row.text)
            if key in taken:
                key = hashlib.sha256(f" kept apart {row.id}".encode()).hexdigest()
            taken.add(key)
            if key != row.text_key:
                yield row.id, key


def store(changed: Sequence[tuple[int, str]]) -> None:
    ids, keys = zip(*changed, strict=True)
    op.get_bind().execute(
        sa.text(
            "UPDATE candidate SET text_key = new.key FROM"
            " unnest(CAST(:ids AS bigint[]), CAST(:keys AS text[])) AS new (id, key)"
            " WHERE candidate.id = new.id"
        ),
        {"ids": list(ids), "keys": list(keys)},
    )
