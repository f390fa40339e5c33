"""The files of an import: which of them hold rows, and where the pictures of those rows may lie.

A folder is read as a zip file is. Of a release, the files that hold its items are read; of other
folders and zips, every file whose name ends as a data file's.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import IO

from app.kit.sentences import Amount, Sentence
from app.kit.settings import get_settings
from app.lifecycle import DataFormat
from app.run_results import WorkProgress
from app.services.dataset.formats.archives import (
    MAX_MEMBERS,
    MAX_UNPACKED_FACTOR,
    Archive,
    is_clutter,
)
from app.services.dataset.formats.columns import split_of_folder
from app.services.dataset.formats.images import ArchiveSource, FolderSource, ImageSource
from app.services.dataset.formats.jsonl import read_jsonl
from app.services.dataset.formats.names import NameIndex, composed
from app.services.dataset.formats.parquet import ParquetFile, ParquetImages
from app.services.dataset.formats.pictures import Picture, is_picture, list_pictures
from app.services.dataset.formats.problems import Problems
from app.services.dataset.formats.published.a_okvqa import read_a_okvqa
from app.services.dataset.formats.published.act_x import read_act_x
from app.services.dataset.formats.published.clevr_x import read_clevr_x
from app.services.dataset.formats.published.layouts import read_published
from app.services.dataset.formats.published.released import files_with_items, is_called
from app.services.dataset.formats.published.vqa_x import MAX_FILE_BYTES, read_vqa_x
from app.services.dataset.formats.rows import Row
from app.services.dataset.formats.table import read_csv
from app.services.refusals import WrongFile

Progress = Callable[[WorkProgress], None]
Reader = Callable[[IO[bytes], str, Problems], Iterator[Row | Picture]]
SourcedRow = tuple[Row | Picture, list[ImageSource]]
"""A row, or a picture without a question, with the places in which its picture may lie."""

READERS: dict[DataFormat, Reader] = {
    DataFormat.JSONL: read_jsonl,
    DataFormat.CSV: read_csv,
    DataFormat.VQA_X: read_vqa_x,
    DataFormat.A_OKVQA: read_a_okvqa,
    DataFormat.ACT_X: read_act_x,
    DataFormat.CLEVR_X: read_clevr_x,
}
READER_OF_SUFFIX: dict[str, Reader] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".json": read_published,
}
PARQUET = ".parquet"
_NO_ROWS = ("release.json", "dataset_info.json", "dataset_infos.json", "croissant.json")
"""Descriptions of data sets, which look like data files by their names."""
_PICTURE_FOLDER = "metadata"
"""The file of a picture folder, whose rows say their split by where it lies."""


@dataclass(frozen=True)
class SourceFile:
    """A file to import: where it lies, how it is called, and where its images may lie."""

    path: Path
    name: str
    image_folders: tuple[Path, ...]


class Folder:
    """A folder with the files in it, at any depth; what is hidden does not count."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.members: dict[str, Path] = {}
        for file in sorted(path.rglob("*")):
            member = composed(file.relative_to(path).as_posix())
            if file.is_file() and not is_clutter(member):
                self.members[member] = file
            if len(self.members) > MAX_MEMBERS:
                raise WrongFile(
                    Sentence(
                        "%(file)s holds more than %(most)s files.",
                        file=name,
                        most=Amount(MAX_MEMBERS),
                    )
                )
        self.names = NameIndex(self.members)

    @contextmanager
    def open(self, member: str, limit: int) -> Iterator[IO[bytes]]:
        """Read a file as a stream. Raises InvalidInput when it is above `limit`."""
        path = self.members[member]
        n_bytes = path.stat().st_size
        if n_bytes > limit:
            raise WrongFile(
                Sentence(
                    "%(member)s in %(file)s has %(n)s bytes; at most %(most)s are allowed.",
                    member=member,
                    file=self.name,
                    n=Amount(n_bytes),
                    most=Amount(limit),
                )
            )
        with path.open("rb") as stream:
            yield stream

    def read(self, member: str, limit: int) -> bytes:
        """Returns the bytes of a file. Raises InvalidInput when it is above `limit`."""
        with self.open(member, limit) as stream:
            return stream.read()


def check_file(source: SourceFile) -> None:
    """Raises InvalidInput where a source is no file, is empty, or is larger than imports may be."""
    if source.path.is_dir():
        raise WrongFile(
            Sentence("%(file)s is a folder. Name the data file in it.", file=source.name)
        )
    if not source.path.is_file():
        raise WrongFile(Sentence("There is no file %(file)s.", file=source.name))
    limit = get_settings().max_upload_mb
    if source.path.stat().st_size > limit << 20:
        raise WrongFile(
            Sentence("%(file)s is larger than %(n)s MB (MAX_UPLOAD_MB).", file=source.name, n=limit)
        )
    if source.path.stat().st_size == 0:
        raise WrongFile(Sentence("Nothing was imported: %(file)s is empty.", file=source.name))


