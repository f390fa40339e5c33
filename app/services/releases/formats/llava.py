"""Conversations as LLaVA and LLaMA-Factory read them: one JSON list per split, and the pictures.

LLaVA's training reads `image` and `conversations`; LLaMA-Factory finds the files by
`dataset_info.json`, reads `images` and `conversations` (its form `sharegpt`), and wants as many
tags `<image>` in the texts as there are pictures.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from app.lifecycle import Split
from app.models import Json
from app.services.releases.formats.conversation import answer_text, own_opener
from app.services.releases.formats.croissant import Table, describe_files
from app.services.releases.formats.front_matter import TAGS, front_matter
from app.services.releases.formats.packing import Entry
from app.services.releases.formats.pictures import PICTURES_FILES, guidelines_entries, image_entry
from app.services.releases.formats.readme import render_readme
from app.services.releases.formats.writing import json_line, write_json

TAG = "<image>"
_TAGS = re.compile(r"<(image|video|audio)>")
FILES = """\
- {files}: a list of conversations, one per admitted rationale: a person asks the question of the
  picture, the model gives the answer with its rationale. `image` is for LLaVA, `images` for
  LLaMA-Factory; both name the same picture, relative to this folder;
- `dataset_info.json`: what LLaMA-Factory needs to know; give it this folder as `dataset_dir` (and
  as `media_dir`), and {names} as `dataset`;
- `images/`: the pictures;
- `release.json`: number, content hash, settings and figures of this release.

Each conversation has one `<image>` tag, since it has one picture: where people or the model wrote
such a tag themselves, it stands here as `(image)`. What was judged and not admitted, and the
lineage of each row, are in the JSONL form of this release, by the same `id` (there `row_id`).
"""


def build_llava(payloads: Iterable[Json], release: Json, folder: Path) -> list[Entry]:
    """Writes the admitted rationales; a release without any has an empty list of train rows."""
    pictures: dict[str, Entry] = {}
    with ExitStack() as stack:
        lists: dict[str, _JsonList] = {}
        for payload in _rationales(payloads):
            split = payload["split"]
            if split not in lists:
                lists[split] = stack.enter_context(_JsonList(folder / f"{split}.json"))
            lists[split].add(_conversation(payload, release))
            entry = image_entry(payload, release, "images")
            pictures[entry.name] = entry
        if not lists:
            lists[Split.TRAIN] = stack.enter_context(_JsonList(folder / "train.json"))
        splits = [split.value for split in Split if split.value in lists]
    names = {split: f"{release['slug']}_{split}" for split in splits}
    write_json(folder / "dataset_info.json", {names[split]: _described(split) for split in splits})
    write_json(folder / "release.json", release)
    own = [*(f"{split}.json" for split in splits), "dataset_info.json", "release.json", "README.md"]
    files = FILES.format(
        files=", ".join(f"`{split}.json`" for split in splits),
        names=", ".join(f"`{name}`" for name in names.values()),
    )
    files += PICTURES_FILES if "pictures" in release else ""
    files_of_splits = {str(split): f"{split}.json" for split in splits}
    head = front_matter(
        release, [("default", files_of_splits)], tags=(*TAGS, "llava", "llama-factory")
    )
    text = render_readme(release, front_matter=head, files=files)
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
    listed = [Entry(name, folder / name) for name in own]
    tables = [
        Table(split, f"{split}.json", {"id": "string", "image": "string"}) for split in splits
    ]
    described = describe_files(release, folder, tables, ["images"])
    return [*listed, *described, *pictures.values(), *guidelines_entries(release)]


def _rationales(payloads: Iterable[Json]) -> Iterator[Json]:
    return (payload for payload in payloads if payload["kind"] == "rationale")


def _conversation(payload: Json, release: Json) -> Json:
    image = f"images/{payload['image_file']}"
    answer = answer_text(payload, own_opener(payload, release))
    return {
        "id": payload["row_id"],
        "image": image,
        "images": [image],
        "conversations": [
            {"from": "human", "value": f"{TAG}\n{_without_tags(payload['question'])}"},
            {"from": "gpt", "value": _without_tags(answer)},
        ],
    }


def _without_tags(text: str) -> str:
    """A tag that somebody wrote would stand for a picture that is not there."""
    return _TAGS.sub(r"(\1)", text)


def _described(split: str) -> Json:
    return {
        "file_name": f"{split}.json",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "images": "images"},
        "tags": {
            "role_tag": "from",
            "content_tag": "value",
            "user_tag": "human",
            "assistant_tag": "gpt",
        },
    }


class _JsonList:
    """Writes a JSON list row by row, one row per line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_empty = True
        self._stream: TextIO

    def __enter__(self) -> "_JsonList":
        self._stream = self._path.open("w", encoding="utf-8", newline="\n")
        self._stream.write("[")
        return self

    def add(self, row: Json) -> None:
        self._stream.write("\n" if self._is_empty else ",\n")
        self._is_empty = False
        self._stream.write(json_line(row).rstrip("\n"))

    def __exit__(self, *_: object) -> None:
        self._stream.write("\n]\n" if not self._is_empty else "]\n")
        self._stream.close()
