"""The pictures of a release, made from those in the store."""

from dataclasses import replace
from pathlib import Path

from app.kit.errors import SetupError
from app.kit.sentences import Sentence
from app.kit.storage import EXTENSIONS, MEDIA_TYPES, image_path
from app.models import Json
from app.pictures.files import show, shown_type
from app.pictures.seeing import PictureError
from app.services.releases.formats.packing import Entry

PICTURES_FILES = """
Pictures stand upright and hold nothing but their pixels: no position, no notes of a camera.
`image_sha256` names the file that was imported, from which each of them was made.
"""


def image_entry(payload: Json, release: Json, folder: str) -> Entry:
    """Returns the picture of a row; as it was imported in releases of before pictures lost their
    notes.
    """
    file = payload["image_file"]
    media_type = MEDIA_TYPES[Path(file).suffix]
    name = f"{folder}/{file}"
    if "pictures" not in release:
        return Entry(name, image_path(payload["image"], media_type))
    stored_as = [
        image_path(payload["image"], stored)
        for stored in EXTENSIONS
        if shown_type(stored) == media_type
    ]
    source = next((path for path in stored_as if path.is_file()), stored_as[0])
    return Entry(name, source, _shown)


def guidelines_files(release: Json) -> dict[int, str]:
    """Returns the path in a release of each picture that its guidelines show, by its number."""
    return {
        one["number"]: f"guidelines/{one['number']}{Path(one['image_file']).suffix}"
        for one in release.get("guidelines_pictures", ())
    }


def guidelines_entries(release: Json) -> list[Entry]:
    """Returns the pictures that the guidelines of a release show."""
    files = guidelines_files(release)
    return [
        replace(image_entry(one, release, "guidelines"), name=files[one["number"]])
        for one in release.get("guidelines_pictures", ())
    ]


def _shown(path: Path) -> bytes:
    try:
        return show(path.read_bytes()).content
    except PictureError as error:
        raise SetupError(
            Sentence(
                "The image %(file)s of this release cannot be read: %(error)s Import the dataset "
                "again, or exclude the items that show it.",
                file=path.name,
                error=error.reason,
            )
        ) from error
