"""Reads files into a checked dataset; nothing is stored here.

Everything that can be wrong without looking into the database is found in two passes: fields, ids
and missing images first, then the images themselves and their splits. Each pass tells all it found.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Self

from app.kit.sentences import Amount, CountedSentence, Sentence
from app.kit.settings import get_settings
from app.lifecycle import DataFormat, Split
from app.run_results import WorkProgress
from app.services.dataset.formats.archives import Archive
from app.services.dataset.formats.images import (
    ArchiveSource,
    BadImage,
    FolderSource,
    ImageSource,
    ParsedImage,
    verify_image,
)
from app.services.dataset.formats.jsonl import read_jsonl
from app.services.dataset.formats.problems import Place as FilePlace
from app.services.dataset.formats.problems import Problems
from app.services.dataset.formats.rows import Row
from app.services.dataset.formats.table import read_csv
from app.services.dataset.formats.vqa_x import MAX_FILE_BYTES, read_vqa_x
from app.services.refusals import WrongFile

Progress = Callable[[WorkProgress], None]
Reader = Callable[[IO[bytes], str, Problems], Iterator[Row]]
Place = tuple[ImageSource, str]


READERS: dict[DataFormat, Reader] = {
    DataFormat.JSONL: read_jsonl,
    DataFormat.CSV: read_csv,
    DataFormat.VQA_X: read_vqa_x,
}
FORMAT_OF_SUFFIX = {
    ".jsonl": DataFormat.JSONL,
    ".ndjson": DataFormat.JSONL,
    ".csv": DataFormat.CSV,
    ".tsv": DataFormat.CSV,
    ".json": DataFormat.VQA_X,
}


@dataclass(frozen=True)
class SourceFile:
    """A file to import: where it lies, how it is called, and where its images may lie."""

    path: Path
    name: str
    image_folders: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class ParsedItem:
    row: Row
    image_sha256: str


@dataclass(frozen=True)
class ParsedDataset:
    """Checked items with verified images. Close it: it keeps the zip files open."""

    items: tuple[ParsedItem, ...]
    images: Mapping[str, ParsedImage]
    splits: Mapping[str, tuple[Split, FilePlace]]
    """The split of each image that the file names one for, and the row that does."""
    warnings: tuple[str, ...]
    resources: ExitStack

    def close(self) -> None:
        self.resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_sources(
    sources: Sequence[SourceFile], *, format: DataFormat, progress: Progress | None = None
) -> ParsedDataset:
    """Read and check everything. Raises InvalidInput with all that is wrong."""
    with ExitStack() as stack:
        rows: list[tuple[Row, list[ImageSource]]] = []
        problems = Problems()
        archives = _open_archives(sources, format, stack)
        shared: list[ImageSource] = [ArchiveSource(archive) for archive in archives.values()]
        for source in sources:
            if source in archives:
                rows += _read_archive(archives[source], shared, problems)
            else:
                rows += _read_file(source, format, shared, problems)
        if not rows and not problems.count:
            names = ", ".join(source.name for source in sources)
            raise WrongFile(
                Sentence(
                    "Nothing was imported: there are no rows in %(files)s. Rows come from files "
                    "that end in .jsonl, .csv or .json, alone or in a zip.",
                    files=names,
                )
            )
        _check_ids([row for row, _ in rows], problems)
        places = _find_images(rows, problems)
        problems.raise_if_any()

        images = _verify_images(rows, places, problems, progress)
        problems.raise_if_any()
        items = tuple(
            ParsedItem(row, images[place].sha256)
            for (row, _), place in zip(rows, places, strict=True)
            if place is not None
        )
        splits = _collect_splits(items, problems)
        problems.raise_if_any()
        return ParsedDataset(
            items=items,
            images={image.sha256: image for image in images.values()},
            splits=splits,
            warnings=(*_warnings(items), *_notes_on_images(list(images.values()))),
            resources=stack.pop_all(),
        )


def _open_archives(
    sources: Sequence[SourceFile], format: DataFormat, stack: ExitStack
) -> dict[SourceFile, Archive]:
    archives = {}
    for source in sources:
        check_file(source)
        if format is DataFormat.ZIP or source.name.lower().endswith(".zip"):
            archive = Archive(source.path, source.name)
            stack.callback(archive.close)
            archives[source] = archive
    return archives


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


def _format_of(name: str, format: DataFormat) -> DataFormat:
    if format in READERS:
        return format
    known = FORMAT_OF_SUFFIX.get(PurePosixPath(name).suffix.lower())
    if known is None:
        raise WrongFile(
            Sentence(
                "The format of %(file)s cannot be told from its name. Say which it is: jsonl, csv, "
                "zip or vqa-x.",
                file=name,
            )
        )
    return known


def _read_file(
    source: SourceFile, format: DataFormat, shared: Sequence[ImageSource], problems: Problems
) -> list[tuple[Row, list[ImageSource]]]:
    sources = list(shared)
    if source.image_folders:
        sources.insert(0, FolderSource(source.image_folders))
    reader = READERS[_format_of(source.name, format)]
    with source.path.open("rb") as stream:
        return [(row, sources) for row in reader(stream, source.name, problems)]


def _read_archive(
    archive: Archive, shared: Sequence[ImageSource], problems: Problems
) -> list[tuple[Row, list[ImageSource]]]:
    """Rows of every data file in the archive; one that holds only images is fine too."""
    rows: list[tuple[Row, list[ImageSource]]] = []
    for member in sorted(archive.members):
        path = PurePosixPath(member)
        format = FORMAT_OF_SUFFIX.get(path.suffix.lower())
        if format is None:
            continue
        folder = "" if path.parent == PurePosixPath() else f"{path.parent}/"
        sources = [ArchiveSource(archive, folder), *shared]
        name = f"{archive.name}/{member}"
        with archive.open(member, MAX_FILE_BYTES) as stream:
            rows += [(row, sources) for row in READERS[format](stream, name, problems)]
    return rows


def _check_ids(rows: Sequence[Row], problems: Problems) -> None:
    first: dict[str, FilePlace] = {}
    for row in rows:
        if row.external_id in first:
            problems.add(
                row.place,
                Sentence(
                    "the id %(id)s is taken already by %(place)s",
                    id=repr(row.external_id),
                    place=first[row.external_id].sentence(),
                ),
            )
        else:
            first[row.external_id] = row.place


def _find_images(
    rows: Sequence[tuple[Row, list[ImageSource]]], problems: Problems
) -> list[Place | None]:
    """Returns the place of each row's image; a missing one is told once, with its first row."""
    places: list[Place | None] = []
    missing: set[str] = set()
    for row, sources in rows:
        place = _find_image(row, sources)
        places.append(place)
        if place is None and row.images[0] not in missing:
            missing.add(row.images[0])
            problems.add(row.place, _about_image(row, _missing(row, sources)))
    return places