def read_rows(
    sources: Sequence[SourceFile],
    format: DataFormat,
    problems: Problems,
    notes: list[str],
    stack: ExitStack,
) -> list[SourcedRow]:
    """Returns the rows of all files; what is wrong with single ones is added to the problems.
    Where no file holds rows, the pictures of folders and zips are what is imported, and `notes`
    gets what was left out.

    `stack` holds what must stay open for as long as pictures are read.
    """
    opened = _open_archives(sources, format, stack)
    shared: list[ImageSource] = [ArchiveSource(archive) for archive in opened.values()]
    rows: list[SourcedRow] = []
    for source in sources:
        if source in opened:
            named = [FolderSource(source.image_folders)] if source.path.is_dir() else []
            others = [*shared, *(named if source.image_folders else [])]
            rows += _read_archive(opened[source], others, format, problems, stack)
        else:
            rows += _read_file(source, format, shared, problems, stack)
    if len(opened) == len(sources) and not any(map(_data_files, opened.values())):
        rows = [found for archive in opened.values() for found in list_pictures(archive, notes)]
    return rows


def _open_archives(
    sources: Sequence[SourceFile], format: DataFormat, stack: ExitStack
) -> dict[SourceFile, Archive | Folder]:
    archives: dict[SourceFile, Archive | Folder] = {}
    for source in sources:
        if source.path.is_dir():
            archives[source] = Folder(source.path, source.name)
            continue
        check_file(source)
        if format is DataFormat.ZIP or source.name.lower().endswith(".zip"):
            archive = Archive(source.path, source.name)
            stack.callback(archive.close)
            archives[source] = archive
    return archives


def _reader_of(name: str, format: DataFormat) -> Reader:
    if format in READERS:
        return READERS[format]
    known = READER_OF_SUFFIX.get(PurePosixPath(name).suffix.lower())
    if known is None and is_picture(name):
        raise WrongFile(
            Sentence(
                "%(file)s is a picture. Put pictures that come without rows into a zip, or into a "
                "folder, and import that.",
                file=name,
            )
        )
    if known is None:
        raise WrongFile(
            Sentence(
                "The format of %(file)s cannot be told from its name. Say which it is: "
                "%(formats)s.",
                file=name,
                formats=", ".join(format for format in DataFormat if format is not DataFormat.AUTO),
            )
        )
    return known


def _is_parquet(name: str, format: DataFormat) -> bool:
    if format in READERS:
        return False
    return format is DataFormat.PARQUET or name.lower().endswith(PARQUET)


def _read_file(
    source: SourceFile,
    format: DataFormat,
    shared: Sequence[ImageSource],
    problems: Problems,
    stack: ExitStack,
) -> list[SourcedRow]:
    sources = list(shared)
    if source.image_folders:
        sources.insert(0, FolderSource(source.image_folders))
    if _is_parquet(source.name, format):
        rows = _read_parquet(source.path, source.name, sources, problems, stack)
    else:
        reader = _reader_of(source.name, format)
        with source.path.open("rb") as stream:
            rows = [(row, sources) for row in reader(stream, source.name, problems)]
    return _with_split(rows, f"{source.path.parent.name}/{source.name}")


def _read_archive(
    archive: Archive | Folder,
    shared: Sequence[ImageSource],
    format: DataFormat,
    problems: Problems,
    stack: ExitStack,
) -> list[SourcedRow]:
    """Rows of every data file in the archive; one that holds only images is fine too."""
    rows: list[SourcedRow] = []
    for member in _data_files(archive):
        path = PurePosixPath(member)
        folder = "" if path.parent == PurePosixPath() else f"{path.parent}/"
        sources = [ArchiveSource(archive, folder), *shared]
        name = f"{archive.name}/{member}"
        if path.suffix.lower() == PARQUET:
            limit = MAX_UNPACKED_FACTOR * (get_settings().max_upload_mb << 20)
            with archive.open(member, limit) as stream:
                copy = stack.enter_context(NamedTemporaryFile(suffix=PARQUET))  # noqa: SIM115
                shutil.copyfileobj(stream, copy)
                copy.flush()
            found = _read_parquet(Path(copy.name), name, sources, problems, stack)
        else:
            by_name = READER_OF_SUFFIX[path.suffix.lower()]
            reader = READERS.get(format, by_name) if by_name is read_published else by_name
            with archive.open(member, MAX_FILE_BYTES) as stream:
                found = [(row, sources) for row in reader(stream, name, problems)]
        rows += _with_split(found, name)
    return rows


def _data_files(archive: Archive | Folder) -> list[str]:
    names = sorted(archive.members)
    released = files_with_items(names)
    if released is not None:
        return released
    return [
        name
        for name in names
        if PurePosixPath(name).suffix.lower() in {*READER_OF_SUFFIX, PARQUET}
        and not any(is_called(name, description) for description in _NO_ROWS)
    ]


def _read_parquet(
    path: Path,
    name: str,
    sources: Sequence[ImageSource],
    problems: Problems,
    stack: ExitStack,
) -> list[SourcedRow]:
    file = ParquetFile(path, name)
    stack.callback(file.close)
    own = [ParquetImages(file), *sources]
    return [(row, own) for row in file.read_rows(problems)]


def _with_split(rows: Iterable[SourcedRow], path: str) -> list[SourcedRow]:
    """Rows of picture folders and Parquet files that name no split have that of their place."""
    place = PurePosixPath(path)
    says = place.stem.lower() == _PICTURE_FOLDER or place.suffix.lower() == PARQUET
    split = split_of_folder(path) if says else None
    if split is None:
        return list(rows)
    return [
        (row if row.split is not None else replace(row, split=split), sources)
        for row, sources in rows
    ]
