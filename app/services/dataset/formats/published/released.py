"""Rows of our own releases, imported again: they give the items that they were made from.

The rationales that were admitted are no part of that: what a release calls `gold_rationales` is
what came with the item. Several rows of one item are one item.
"""

from collections.abc import Mapping
from typing import Any

from app.kit.sentences import Sentence
from app.services.dataset.formats.parsing import parse_json
from app.services.dataset.formats.rows import BadField

COLUMNS = frozenset({"row_id", "item", "question", "answer", "gold_rationales"})
"""By these a row is known to be of a release, and to hold its whole item."""
OF_A_RELEASE = frozenset({"item", "image_sha256"})
_MANIFEST = "release.json"
_ITEMS = ("items.jsonl", "items.parquet")
_METADATA = "metadata.jsonl"


def is_released(columns: Mapping[str, Any] | frozenset[str]) -> bool:
    """Whether columns are those of a release that holds whole items."""
    return set(columns) >= COLUMNS


def refuse_partial(columns: frozenset[str]) -> None:
    """Raises BadField for rows of a release that tell less than their item."""
    if columns >= OF_A_RELEASE and not columns >= COLUMNS:
        raise BadField(
            Sentence(
                "is a row of a release that does not hold whole items: import its items.jsonl or "
                "items.parquet, or its Hugging Face folder"
            )
        )


def as_item(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a released row by the names of our columns."""
    return {
        "id": values.get("item"),
        "image": values.get("file_name", values.get("image_file", values.get("image"))),
        "question": values.get("question"),
        "answer": values.get("answer"),
        "rationales": _json(values.get("gold_rationales")),
        "answers": _json(values.get("answers")),
        "split": values.get("split"),
        "facts": _json(values.get("facts")),
    }


def _json(value: object) -> object:
    """A value that some forms of a release write as JSON texts; "" stands for none."""
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value) if value else None
    except ValueError as error:
        raise BadField(Sentence("holds no JSON (%(error)s)", error=error.args[0])) from error


def files_with_items(names: list[str]) -> list[str] | None:
    """Returns those of the files of a folder that hold a release's items; None: it is no release.

    Files of other releases in the same folder are told apart by where `release.json` lies.
    """
    roots = [name.removesuffix(_MANIFEST) for name in names if is_called(name, _MANIFEST)]
    if not roots:
        return None
    found: list[str] = []
    for root in roots:
        here = [name for name in names if name.startswith(root)]
        whole = [name for name in _ITEMS if root + name in here]
        if whole:
            found.append(root + whole[0])
        else:
            found += [name for name in here if is_called(name, _METADATA)]
    return found


def is_called(path: str, name: str) -> bool:
    """Whether the last part of a path is this name."""
    return path == name or path.endswith(f"/{name}")
