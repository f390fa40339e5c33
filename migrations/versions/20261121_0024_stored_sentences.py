"""Why something is as it is, kept with the parts of its sentence: pages tell it in any language."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

COLUMNS = (
    ("round", "decision_reason"),
    ("round_item", "set_aside_reason"),
    ("run", "error"),
    ("item_failure", "reason"),
)
CHECK = "ck_item_failure_reason_given"
IN_ONE_UPDATE = 5000

TEMPLATES = (
    "All %(n)s train items have a fitting rationale.",
    "Validation answer accuracy %(accuracy)s is under the floor of %(floor)s.",
    "No progress for %(n)s round(s): %(improved)s items improved, %(regressed)s regressed, "
    "%(covered)s newly covered of %(open)s open ones.",
    "The limit of %(n)s rounds is reached.",
    "%(improved)s items improved, %(regressed)s regressed, %(covered)s newly covered; %(left)s "
    "train items are still without a fitting rationale.",
    "No rationale has been admitted so far, so there is nothing to train on.",
    "There is nothing to sample: no train item is left that is neither excluded nor resting. "
    "Import items with the split `train`, or raise `rest_after`.",
    "There is nothing to train on: no rationale is admitted (or, with the source `gold`, no train "
    "item came with one).",
    "%(n)s of %(all)s items cannot be trained on, too many to go on without them. One of them is "
    "%(item)s: %(reason)s Mend the images or the texts, or exclude these items, then retry the "
    "round.",
    "%(n)s of %(all)s items could not be done, too many to go on without them. One of them is "
    "%(item)s: %(reason)s Mend the cause, then retry the round: finished shards are kept.",
    "The base model %(model)s was changed since this project began with it: it was %(before)s, and "
    "it is %(found)s. Restore its files and retry, or go on with the changed base (on the round's "
    "page, or illume round retry --changed-base): the loop then begins with it anew, without what "
    "was trained before.",
    "Most of its annotators say that the answer is wrong.",
    "Its image cannot be used.",
    "The model cannot be asked about it.",
    "Annotators skipped it.",
    "%(n)s people skipped it: %(reasons)s.",
    "Everybody who could judge it skipped it: %(reasons)s.",
    "METEOR is left out: Java is not installed.",
    "METEOR is left out: the package pycocoevalcap is not installed.",
)
"""What was stored until now, as it was worded then. Anything else is kept as plain text."""

TEXTS = {"item", "reason", "reasons", "model", "before", "found"}
SHARES = {"accuracy", "floor"}


def upgrade() -> None:
    op.drop_constraint(op.f(CHECK), "item_failure", type_="check")
    for table, column in COLUMNS:
        change_type(table, column, "jsonb", f"to_jsonb({column})")
        rewrite(table, column, "TRUE", pack)
    op.create_check_constraint(op.f(CHECK), "item_failure", "reason <> '\"\"'::jsonb")
    rewrite("run", "result", "result ?| ARRAY['meteor_note', 'sentences']", pack_result)
    with_events_open(pack_event)


def downgrade() -> None:
    op.drop_constraint(op.f(CHECK), "item_failure", type_="check")
    for table, column in COLUMNS:
        rewrite(table, column, f"jsonb_typeof({column}) = 'object'", write)
        change_type(table, column, "text", f"{column} #>> '{{}}'")
    op.create_check_constraint(op.f(CHECK), "item_failure", "reason <> ''")
    packed = "result ?| ARRAY['meteor_note', 'errors', 'refused', 'warnings', 'left_out']"
    rewrite("run", "result", packed, write_result)
    with_events_open(write_event)


def change_type(table: str, column: str, kind: str, made_of: str) -> None:
    op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind} USING {made_of}")


def with_events_open(change: Callable[[Any], Any]) -> None:
    """Rewrite why rounds were decided as they were; an event never changes, but for this."""
    op.execute("ALTER TABLE event DISABLE TRIGGER event_is_append_only")
    rewrite("event", "details", "tag = 'round:decided' AND details ? 'reason'", change)
    op.execute("ALTER TABLE event ENABLE TRIGGER event_is_append_only")


def rewrite(table: str, column: str, which: str, change: Callable[[Any], Any]) -> None:
    """Write the JSON of a column anew where the change leads to something else."""
    rows = op.get_bind().execute(
        sa.text(f"SELECT id, {column} FROM {table} WHERE {which} AND {column} IS NOT NULL")  # noqa: S608
    )
    changed = [(row[0], new) for row in rows if (new := change(row[1])) != row[1]]
    for start in range(0, len(changed), IN_ONE_UPDATE):
        ids, values = zip(*changed[start : start + IN_ONE_UPDATE], strict=True)
        op.get_bind().execute(
            sa.text(
                f"UPDATE {table} SET {column} = new.value FROM"  # noqa: S608
                " unnest(CAST(:ids AS bigint[]), CAST(:values AS jsonb[])) AS new (id, value)"
                f" WHERE {table}.id = new.id"
            ),
            {"ids": list(ids), "values": [json.dumps(value) for value in values]},
        )


# --- To sentences with parts ----------------------------------------------------------------


def pattern_of(template: str) -> re.Pattern[str]:
    pieces = re.split(r"%\((\w+)\)s", template)
    return re.compile(
        "".join(
            f"(?P<{piece}>{shape_of(piece)})" if index % 2 else re.escape(piece)
            for index, piece in enumerate(pieces)
        ),
        re.DOTALL,
    )


def shape_of(part: str) -> str:
    if part in TEXTS:
        return r".+?"
    return r"[0-9.]+%" if part in SHARES else r"[0-9]+"


PATTERNS = [(template, pattern_of(template)) for template in TEMPLATES]


def pack(stored: Any) -> Any:
    """The sentence that a text was, with its parts; the text where it is none of ours."""
    if not isinstance(stored, str):
        return stored
    for template, pattern in PATTERNS:
        if match := pattern.fullmatch(stored):
            parts = {name: pack_part(name, value) for name, value in match.groupdict().items()}
            return {"text": template, "parts": parts}
    return stored


def pack_part(name: str, value: str) -> Any:
    if name in TEXTS:
        return value
    return {"share": float(value[:-1]) / 100} if name in SHARES else {"amount": int(value)}


def pack_event(details: Mapping[str, Any]) -> dict[str, Any]:
    return {**details, "reason": pack(details["reason"])}


def pack_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """Imports kept their sentences twice: as English and, under a key of their own, with parts."""
    packed = {name: value for name, value in result.items() if name != "sentences"}
    packed |= result.get("sentences", {})
    if "meteor_note" in packed:
        packed["meteor_note"] = pack(packed["meteor_note"])
    return packed


# --- And back to English --------------------------------------------------------------------


def write(packed: Any) -> Any:
    """The English text of a sentence with its parts; a text is one already."""
    match packed:
        case {"amount": n}:
            return f"{n:,}"
        case {"share": share}:
            return f"{share * 100:.1f}%"
        case {"text": text, "parts": parts}:
            many, n = packed.get("many"), packed.get("n")
            written = {name: write(part) for name, part in parts.items()}
            if many is not None:
                text, written["n"] = (text if n == 1 else many), f"{n:,}"
            return text % written
    return packed


def write_event(details: Mapping[str, Any]) -> dict[str, Any]:
    return {**details, "reason": write(details["reason"])}


def write_result(result: Mapping[str, Any]) -> dict[str, Any]:
    written = dict(result)
    if "meteor_note" in written:
        written["meteor_note"] = write(written["meteor_note"])
    sentences = {name: result[name] for name in ("errors", "refused", "warnings") if name in result}
    if sentences:
        written |= {name: list(map(write, lines)) for name, lines in sentences.items()}
        written["sentences"] = sentences
    if "left_out" in written:
        written["left_out"] = [
            {**entry, "reason": write(entry["reason"])} for entry in written["left_out"]
        ]
    return written
