"""The columns of the rows of a release, with the type of each.

A type is a word, a list of one type, or an object of them; `json` is a JSON text, `picture` the
bytes of one.
"""

from collections.abc import Mapping
from typing import Any

from app.models import Json
from app.opinions import REMARKS

_ABOUT = {
    "row_id": "string",
    "item": "string",
    "item_version": "int",
    "image_sha256": "string",
    "image_name": "string",
    "split": "string",
    "question": "string",
    "answer": "string",
}
_MESSAGES = [{"role": "string", "content": "string"}]
_PICTURE = {"image": "picture"}
_TEXT = {
    **_ABOUT,
    "rationale": "string",
    "author_kind": "string",
    "author": "string",
    "prompt": _MESSAGES,
    "completion": _MESSAGES,
}
_CANDIDATE: dict[str, Any] = {
    **_TEXT,
    "people_fits": "int",
    "people_votes": "int",
    "critic_fits": "int",
    "critic_votes": "int",
    "n_draws": "int",
    "draws": [
        {
            "round": "int",
            "base_model": "string",
            "base_revision": "string",
            "adapter": "string",
            "strategy": "string",
            "opener": "string",
            "temperature": "float",
            "number": "int",
            "seed": "int",
            "log_probability": "float",
            "is_cut": "bool",
        }
    ],
    "verdicts": [
        {
            "round": "int",
            "judge": "string",
            "judge_kind": "string",
            "fits": "bool",
            "position": "int",
            "n_shown": "int",
            "faults": ["string"],
            "guidelines_version": "int",
        }
    ],
    "admissions": [
        {
            "round": "int",
            "policy": "string",
            "judge_kind": "string",
            "n_fits": "int",
            "n_votes": "int",
            "probability": "float",
        }
    ],
    "merged_by_older_rule": "bool",
    "is_cut": "bool",
    "trace": "json",
    "marks": "json",
    "corrections": "json",
    "branches": "json",
}
_ITEM = {
    **_ABOUT,
    "gold_rationales": ["string"],
    "answers": ["string"],
    "facts": "json",
    "n_rationales": "int",
    "answer_is_in_doubt": "bool",
    "judgements": [
        {
            "round": "int",
            "judge": "string",
            "judge_kind": "string",
            "outcome": "string",
            "n_picked": "int",
            "n_shown": "int",
            **dict.fromkeys(REMARKS, "bool"),
            "guidelines_version": "int",
        }
    ],
}
COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "rationale": {**_CANDIDATE, **_PICTURE},
    "candidate": _CANDIDATE,
    "item": {**_ITEM, **_PICTURE},
    "written": {
        **_TEXT,
        "corrects": "string",
        "round": "int",
        "guidelines_version": "int",
        **_PICTURE,
    },
    "tombstone": {
        "row_id": "string",
        "former_kind": "string",
        "item": "string",
        "reason": "string",
        "last_release": "int",
    },
}
"""The columns by the kind of row."""
_LOOKS = {"looks": "json"}
_BOXES = {
    "boxes": [
        {
            "round": "int",
            "judge": "string",
            "judge_kind": "string",
            "turn": "int",
            "looked": dict.fromkeys(("rows", "columns", "row", "column"), "int"),
            **dict.fromkeys(("left", "top", "right", "bottom"), "float"),
        }
    ]
}
_PLAIN = ("string", "int", "float", "bool")


def columns_of(kind: str, release: Json) -> Mapping[str, Any]:
    """Returns the columns of a kind of row of a release; those of adjudication, looks and boxes
    only where it has any, and those of a later format only in releases of it, so that files of
    other releases stay as they always were."""
    columns: dict[str, Any] = dict(COLUMNS[kind])
    format = release.get("format", 1)
    if format < 5:
        columns.pop("answers", None)
    if kind in ("rationale", "candidate"):
        admission = dict(columns["admissions"][0])
        if format < 6:
            del admission["probability"]
        if "adjudicated" in release["figures"]:
            admission["adjudicated"] = "bool"
            columns["adjudications"] = [{"round": "int", "fits": "bool"}]
        columns["admissions"] = [admission]
        columns.update(_LOOKS if release["figures"].get("looks") else {})
        columns.update(_BOXES if release["figures"].get("boxes") else {})
    return columns


def plain_columns(kind: str, besides: tuple[str, ...] = ()) -> dict[str, str]:
    """Returns the columns of a kind of row that hold one text, number or yes and no; without
    `besides`.
    """
    return {
        name: type_
        for name, type_ in COLUMNS[kind].items()
        if isinstance(type_, str) and type_ in _PLAIN and name not in besides
    }
