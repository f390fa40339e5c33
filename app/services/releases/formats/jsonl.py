"""JSONL: one file per kind of row, each row with its whole lineage."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from app.models import Json
from app.services.releases.formats.columns import plain_columns
from app.services.releases.formats.croissant import Table, describe_files
from app.services.releases.formats.packing import Entry
from app.services.releases.formats.pictures import PICTURES_FILES, guidelines_entries, image_entry
from app.services.releases.formats.readme import render_readme
from app.services.releases.formats.writing import json_line, write_json

FILES = {
    "rationale": "rationales.jsonl",
    "candidate": "candidates.jsonl",
    "item": "items.jsonl",
    "tombstone": "withdrawn.jsonl",
}
WRITTEN_FILE = "written.jsonl"
WRITTEN_README = """\
- `written.jsonl`: candidates as annotators corrected them: texts by people, judged by nobody;
"""
README = """\
- `rationales.jsonl`: one row per admitted rationale, with every draw and verdict behind it;
- `candidates.jsonl`: what was judged and not admitted, in the same form;
- `items.jsonl`: the judged items, with the outcome of each judgement (`picked`, `none_fits`,
  `answer_is_wrong`: three different facts);
- `withdrawn.jsonl`: rows of earlier releases that this one does not hold, with the reason;
- `release.json`: number, content hash, settings and figures of this release.

A row of `rationales.jsonl` or `candidates.jsonl` names its image by the sha256 of the file.
"""


WITHDRAWN_README = """\
- `withdrawn.jsonl`: rows of earlier releases that this one does not hold, with the reason;
"""
README_2 = (
    README.replace(WITHDRAWN_README, "").partition("\nA row of ")[0]
    + """\
- `images/`: the pictures.

A row names its picture by `image_file`, and by `image_name` as the file was called when it was
imported (null where that was not kept); `image_sha256` is that of the imported file.
"""
)


ANSWERS_README = """
`answers` of an item is what several people answered to its question, where that came with the data.
"""


IS_CUT_README = """
A draw has `is_cut` where it is known: true, it ended at the limit of tokens; false, by itself. A
row has `is_cut` where all its draws ended at the limit.
"""


TRACE_README = """
A row that a monologue led to has its `trace`: what was asked of the picture and what was seen
(`turns`), and the answer, of the draw with the highest log-probability; `n_ways` says in how many
ways, by what was asked, the draws came to this text.
"""

TURNS_README = """
People may have marked turns (`marks`: `of` a `question`, whether it is useful, or of an
`observation`, whether it is true; `value`: `yes`, `no` or `cannot_tell`), and said what is to be
seen instead (`corrections`: texts by people, judged by nobody). Each entry names its round, judge
and turn, with what was asked and observed: a person may have been shown another draw than `trace`.
"""

ADJUDICATED_README = """
Where people differed on a text and an adjudicator decided, its row has `adjudications`: the round,
and whether it `fits`. That outranked the votes, which stay in `verdicts`; an admission that came of
it has `adjudicated`.
"""

BRANCHES_README = """
Where people let the model go on from what they saw, `branches` has what came of it: texts of the
model that nobody judged, and that may have ended in a wrong answer (`outcome`). Each entry names
its `draw` among those of the row, the turn, what was observed there and what the person saw instead
(`corrected`), the `turns` that followed, the `answer` and the `rationale`, or null.
"""


LOOKS_README = """
A row for which a model asked where to look has its `looks`: each a grid of `rows` and `columns`
over the picture and, row by row from the top left, the `attention`, and by how many nats the
log-probability of the item's answer fell with each place hidden (`occlusion`; `probability`: of the
answer with nothing hidden; null where nobody measured it). `without` is the answer without any
look.
People may have marked a look (`marks` of the `place`: `right`, `partly` or `wrong`); an entry names
the place that counted most (`looked`, rows and columns from 1).
"""

BOXES_README = """
Where people drew where the model should have looked, a row has `boxes`: the edges as shares of the
picture's width and height, from its top left corner. Nobody judged them.
"""


def build_jsonl(payloads: Iterable[Json], release: Json, folder: Path) -> list[Entry]:
    files = dict(FILES)
    listed = README
    is_first_format = "format" not in release
    if not is_first_format:
        listed = README_2 + (IS_CUT_README if release["format"] > 2 else "")
        listed += ANSWERS_README if release["format"] > 4 else ""
        listed += TRACE_README if release["figures"].get("traces") else ""
        listed += TURNS_README if speaks_of_turns(release) else ""
        listed += LOOKS_README if release["figures"].get("looks") else ""
        listed += BOXES_README if release["figures"].get("boxes") else ""
        listed += BRANCHES_README if release["figures"].get("branches") else ""
        listed += ADJUDICATED_README if release["figures"].get("adjudicated") else ""
        listed += PICTURES_FILES
        if release["figures"]["tombstones"]:
            listed = WITHDRAWN_README + listed
        else:
            del files["tombstone"]
    # Older releases have no such rows, and stay the same bytes.
    if release["figures"].get("written"):
        files["written"] = WRITTEN_FILE
        listed = WRITTEN_README + listed
    pictures: dict[str, Entry] = {}
    with ExitStack() as stack:
        streams = {
            kind: stack.enter_context((folder / name).open("w", encoding="utf-8", newline="\n"))
            for kind, name in files.items()
        }
        for payload in payloads:
            kind = payload["kind"]
            if kind == "item" and release.get("format", 1) > 4:
                payload = {"answers": [], **payload}  # noqa: PLW2901
            row = {name: payload[name] for name in _ordered(payload)}
            if not is_first_format and "image_file" in row:
                row["image_file"] = f"images/{row['image_file']}"
                # Readers take `image` for a picture.
                row = {{"image": "image_sha256"}.get(name, name): row[name] for name in row}
                entry = image_entry(payload, release, "images")
                pictures[entry.name] = entry
            streams[kind].write(json_line(row))
    write_json(folder / "release.json", release)
    (folder / "README.md").write_text(
        render_readme(release, front_matter="", files=listed), encoding="utf-8", newline="\n"
    )
    names = [*files.values(), "release.json", "README.md"]
    own = [Entry(name, folder / name) for name in names]
    tables = [
        Table(name.removesuffix(".jsonl"), name, plain_columns(kind, _NOT_IN_ALL))
        for kind, name in files.items()
    ]
    described = describe_files(release, folder, tables, ["images"])
    return [*own, *described, *pictures.values(), *guidelines_entries(release)]


_NOT_IN_ALL = ("is_cut", "merged_by_older_rule")
"""Columns that rows have only where they are true."""


def speaks_of_turns(release: Json) -> bool:
    """Returns whether rows of a release have the columns for what people said of turns."""
    return bool(release["figures"].get("marks") or release["figures"].get("corrections"))


# What a reader looks for first comes first; the database does not keep an order of keys.
_FIRST = (
    *(
        "row_id",
        "item",
        "item_version",
        "image",
        "image_file",
        "image_name",
        "split",
        "question",
        "answer",
    ),
    *("rationale", "gold_rationales", "answers", "author_kind", "author", "n_rationales"),
    *("people_fits", "people_votes", "critic_fits", "critic_votes"),
)


def _ordered(payload: Json) -> list[str]:
    first = [name for name in _FIRST if name in payload]
    return first + sorted(name for name in payload if name not in _FIRST and name != "kind")
