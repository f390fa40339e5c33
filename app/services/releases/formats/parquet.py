"""Parquet: typed columns, the pictures in the rows, written a block of rows at a time.

The files carry the types that `datasets` reads, so that `image` is a picture there; pandas and
pyarrow see its bytes. Nothing here needs pyarrow until such a release is written: it comes with the
extra `parquet`.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from app.kit.processes.programs import require_packages
from app.lifecycle import Split
from app.models import Json
from app.services.releases.formats.columns import COLUMNS, columns_of, plain_columns
from app.services.releases.formats.conversation import answered, asked, own_opener
from app.services.releases.formats.croissant import Table, describe_files
from app.services.releases.formats.front_matter import TAGS, front_matter
from app.services.releases.formats.packing import Entry
from app.services.releases.formats.pictures import PICTURES_FILES, guidelines_entries, image_entry
from app.services.releases.formats.readme import render_readme
from app.services.releases.formats.writing import write_json

ROWS_IN_ONE_GROUP = 1000
BYTES_IN_ONE_GROUP = 32 << 20
"""Of pictures. A group is what is held in memory at a time, here and where it is read."""

FILES = """\
- `rationales/`: one row per admitted rationale, with its picture and every draw and verdict;
- `candidates.parquet`: what was judged and not admitted, in the same form but without pictures;
- `items.parquet`: one row per judged item, with its picture and the outcome of each judgement;
- `written.parquet`: candidates as annotators corrected them, judged by nobody (`corrects`: the
  model's text);
- `withdrawn.parquet`: rows of earlier releases that this one does not hold, with the reason;
- `release.json`: number, content hash, settings and figures of this release.

Files without rows are left out. `prompt` and `completion` are the question, and the answer with its
rationale, as conversations: trl's trainers take the rows as they are. `facts`, `trace`, `marks`,
`corrections` and `branches` are JSON texts, empty where there are none.

```python
from datasets import load_dataset

rows = load_dataset("path/to/this/folder", split="train")
items = load_dataset("path/to/this/folder", "items", split="train")
```
"""

LOOKS = """
`looks`: where a model looked for the text, a JSON text: grids over the picture with the
`attention` of each place and, where it was measured, by how much the log-probability of the answer
fell with the place hidden (`occlusion`, in nats); empty where no model asked where to look.
"""
BOXES = """
`boxes`: where people say that the model should have looked, as shares of the picture's width and
height; `looked` names the place of the grid that counted most. Nobody judged them.
"""

NAMES = {
    "candidate": "candidates",
    "item": "items",
    "written": "written",
    "tombstone": "withdrawn",
}


def require_parquet() -> None:
    """Raises SetupError, in one sentence, where pyarrow is not installed."""
    require_packages(["pyarrow"], who="Parquet", how="pip install 'illume[parquet]'")


def build_parquet(payloads: Iterable[Json], release: Json, folder: Path) -> list[Entry]:
    """Writes every row of the release, each kind into files of its own."""
    require_parquet()
    pictures = _Pictures(release)
    with ExitStack() as stack:
        files: dict[str, _File] = {}
        kinds: dict[str, str] = {}
        for payload in payloads:
            name = _file_of(payload)
            kinds[name] = payload["kind"]
            if name not in files:
                path = folder / name
                path.parent.mkdir(exist_ok=True)
                files[name] = stack.enter_context(_File(path, columns_of(payload["kind"], release)))
            row = _row(payload, release)
            files[name].add(row, pictures.of(payload))
        if not any(name.startswith("rationales/") for name in files):
            kinds["rationales/train.parquet"] = "rationale"
            path = folder / "rationales/train.parquet"
            path.parent.mkdir(exist_ok=True)
            files["rationales/train.parquet"] = stack.enter_context(
                _File(path, columns_of("rationale", release))
            )
    splits = {
        split.value: f"rationales/{split.value}.parquet"
        for split in Split
        if f"rationales/{split.value}.parquet" in files
    }
    others = [name for name in NAMES.values() if f"{name}.parquet" in files]
    configurations = [
        ("default", splits),
        *((name, {Split.TRAIN.value: f"{name}.parquet"}) for name in others),
    ]
    write_json(folder / "release.json", release)
    listed = FILES + (LOOKS if release["figures"].get("looks") else "")
    listed += BOXES if release["figures"].get("boxes") else ""
    listed += PICTURES_FILES if "pictures" in release else ""
    text = render_readme(
        release,
        front_matter=front_matter(release, configurations, tags=TAGS),
        files=listed,
    )
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
    own = [*sorted(files), "release.json", "README.md"]
    tables = [
        Table(name.removesuffix(".parquet"), name, plain_columns(kind))
        for name, kind in sorted(kinds.items())
    ]
    return [
        *(Entry(name, folder / name) for name in own),
        *describe_files(release, folder, tables),
        *guidelines_entries(release),
    ]


def _file_of(payload: Json) -> str:
    if payload["kind"] == "rationale":
        return f"rationales/{payload['split']}.parquet"
    return f"{NAMES[payload['kind']]}.parquet"


def _row(payload: Json, release: Json) -> Json:
    row = dict(payload)
    if "image" in row:
        row["image_sha256"] = row.pop("image")
    if "rationale" in payload:
        row["prompt"] = asked(payload)
        row["completion"] = answered(payload, own_opener(payload, release))
    for draw in row.get("draws", ()):
        # Of the first format, which called it otherwise.
        draw.setdefault("opener", draw.get("prompt"))
    return row


class _Pictures:
    """Makes the pictures of rows; the last one is kept, since rows of an item follow each other."""

    def __init__(self, release: Json) -> None:
        self._release = release
        self._last: tuple[str, bytes] = ("", b"")

    def of(self, payload: Json) -> Json | None:
        """Returns the picture of a row as `datasets` keeps them, or None where rows have none."""
        if "image" not in COLUMNS[payload["kind"]]:
            return None
        entry = image_entry(payload, self._release, "images")
        if entry.name != self._last[0]:
            self._last = (entry.name, entry.read())
        return {"bytes": self._last[1], "path": payload["image_file"]}


class _File:
    """A Parquet file that is written a group of rows at a time."""

    def __init__(self, path: Path, columns: Mapping[str, Any]) -> None:
        import pyarrow
        import pyarrow.parquet

        features = {name: _feature(kind) for name, kind in columns.items()}
        described = json.dumps({"info": {"features": features}}, sort_keys=True)
        self._columns = columns
        self._schema = pyarrow.schema(
            [(name, _arrow(kind)) for name, kind in columns.items()],
            metadata={"huggingface": described},
        )
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[Json] = []
        self._n_bytes = 0

    def __enter__(self) -> Self:
        return self

    def add(self, row: Json, picture: Json | None) -> None:
        values = {name: _value(row.get(name), kind) for name, kind in self._columns.items()}
        if picture is not None:
            values["image"] = picture
            self._n_bytes += len(picture["bytes"])
        self._rows.append(values)
        if len(self._rows) >= ROWS_IN_ONE_GROUP or self._n_bytes >= BYTES_IN_ONE_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        table = pyarrow.Table.from_pylist(self._rows, schema=self._schema)
        self._writer.write_table(table, row_group_size=ROWS_IN_ONE_GROUP)
        self._rows, self._n_bytes = [], 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._rows and error is None:
            self._flush()
        self._writer.close()


def _value(value: Any, kind: Any) -> Any:
    """A column never lacks a value that can be said: texts are empty and lists have no entries."""
    if kind == "json":
        return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if kind == "bool":
        return bool(value)
    if kind == "string":
        return value or ""
    if isinstance(kind, list):
        return value or []
    return value


def _arrow(kind: Any) -> Any:
    """Returns the type of a column for pyarrow."""
    import pyarrow

    if isinstance(kind, list):
        return pyarrow.list_(_arrow(kind[0]))
    if isinstance(kind, dict):
        return pyarrow.struct([(name, _arrow(part)) for name, part in kind.items()])
    if kind == "picture":
        return pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    types = {
        "string": pyarrow.string(),
        "json": pyarrow.string(),
        "int": pyarrow.int64(),
        "float": pyarrow.float64(),
        "bool": pyarrow.bool_(),
    }
    return types[kind]


def _feature(kind: Any) -> Json:
    """Returns the type of a column for `datasets`."""
    if isinstance(kind, list):
        return {"feature": _feature(kind[0]), "_type": "List"}
    if isinstance(kind, dict):
        return {name: _feature(part) for name, part in kind.items()}
    if kind == "picture":
        return {"_type": "Image"}
    names = {"string": "string", "json": "string", "int": "int64", "float": "float64"}
    return {"dtype": names.get(kind, kind), "_type": "Value"}
