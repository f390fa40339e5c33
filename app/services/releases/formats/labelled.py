"""Preference pairs and single labels, as picture folders that trl's trainers take as they are.

`datasets.load_dataset` reads each folder with its pictures. What is compared or labelled is what
people and critics judged; who decides is chosen (`DecidedBy`).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from app.lifecycle import DecidedBy, Split
from app.models import Json
from app.services.releases.formats.conversation import (
    answered,
    asked,
    by_item,
    opener_of,
)
from app.services.releases.formats.croissant import Table, describe_files
from app.services.releases.formats.front_matter import TAGS, front_matter
from app.services.releases.formats.packing import Entry
from app.services.releases.formats.pairs import (
    Policies,
    Word,
    list_labels,
    list_pairs,
    policies_of,
)
from app.services.releases.formats.pictures import PICTURES_FILES, guidelines_entries, image_entry
from app.services.releases.formats.readme import render_readme
from app.services.releases.formats.writing import json_line, write_json

PAIRS = """\
Each row is a pair of rationales for one picture, question and answer: `prompt`, `chosen` and
`rejected` are conversations, `image` is the picture. trl's DPOTrainer takes the rows as they are.
"""
LABELS = """\
Each row is one rationale for a picture, question and answer, with a `label`: whether it fits.
`prompt` and `completion` are conversations, `image` is the picture. trl's KTOTrainer takes the rows
as they are.
"""
LOAD = """
```python
from datasets import load_dataset

rows = load_dataset("path/to/this/folder", split="train")
```

`round`, `judge_kind`, `judge` and `policy` say who decided (`judge` is empty where several did,
`policy` where none was asked), `n_for` and `n_against` how many judges said so and how many the
opposite. The texts go on from the answer by the same words in all rows. Items whose answer is in
doubt and texts that people wrote are in no row: nobody judged those texts.
"""
DECIDED = {
    DecidedBy.JUDGEMENT: """
The rows are decided by single judgements (`judgement`): {per_judgement}.
""",
    DecidedBy.AGREED: """
The rows are decided by all who judged (`agreed`), people where any did and critics otherwise:
{per_agreed}.
""",
    DecidedBy.POLICY: """
