"""A folder that `datasets.load_dataset` reads: pictures, `metadata.jsonl` and the dataset card.

The library guesses the type of a column from its values, and cannot be told otherwise for picture
folders. So every column always has the same type here: an absent text is empty and lists are JSON
texts, never null.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from app.lifecycle import Split
from app.models import Json
from app.services.releases.formats.conversation import answered, asked, by_item, own_opener
from app.services.releases.formats.croissant import Table, describe_files
from app.services.releases.formats.front_matter import Configuration, front_matter
from app.services.releases.formats.jsonl import speaks_of_turns
from app.services.releases.formats.packing import Entry
from app.services.releases.formats.pictures import PICTURES_FILES, guidelines_entries, image_entry
from app.services.releases.formats.readme import render_readme
from app.services.releases.formats.writing import json_line, write_json

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
IS_CUT = """
`is_cut`: every draw of the text is known to have ended at the limit of tokens, not by itself.
"""
TRACE = """
`trace`: of a text that a monologue led to, a JSON text with what was asked of the picture and what
was seen (`turns`), the answer, and in how many ways the draws came to it (`n_ways`); else empty.
"""
TURNS = """
`marks` and `corrections` are JSON texts: what people said of turns (`of` a question, whether it is
useful, or of an observation, whether it is true), and what they saw instead, judged by nobody.
"""
BRANCHES = """
`branches` are JSON texts: where the model went from what a person saw instead of an observation,
judged by nobody; `outcome` says whether it came to the answer and a `rationale`.
"""
LOOKS = """
`looks`: where a model looked for the text, a JSON text: grids over the picture with the
`attention` of each place and, where it was measured, by how much the log-probability of the answer
fell with the place hidden (`occlusion`, in nats); else empty. `marks` of the `place` say whether
that was right.
"""
BOXES = """
`boxes` are JSON texts: where people say that the model should have looked, as shares of the
picture's width and height (`left`, `top`, `right`, `bottom`); judged by nobody.
"""
ADJUDICATED = """
`adjudications` are JSON texts: where people differed on a text, what an adjudicator decided of it
(`fits`), round by round; else empty. It outranked the votes, which `verdicts` holds as they were.
"""
FOR_TRAINERS = """
`prompt` and `completion` are the question, and the answer with its rationale, as conversations:
trl's trainers take the rows as they are. `gold_rationales` and `facts` are what came with the item,
as JSON texts (`facts` may be empty).
"""
ANSWERS = """
`answers`: what several people answered to the question, as a JSON text; empty where that did not
come with the data.
"""
WRITTEN = "written"
WRITTEN_FILES = """
Candidates as annotators corrected them are a configuration of their own (`corrects` is the model's
text): texts by people, judged by nobody, and in no row of the others.