def _missing(row: Row, sources: Sequence[ImageSource]) -> Sentence:
    """Says where the image was looked for, and names a file that may be meant."""
    if not sources:
        return Sentence("came without a folder or zip of images")
    listed = _listed(list(dict.fromkeys(source.label for source in sources)))
    near = next((name for source in sources if (name := source.near(row.images))), None)
    if near is None:
        return Sentence("is not in %(places)s", places=listed)
    return Sentence("is not in %(places)s; there is %(near)s", places=listed, near=near)


def _about_image(row: Row, fault: Sentence) -> Sentence:
    return Sentence("the image %(subject)s %(fault)s", subject=row.images[0], fault=fault)


def _listed(labels: Sequence[str]) -> str:
    """`a, b, c`, each still to be translated."""
    listed = labels[0]
    for label in labels[1:]:
        listed = Sentence("%(first)s, %(last)s", first=listed, last=label)
    return listed


def _find_image(row: Row, sources: Sequence[ImageSource]) -> Place | None:
    for source in sources:
        name = source.find(row.images)
        if name is not None:
            return source, name
    return None


def _verify_images(
    rows: Sequence[tuple[Row, list[ImageSource]]],
    places: Sequence[Place | None],
    problems: Problems,
    progress: Progress | None,
) -> dict[Place, ParsedImage]:
    """Decode every image once; several at a time, since decoding leaves Python's lock."""
    first_row: dict[Place, Row] = {}
    for (row, _), place in zip(rows, places, strict=True):
        if place is not None:
            first_row.setdefault(place, row)

    def verify(place: Place) -> ParsedImage | Sentence:
        try:
            return verify_image(*place)
        except BadImage as error:
            return error.fault

    images: dict[Place, ParsedImage] = {}
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for done, (place, result) in enumerate(
            zip(first_row, pool.map(verify, first_row), strict=True), start=1
        ):
            if isinstance(result, Sentence):
                row = first_row[place]
                problems.add(row.place, _about_image(row, result))
            else:
                images[place] = result
            if progress and done % 50 == 0:
                progress(
                    WorkProgress(step=Sentence("checking images"), done=done, total=len(first_row))
                )
    return images


def _collect_splits(
    items: Sequence[ParsedItem], problems: Problems
) -> dict[str, tuple[Split, FilePlace]]:
    """The split of each image that has one; two rows that differ are told, both of them."""
    splits: dict[str, tuple[Split, FilePlace]] = {}
    for item in items:
        row = item.row
        if row.split is None:
            continue
        split, place = splits.setdefault(item.image_sha256, (row.split, row.place))
        if split is not row.split:
            problems.add(
                row.place,
                Sentence(
                    "the image %(image)s is in split %(split)s, but in split %(other)s by "
                    "%(place)s. An image can be in one split only",
                    image=row.images[0],
                    split=str(row.split),
                    other=str(split),
                    place=place.sentence(),
                ),
            )
    return splits


def _warnings(items: Sequence[ParsedItem]) -> Iterator[str]:
    n_without = sum(not item.row.gold_rationales for item in items)
    if n_without:
        yield Sentence(
            "%(n)s of %(all)s rows have no rationale: the rouge critic and the text metrics have "
            "nothing to compare with there.",
            n=Amount(n_without),
            all=Amount(len(items)),
        )
    seen: dict[tuple[str, str, str], str] = {}
    doubles = []
    for item in items:
        key = (item.image_sha256, item.row.question, item.row.answer)
        if key in seen:
            doubles.append(
                Sentence("%(id)s (as %(other)s)", id=item.row.external_id, other=seen[key])
            )
        seen.setdefault(key, item.row.external_id)
    if doubles:
        yield CountedSentence(
            "%(n)s row asks the same of the same image as another row: %(rows)s",
            "%(n)s rows ask the same of the same image as another row: %(rows)s",
            n=len(doubles),
            rows=_listed([*doubles[:10], *(["…"] if len(doubles) > 10 else [])]),
        )


def _notes_on_images(images: Sequence[ParsedImage]) -> Iterator[str]:
    n_images = len({image.sha256 for image in images})
    n_positions = len({image.sha256 for image in images if image.has_position})
    if n_positions:
        yield CountedSentence(
            "%(n)s of %(all)s images tells where it was taken (GPS). Nobody is shown that, and it "
            "is in no release; the file as you gave it stays in the store and in backups.",
            "%(n)s of %(all)s images tell where they were taken (GPS). Nobody is shown that, and "
            "it is in no release; the files as you gave them stay in the store and in backups.",
            n=n_positions,
            all=Amount(n_images),
        )
