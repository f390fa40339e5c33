"""Rows as programs write them, brought to our columns: of releases, of A-OKVQA, of picture folders.

A picture folder of `datasets` calls the picture `file_name`, and its split by its folder.
"""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from app.kit.sentences import Sentence
from app.lifecycle import Split
from app.services.dataset.formats.pictures import Picture, asks_nothing, check_picture
from app.services.dataset.formats.problems import Place, Problems
from app.services.dataset.formats.published import a_okvqa
from app.services.dataset.formats.published.released import as_item, is_released, refuse_partial
from app.services.dataset.formats.rows import (
    SPLITS,
    BadField,
    ColumnCheck,
    Row,
    check_row,
    column_of,
    describe,
)

FILE_NAME = "file_name"


def read_values(
    place: Place,
    values: Mapping[str, Any],
    columns: ColumnCheck,
    problems: Problems,
    *,
    may_be_published: bool = False,
) -> Row | Picture | None:
    """Returns the checked row of values by their column, a picture where the row asks nothing of
    it, or None after its problems were added. may_be_published: columns of A-OKVQA are read,
    too."""
    names = frozenset(values)
    try:
        refuse_partial(names)
        if is_released(names):
            return _released(place, values, problems)
        if may_be_published and names >= a_okvqa.COLUMNS:
            published = {**a_okvqa.as_item(values), "image": values.get("image")}
            return check_row(place, published, problems)
    except BadField as error:
        problems.add(place, error.problem)
        return None
    named = _with_our_names(values)
    if asks_nothing(named):
        return check_picture(place, named, problems)
    return check_row(place, named, problems) if columns.look_at(place, named) else None


def _released(place: Place, values: Mapping[str, Any], problems: Problems) -> Row | None:
    row = check_row(place, as_item(values), problems)
    if row is None:
        return None
    imported = values.get("image_sha256")
    if not isinstance(imported, str):
        problem = Sentence(
            "image_sha256 must be a text, but is %(value)s", value=describe(imported)
        )
        problems.add(place, problem)
        return None
    name = values.get("image_name")
    return row.of_release(imported, name if isinstance(name, str) and name else None)


def _with_our_names(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row by the names of our columns, where they are only written a little differently."""
    named = dict(zip(our_names(values), values.values(), strict=True))
    return named if len(named) == len(values) else values


def our_names(names: Iterable[str]) -> list[str]:
    """Returns columns by our names; a picture folder calls the picture `file_name`."""
    found = [column_of(name) for name in names]
    if "image" in found:
        return found
    return ["image" if name == FILE_NAME else name for name in found]


def split_of_folder(path: str) -> Split | None:
    """Returns the split that a file says it holds: by its folder, or by how its name begins, as
    `data/train-00000-of-00002.parquet` does.
    """
    parent = PurePosixPath(path).parent.name.lower()
    if parent in SPLITS:
        return SPLITS[parent]
    start = PurePosixPath(path).stem.lower().split("-")[0]
    return SPLITS.get(start)