The rows are decided by the policies of the rounds (`policy`): {per_policy}.
""",
}
OF_PAIRS = {
    "per_judgement": "what one judge picked beside what the same judge, looking at the same list, "
    "did not pick",
    "per_agreed": "somebody who judged both texts prefers the first, and nobody who judged both "
    "prefers the second",
    "per_policy": "what a round's policy admitted beside what it read votes on and did not admit",
}
OF_LABELS = {
    "per_judgement": "one row per verdict",
    "per_agreed": "a text is here if all who judged it said the same",
    "per_policy": "a text fits if a round's policy admitted it, and does not if the policy read "
    "votes on it and no round admitted it",
}

_ABOUT_COLUMNS = {
    "file_name": "string",
    "item": "string",
    "item_version": "int",
    "image_sha256": "string",
}
_OWN_COLUMNS = {
    "preference": {"chosen_row_id": "string", "rejected_row_id": "string"},
    "kto": {"label": "bool", "row_id": "string"},
}
_WORD_COLUMNS = {
    "round": "int",
    **dict.fromkeys(("judge_kind", "judge", "policy"), "string"),
    **dict.fromkeys(("n_for", "n_against"), "int"),
}
"""Columns of one text or number, with their types."""

Rows = Callable[[list[Json], DecidedBy, Policies, str], Iterator[tuple[Json, Json]]]
"""Makes the rows of one item: each with the text whose picture it shows."""


def build_preference(
    payloads: Iterable[Json], release: Json, folder: Path, by: DecidedBy
) -> list[Entry]:
    """Writes pairs of a better and a worse text."""
    files = PAIRS + LOAD + DECIDED[by].format(**OF_PAIRS)
    return _build(payloads, release, folder, by, rows=_pair_rows, files=files, tag="preference")


def build_kto(payloads: Iterable[Json], release: Json, folder: Path, by: DecidedBy) -> list[Entry]:
    """Writes single texts, each with a label."""
    files = LABELS + LOAD + DECIDED[by].format(**OF_LABELS)
    return _build(payloads, release, folder, by, rows=_label_rows, files=files, tag="kto")


def _build(
    payloads: Iterable[Json],
    release: Json,
    folder: Path,
    by: DecidedBy,
    *,
    rows: Rows,
    files: str,
    tag: str,
) -> list[Entry]:
    pictures: dict[str, Entry] = {}
    policies, opener = policies_of(release), opener_of(release)
    n_rows = 0
    with ExitStack() as stack:
        streams: dict[str, TextIO] = {}
        for item, texts in by_item(payloads):
            if item["answer_is_in_doubt"]:
                continue
            for text, row in rows(texts, by, policies, opener):
                split = text["split"]
                if split not in streams:
                    streams[split] = stack.enter_context(_open_metadata(folder, split))
                streams[split].write(json_line(row))
                entry = image_entry(text, release, f"{split}/images")
                pictures[entry.name] = entry
                n_rows += 1
        if not streams:
            streams[Split.TRAIN] = stack.enter_context(_open_metadata(folder, Split.TRAIN))
        splits = [split.value for split in Split if split.value in streams]
    if not n_rows:
        files = "There is nothing to load: no row is decided so.\n\n" + files
    head = front_matter(
        release,
        [("default", {split: f"{split}/**" for split in splits})],
        tags=(*TAGS, tag),
        n_rows=n_rows,
    )
    files += PICTURES_FILES if "pictures" in release else ""
    readme = render_readme(release, front_matter=head, files=files)
    (folder / "README.md").write_text(readme, encoding="utf-8", newline="\n")
    write_json(folder / "release.json", release)
    own = ["README.md", "release.json", *(f"{split}/metadata.jsonl" for split in splits)]
    listed = [Entry(name, folder / name) for name in own]
    columns = {**_ABOUT_COLUMNS, **_OWN_COLUMNS[tag], **_WORD_COLUMNS}
    tables = [Table(split, f"{split}/metadata.jsonl", columns) for split in splits]
    described = describe_files(release, folder, tables, [f"{split}/images" for split in splits])
    return [*listed, *described, *pictures.values(), *guidelines_entries(release)]


def _open_metadata(folder: Path, split: str) -> TextIO:
    (folder / split).mkdir()
    return (folder / split / "metadata.jsonl").open("w", encoding="utf-8", newline="\n")


def _pair_rows(
    texts: list[Json], by: DecidedBy, policies: Policies, opener: str
) -> Iterator[tuple[Json, Json]]:
    for pair in list_pairs(texts, by, policies):
        yield (
            pair.chosen,
            {
                **_about(pair.chosen),
                "prompt": asked(pair.chosen),
                "chosen": answered(pair.chosen, opener),
                "rejected": answered(pair.rejected, opener),
                "chosen_row_id": pair.chosen["row_id"],
                "rejected_row_id": pair.rejected["row_id"],
                **_about_word(pair.word),
            },
        )


def _label_rows(
    texts: list[Json], by: DecidedBy, policies: Policies, opener: str
) -> Iterator[tuple[Json, Json]]:
    for label in list_labels(texts, by, policies):
        yield (
            label.text,
            {
                **_about(label.text),
                "prompt": asked(label.text),
                "completion": answered(label.text, opener),
                "label": label.fits,
                "row_id": label.text["row_id"],
                **_about_word(label.word),
            },
        )


def _about(payload: Json) -> Json:
    return {
        "file_name": f"images/{payload['image_file']}",
        "item": payload["item"],
        "item_version": payload["item_version"],
        "image_sha256": payload["image"],
    }


def _about_word(word: Word) -> Json:
    return {
        "round": word.round,
        "judge_kind": word.judge_kind,
        "judge": word.judge,
        "policy": word.policy,
        "n_for": word.n_for,
        "n_against": word.n_against,
    }
