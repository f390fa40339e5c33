"""Describes the files of a release in Croissant, the JSON-LD that searches and loaders of data sets
read: what each file holds, and what is said of the data in the words of responsible AI.

Columns that hold lists or objects are left out: they are described in docs/data.md.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.models import Json
from app.services.releases.formats.front_matter import TAGS
from app.services.releases.formats.limits import known_limits
from app.services.releases.formats.packing import Entry
from app.services.releases.formats.writing import write_json

NAME = "croissant.json"
_BLOCK = 1 << 20
_ENCODINGS = {
    ".jsonl": "application/jsonlines",
    ".json": "application/json",
    ".parquet": "application/x-parquet",
}
_TYPES = {"string": "sc:Text", "int": "sc:Integer", "float": "sc:Float", "bool": "sc:Boolean"}

# The words of the standard, each with where it is defined.
_WORDS = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject"),
    *("fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField"),
    *("path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
    *("separator", "source", "subField", "transform"),
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{word: f"cr:{word}" for word in _WORDS},
}
_CONFORMS_TO = [
    "http://mlcommons.org/croissant/1.0",
    "http://mlcommons.org/croissant/RAI/1.0",
]


@dataclass(frozen=True)
class Table:
    """A file with rows. name: of the set of rows; columns: the types of those that are told."""

    name: str
    file: str
    columns: Mapping[str, str]


def is_described(release: Json) -> bool:
    """Whether the files of a release are described so; older releases stay the same bytes."""
    return int(release.get("format", 1)) > 3


def describe_files(
    release: Json, folder: Path, tables: Sequence[Table], pictures: Iterable[str] = ()
) -> list[Entry]:
    """Writes the description of these files; nothing for older releases. pictures: the folders that
    hold any."""
    if not is_described(release):
        return []
    figures = release["figures"]
    name = f"{release['project']}, release {release['number']}"
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": release["description"].strip()
        or "Rationales for questions about pictures, judged by people or critics.",
        "conformsTo": _CONFORMS_TO,
        "citeAs": f"{name}. Content hash {release['content_hash']}.",
        "license": release["licence"].strip() or "unknown",
        "version": f"{release['number']}.0.0",
        "datePublished": release["released_on"],
        "keywords": list(TAGS),
        "distribution": [
            *(_file(folder, table) for table in tables),
            *(_pictures(place) for place in pictures),
        ],
        "recordSet": [_rows(table) for table in tables],
        "rai:dataCollection": "A vision-language model wrote rationales for an answer to a "
        "question about a picture; judges picked those that fit, and a policy admitted them.",
        "rai:dataAnnotationProtocol": [
            f"Guidelines of the annotators, version {release['guidelines_version']}: "
            + (release["guidelines"].strip() or "none."),
            *(f"Round {one['number']} admitted by {one['policy']}." for one in release["rounds"]),
        ],
        "rai:annotationsPerItem": ", ".join(
            f"round {one['number']}: {one['overlap']}" for one in release["rounds"]
        ),
        "rai:dataAnnotationPlatform": ["ILLUME"],
        "rai:machineAnnotationTools": [f"critic {name}" for name in figures["critics"]["names"]],
        "rai:dataLimitations": known_limits(release),
        "rai:personalSensitiveInformation": [
            "Annotators appear under pseudonyms; pictures hold no notes of a camera."
        ],
    }
    write_json(folder / NAME, {key: value for key, value in content.items() if value != []})
    return [Entry(NAME, folder / NAME)]


def _file(folder: Path, table: Table) -> Json:
    return {
        "@type": "cr:FileObject",
        "@id": table.file,
        "name": table.file,
        "contentUrl": table.file,
        "encodingFormat": _ENCODINGS[Path(table.file).suffix],
        "sha256": _digest(folder / table.file),
    }


def _pictures(place: str) -> Json:
    return {
        "@type": "cr:FileSet",
        "@id": place,
        "name": place,
        "encodingFormat": "image/*",
        "includes": f"{place}/*",
    }


def _rows(table: Table) -> Json:
    is_list = table.file.endswith(".json")
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{table.name}/{column}",
                "name": f"{table.name}/{column}",
                "dataType": _TYPES[kind],
                "source": {
                    "fileObject": {"@id": table.file},
                    "extract": {"jsonPath": f"$[*].{column}"} if is_list else {"column": column},
                },
            }
            for column, kind in table.columns.items()
        ],
    }


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
