"""Parquet: typed columns, with pictures in the rows or by name.

A picture in a row is a struct of `bytes` and `path`, as `datasets` writes them. Rows are read a
batch at a time; pictures are found again by the group of rows that they stand in. Needs pyarrow,
which comes with the extra `parquet`.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

from app.kit.processes.programs import require_packages
from app.kit.sentences import Amount, Sentence
from app.services.dataset.formats.columns import read_values
from app.services.dataset.formats.images import MAX_IMAGE_BYTES, BadImage
from app.services.dataset.formats.names import NameIndex
from app.services.dataset.formats.pictures import Picture
from app.services.dataset.formats.problems import Place, Problems
from app.services.dataset.formats.rows import ColumnCheck, Row
from app.services.refusals import WrongFile

_BATCH = 100
_PICTURE = frozenset({"bytes", "path"})


def require_parquet() -> None:
    """Raises SetupError, in one sentence, where pyarrow is not installed."""
    require_packages(["pyarrow"], who="Parquet", how="pip install 'illume[parquet]'")


class ParquetFile:
    """A Parquet file whose rows are read once, and its pictures whenever they are wanted."""

    def __init__(self, path: Path, name: str) -> None:
        require_parquet()
        import pyarrow
        import pyarrow.parquet

        self.label = name
        self.places: dict[str, tuple[int, int]] = {}
        """The group of rows, and the row in it, of each picture by the name that it has here."""
        self._digests: dict[str, bytes] = {}
        try:
            self._file = pyarrow.parquet.ParquetFile(path)
        except (pyarrow.ArrowException, OSError) as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Lets go of the file; its pictures cannot be read any more."""
        self._file.close()

    def read_rows(self, problems: Problems) -> Iterator[Row | Picture]:
        """Yields the checked rows."""
        import pyarrow

        columns = ColumnCheck(problems)
        number = 0
        try:
            for group in range(self._file.num_row_groups):
                at = 0
                for batch in self._file.iter_batches(batch_size=_BATCH, row_groups=[group]):
                    for values in batch.to_pylist():
                        number += 1
                        given = self._with_picture(values, (group, at), number)
                        at += 1
                        place = Place(self.label, number, "row")
                        row = read_values(place, given, columns, problems, may_be_published=True)
                        if row is not None:
                            yield row
        except (pyarrow.ArrowException, OSError) as error:
            raise self._refused(error) from error
        columns.report()

    def read_group(self, group: int) -> Any:
        """Returns the column `image` of a group of rows."""
        return self._file.read_row_group(group, columns=["image"]).column("image")

    def _refused(self, error: Exception) -> WrongFile:
        return WrongFile(
            Sentence(
                "%(file)s is no readable Parquet file (%(error)s).",
                file=self.label,
                error=" ".join(str(error).split())[:200],
            )
        )

    def _with_picture(
        self, values: dict[str, Any], place: tuple[int, int], number: int
    ) -> dict[str, Any]:
        """The row with the name of its picture in the place of the picture itself."""
        picture = values.get("image")
        if not isinstance(picture, dict) or not picture.keys() <= _PICTURE:
            return values
        content = picture.get("bytes")
        if not isinstance(content, bytes):
            return {**values, "image": picture.get("path")}
        path = str(picture.get("path") or "")
        return {**values, "image": self._keep(path, content, place, number)}

    def _keep(self, path: str, content: bytes, place: tuple[int, int], number: int) -> str:
        """Returns the name under which a picture is found: its own, where no other picture of this
        file has it.
        """
        digest = hashlib.sha256(content).digest()
        last = PurePosixPath(path.replace("\\", "/")).name
        name = last or f"row-{number}"
        if self._digests.get(name, digest) != digest:
            name = f"row-{number}-{last}"
        self.places.setdefault(name, place)
        self._digests.setdefault(name, digest)
        return name


class ParquetImages:
    """The pictures in a Parquet file whose rows were read, as a source of images."""

    def __init__(self, file: ParquetFile) -> None:
        self.label = file.label
        self._file = file
        self._lock = Lock()
        self._held: tuple[int, Any] = (-1, None)

    def find(self, names: tuple[str, ...]) -> str | None:
        """Returns the name by which `read` finds the first of `names` that is there."""
        return next((name for name in names if name in self._file.places), None)

    def near(self, names: tuple[str, ...]) -> str | None:
        """Returns the name of a picture that may be meant instead."""
        index = NameIndex(self._file.places)
        found = (index.near(name) for name in names)
        return next((name for name in found if name is not None), None)

    def read(self, name: str) -> bytes:
        """Returns the bytes of a picture. Raises BadImage when it is too large."""
        group, row = self._file.places[name]
        with self._lock:  # several pictures are checked at a time
            if self._held[0] != group:
                self._held = (group, self._file.read_group(group))
            content: bytes = self._held[1][row].as_py()["bytes"]
        if len(content) > MAX_IMAGE_BYTES:
            raise BadImage(
                Sentence(
                    "has %(n)s bytes; at most %(most)s are allowed",
                    n=Amount(len(content)),
                    most=Amount(MAX_IMAGE_BYTES),
                )
            )
        return content
