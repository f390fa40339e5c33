"""A folder that `datasets.load_dataset` reads: pictures, `metadata.jsonl` and the dataset card.

The library guesses the type of a column from its values, and cannot be told otherwise for picture
folders. So every column always has the same type here: an absent text is empty and lists are JSON
texts, never null.
"""

import json
import re
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from app.lifecycle import Split
from app.models import Json
from app.services.release_formats.jsonl import json_line, write_json
from app.services.release_formats.packing import Entry
from app.services.release_formats.readme import render_readme
from app.storage import MEDIA_TYPES, image_path

FILES = """\
Each row is one admitted rationale with its picture. `draws`, `verdicts` and `admissions` are JSON
texts with the whole lineage; `round`, `base_model`, `adapter`, `prompt`, `temperature`, `number`
and `seed` are those of the first draw, where the author is a model. What was judged and not
admitted is in the JSONL form of this release.

```python
from datasets import load_dataset

rows = load_dataset("path/to/this/folder", split="train")
```
"""
_LICENCE_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))


def build_huggingface(payloads: Iterable[Json], release: Json, folder: Path) -> list[Entry]:
    entries: dict[str, Entry] = {}
    with ExitStack() as stack:
        streams: dict[str, TextIO] = {}
        for payload in payloads:
            if payload["kind"] != "rationale":
                continue
            split = payload["split"]
            if split not in streams:
                streams[split] = stack.enter_context(_open_metadata(folder, split))
            streams[split].write(json_line(_flat(payload)))
            entry = _image_entry(payload)
            entries[entry.name] = entry
        if not streams:
            streams[Split.TRAIN] = stack.enter_context(_open_metadata(folder, Split.TRAIN))
        splits = [split.value for split in Split if split.value in streams]
    write_json(folder / "release.json", release)
    files = FILES
    if not release["n_rows"]:
        files = "This release holds no rationale yet, so there is nothing to load.\n\n" + files
    text = render_readme(release, front_matter=_front_matter(release, splits), files=files)
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
    own = ["README.md", "release.json", *(f"{split}/metadata.jsonl" for split in splits)]
    return [*(Entry(name, folder / name) for name in own), *entries.values()]


def _open_metadata(folder: Path, split: str) -> TextIO:
    (folder / split).mkdir()
    return (folder / split / "metadata.jsonl").open("w", encoding="utf-8", newline="\n")


def _image_entry(payload: Json) -> Entry:
    name = Path(payload["image_file"])
    source = image_path(payload["image"], MEDIA_TYPES[name.suffix])
    return Entry(f"{payload['split']}/images/{name}", source)


def _flat(payload: Json) -> Json:
    draw = payload["first_draw"] or {}
    judged = payload["admissions"]
    return {
        "file_name": f"images/{payload['image_file']}",
        "row_id": payload["row_id"],
        "item": payload["item"],
        "item_version": payload["item_version"],
        "question": payload["question"],
        "answer": payload["answer"],
        "rationale": payload["rationale"],
        "author_kind": payload["author_kind"],
        "author": payload["author"] or "",
        "people_fits": payload["people_fits"],
        "people_votes": payload["people_votes"],
        "critic_fits": payload["critic_fits"],
        "critic_votes": payload["critic_votes"],
        "policy": judged[0]["policy"],
        "admitted_by": judged[0]["judge_kind"],
        "admitted_in_round": judged[0]["round"],
        "round": draw.get("round", judged[0]["round"]),
        "base_model": draw.get("base_model") or "",
        "base_revision": draw.get("base_revision") or "",
        "adapter": draw.get("adapter") or "",
        "strategy": draw.get("strategy") or "",
        "prompt": draw.get("prompt") or "",
        "temperature": float(draw.get("temperature", 0.0)),
        "number": draw.get("number", 0),
        "seed": draw.get("seed", 0),
        "n_draws": payload["n_draws"],
        "draws": json.dumps(payload["draws"], ensure_ascii=False),
        "verdicts": json.dumps(payload["verdicts"], ensure_ascii=False),
        "admissions": json.dumps(payload["admissions"], ensure_ascii=False),
        "image_sha256": payload["image"],
    }


def _front_matter(release: Json, splits: Iterable[str]) -> str:
    """YAML, written as JSON values: every JSON value is one of YAML."""
    licence = release["licence"].strip()
    lines = ["---"]
    if _LICENCE_NAME.fullmatch(licence):
        lines.append(f"license: {json.dumps(licence)}")
    elif licence:
        lines += ['license: "other"', f"license_name: {json.dumps(licence.splitlines()[0][:100])}"]
    else:
        lines.append('license: "unknown"')
    size = next((name for limit, name in _SIZES if release["n_rows"] < limit), "n>1M")
    lines += [
        f"pretty_name: {json.dumps(release['project'])}",
        'task_categories: ["visual-question-answering"]',
        'tags: ["rationales", "explanations", "human-feedback"]',
        f"size_categories: [{json.dumps(size)}]",
        "configs:",
        '- config_name: "default"',
        "  data_files:",
    ]
    for split in splits:
        lines += [f'  - split: "{split}"', f'    path: "{split}/**"']
    return "\n".join([*lines, "---", "", ""])
