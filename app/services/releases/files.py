"""The files that a release can be downloaded as: a format, and where it compares texts, by whose
word."""

from dataclasses import dataclass
from pathlib import Path

from app.kit.storage import release_path
from app.lifecycle import DecidedBy, ReleaseFormat
from app.models import Release

COMPARING = (ReleaseFormat.PREFERENCE, ReleaseFormat.KTO)
"""Formats in which somebody's word decides."""


@dataclass(frozen=True)
class ReleaseFile:
    """One file to download; `by` means nothing where nothing is compared."""

    format: ReleaseFormat
    by: DecidedBy = DecidedBy.JUDGEMENT

    @property
    def name(self) -> str:
        """Its name in addresses and in the store: `parquet`, `preference-judgement`."""
        return f"{self.format}-{self.by}" if self.format in COMPARING else self.format.value


FILES = {
    file.name: file
    for format in ReleaseFormat
    for file in (
        [ReleaseFile(format, by) for by in DecidedBy]
        if format in COMPARING
        else [ReleaseFile(format)]
    )
}
"""All of them by their names, in the order in which pages list them."""
USUAL_FILES = (ReleaseFormat.JSONL.value, ReleaseFormat.HUGGINGFACE.value)
"""What is built where nobody says otherwise."""


def archive_path(release: Release, file: ReleaseFile) -> Path:
    """Returns the path of the file for downloading; it is there once a run has built it."""
    return release_path(
        release.project_id, release.number, release.content_hash, f"{file.name}.zip"
    )