```python
corrected = load_dataset("path/to/this/folder", "written", split="train")
```
"""
_ABOUT = {
    **dict.fromkeys(("file_name", "image_name", "row_id", "item"), "string"),
    "item_version": "int",
    **dict.fromkeys(("question", "answer", "rationale", "author_kind", "author"), "string"),
    "image_sha256": "string",
}
_COLUMNS = {
    **_ABOUT,
    **dict.fromkeys(("people_fits", "people_votes", "critic_fits", "critic_votes"), "int"),
    **dict.fromkeys(("policy", "admitted_by"), "string"),
    **dict.fromkeys(("admitted_in_round", "round"), "int"),
    **dict.fromkeys(("base_model", "base_revision", "adapter", "strategy", "opener"), "string"),
    "temperature": "float",
    **dict.fromkeys(("number", "seed", "n_draws"), "int"),
    **dict.fromkeys(("merged_by_older_rule", "is_cut"), "bool"),
}
_WRITTEN_COLUMNS = {
    **_ABOUT,
    "corrects": "string",
    **dict.fromkeys(("round", "guidelines_version"), "int"),
}
"""Columns of one text or number, with their types."""


def build_huggingface(payloads: Iterable[Json], release: Json, folder: Path) -> list[Entry]:
    entries: dict[str, Entry] = {}
    more = _more_columns(release)
    with ExitStack() as stack:
        streams: dict[str, TextIO] = {}
        for item, payload in _with_items(payloads):
            found = _place(payload, release, more, item)
            if found is None:
                continue
            place, row = found
            if place not in streams:
                streams[place] = stack.enter_context(_open_metadata(folder, place))
            streams[place].write(json_line(row))
            entry = image_entry(payload, release, f"{place}/images")
            entries[entry.name] = entry
        if streams.keys() <= {WRITTEN}:
            streams[Split.TRAIN] = stack.enter_context(_open_metadata(folder, Split.TRAIN))
        splits = [split.value for split in Split if split.value in streams]
    has_written = WRITTEN in streams
    write_json(folder / "release.json", release)
    head = front_matter(release, _configurations(release, splits, has_written=has_written))
    files = _describe_files(release, has_written=has_written)
    text = render_readme(release, front_matter=head, files=files)
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
    places = [*splits, WRITTEN] if has_written else splits
    own = ["README.md", "release.json", *(f"{place}/metadata.jsonl" for place in places)]
    listed = [Entry(name, folder / name) for name in own]
    tables = [
        Table(
            place,
            f"{place}/metadata.jsonl",
            _WRITTEN_COLUMNS if place == WRITTEN else _COLUMNS,
        )
        for place in places
    ]
    described = describe_files(release, folder, tables, [f"{place}/images" for place in places])
    return [*listed, *described, *entries.values(), *guidelines_entries(release)]


def _with_items(payloads: Iterable[Json]) -> Iterator[tuple[Json, Json]]:
    """Yields each row of a text with the row of its item."""
    for item, texts in by_item(payloads):
        for text in texts:
            yield item, text


def _place(
    payload: Json, release: Json, more: Sequence[str], item: Json
) -> tuple[str, Json] | None:
    """The folder that a row of the manifest stands in, and the row there; None: in none."""
    format = release.get("format", 1)
    trained = _for_trainers(payload, release, item) if format > 3 else {}
    if format > 4:
        trained["answers"] = _as_text(item.get("answers"))
    match payload["kind"]:
        case "rationale":
            return payload["split"], {**_flat(payload, format, more), **trained}
        case "written":
            # All are of train items: the tables let nobody judge others for a release.
            return WRITTEN, {**_flat_written(payload, format), **trained}
    return None


def _for_trainers(payload: Json, release: Json, item: Json) -> Json:
    """What trl takes under these names, and what makes the same item when it is imported."""
    return {
        "prompt": asked(payload),
        "completion": answered(payload, own_opener(payload, release)),
        "gold_rationales": _as_text(item["gold_rationales"]),
        "facts": _as_text(item["facts"]),
    }


def _open_metadata(folder: Path, place: str) -> TextIO:
    (folder / place).mkdir()
    return (folder / place / "metadata.jsonl").open("w", encoding="utf-8", newline="\n")


def _about(payload: Json, format: int) -> Json:
    return {
        "file_name": f"images/{payload['image_file']}",
        **({"image_name": payload["image_name"] or ""} if format > 1 else {}),
        "row_id": payload["row_id"],
        "item": payload["item"],
        "item_version": payload["item_version"],
        "question": payload["question"],
        "answer": payload["answer"],
        "rationale": payload["rationale"],
        "author_kind": payload["author_kind"],
        "author": payload["author"] or "",
    }


def _flat_written(payload: Json, format: int) -> Json:
    return {
        **_about(payload, format),
        "corrects": payload["corrects"],
        "round": payload["round"],
        "guidelines_version": payload["guidelines_version"],
        "image_sha256": payload["image"],
    }


def _flat(payload: Json, format: int, more: Sequence[str]) -> Json:
    draw = payload["first_draw"] or {}
    judged = payload["admissions"]
    opener = "opener" if format > 1 else "prompt"
    return {
        **_about(payload, format),
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
        opener: draw.get(opener) or "",
        "temperature": float(draw.get("temperature", 0.0)),
        "number": draw.get("number", 0),
        "seed": draw.get("seed", 0),
        "n_draws": payload["n_draws"],
        **({"merged_by_older_rule": "merged_by_older_rule" in payload} if format > 1 else {}),
        **({"is_cut": "is_cut" in payload} if format > 2 else {}),
        **{name: _as_text(payload.get(name)) for name in more},
        "draws": json.dumps(payload["draws"], ensure_ascii=False),
        "verdicts": json.dumps(payload["verdicts"], ensure_ascii=False),
        "admissions": json.dumps(payload["admissions"], ensure_ascii=False),
        "image_sha256": payload["image"],
    }


def _more_columns(release: Json) -> list[str]:
    """Returns the columns that only releases have with something in them; all JSON texts."""
    turns = ["marks", "corrections"] if speaks_of_turns(release) else []
    branches = ["branches"] if release["figures"].get("branches") else []
    decided = ["adjudications"] if release["figures"].get("adjudicated") else []
    traces = ["trace"] if release["figures"].get("traces") else []
    looks = [name for name in ("looks", "boxes") if release["figures"].get(name)]
    return [*traces, *turns, *branches, *looks, *decided]


def _as_text(value: Json | list[Any] | None) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _describe_files(release: Json, *, has_written: bool) -> str:
    # Older releases stay the same bytes.
    files = FILES.replace("`prompt`", "`opener`") if "format" in release else FILES
    files += IS_CUT if release.get("format", 1) > 2 else ""
    files += FOR_TRAINERS if release.get("format", 1) > 3 else ""
    files += ANSWERS if release.get("format", 1) > 4 else ""
    files += TRACE if release["figures"].get("traces") else ""
    files += TURNS if speaks_of_turns(release) else ""
    files += BRANCHES if release["figures"].get("branches") else ""
    files += LOOKS if release["figures"].get("looks") else ""
    files += BOXES if release["figures"].get("boxes") else ""
    files += ADJUDICATED if release["figures"].get("adjudicated") else ""
    files += PICTURES_FILES if "pictures" in release else ""
    files += WRITTEN_FILES if has_written else ""
    if release["n_rows"]:
        return files
    loadable = "only corrected texts can be loaded" if has_written else "there is nothing to load"
    return f"This release holds no rationale yet, so {loadable}.\n\n" + files


def _configurations(
    release: Json, splits: Iterable[str], *, has_written: bool
) -> list[Configuration]:
    configurations = [("default", {split: f"{split}/**" for split in splits})]
    if has_written:
        # The library takes the whole folder for what its first configuration holds: pictures.
        at = 1 if release["n_rows"] else 0
        configurations.insert(at, (WRITTEN, {Split.TRAIN.value: f"{WRITTEN}/**"}))
    return list[Configuration](configurations)
