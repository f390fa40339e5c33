"""Image files: found in folders and archives, and verified before they are taken.

What a person sees and what the model reads must be the same picture: so every image is decoded as
a whole, animated ones are refused, and the size counts as turned by the camera's EXIF note.
"""

import hashlib
import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image, UnidentifiedImageError

from app.errors import InvalidInput
from app.services.import_formats.archives import Archive
from app.storage import image_path
from app.texts import Amount, Sentence

MAX_PIXELS = 50_000_000
MAX_IMAGE_BYTES = 64 << 20
_MOST_MILLIONS = MAX_PIXELS // 1_000_000

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with a preview or a second picture behind the first
    "WEBP": "image/webp",
    "GIF": "image/gif",
}
_TOO_LARGE = Sentence("has more than %(n)s million pixels: make it smaller", n=_MOST_MILLIONS)
_EXIF_ORIENTATION = 0x0112
_TURNED_BY_A_QUARTER = (5, 6, 7, 8)
# What Pillow's decoders raise on damaged files, besides OSError.
_DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError),
    *(AttributeError, OverflowError, struct.error, zlib.error),
)


class BadImage(Exception):
    """Why a file is not taken as an image, as the end of a sentence that names the file."""

    def __init__(self, fault: Sentence) -> None:
        super().__init__(fault)
        self.fault = fault


class ImageSource(Protocol):
    """Where images lie: a folder, or an archive."""

    label: str

    def find(self, names: tuple[str, ...]) -> str | None:
        """The name by which `read` finds the first of `names` that is there."""

    def read(self, name: str) -> bytes:
        """The bytes. Raises BadImage when they cannot be read."""


def _either(folders: Sequence[str]) -> str:
    """`a`, `a or b`, `a or b or c`, with the words between them to be translated."""
    label = folders[0] if folders else ""
    for folder in folders[1:]:
        label = Sentence("%(first)s or %(last)s", first=label, last=folder)
    return label


class FolderSource:
    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.label = _either([str(folder) for folder in folders])
        self._folders = folders

    def find(self, names: tuple[str, ...]) -> str | None:
        for name in names:
            for folder in self._folders:
                if (folder / name).is_file():
                    return str(folder / name)
        return None

    def read(self, name: str) -> bytes:
        path = Path(name)
        try:
            n_bytes = path.stat().st_size
            if n_bytes > MAX_IMAGE_BYTES:
                raise BadImage(
                    Sentence(
                        "has %(n)s bytes; at most %(most)s are allowed",
                        n=Amount(n_bytes),
                        most=Amount(MAX_IMAGE_BYTES),
                    )
                )
            return path.read_bytes()
        except OSError as error:
            raise BadImage(Sentence("cannot be read (%(error)s)", error=error.strerror)) from error


class ArchiveSource:
    def __init__(self, archive: Archive, beside: str = "") -> None:
        """`beside`: the folder in the archive that the data file lies in."""
        self.label = archive.name
        self._archive = archive
        folders = [f"{beside}images/", beside, "images/", ""]
        self._prefixes = tuple(dict.fromkeys(folders))

    def find(self, names: tuple[str, ...]) -> str | None:
        for name in names:
            for prefix in self._prefixes:
                if prefix + name in self._archive.members:
                    return prefix + name
        return None

    def read(self, name: str) -> bytes:
        try:
            return self._archive.read(name, MAX_IMAGE_BYTES)
        except InvalidInput as error:
            raise BadImage(Sentence("cannot be read: %(error)s", error=error.message)) from error


@dataclass(frozen=True, slots=True)
class ParsedImage:
    """A verified image; its bytes stay where they are until they are stored."""

    sha256: str
    media_type: str
    width: int
    height: int
    n_bytes: int
    source: ImageSource
    name: str

    def read(self) -> bytes:
        """The verified bytes. Raises InvalidInput when the file changed in between."""
        try:
            content = self.source.read(self.name)
        except BadImage as error:
            raise InvalidInput(
                Sentence("%(subject)s %(fault)s.", subject=self.name, fault=error.fault)
            ) from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise InvalidInput(
                Sentence("%(file)s was changed while it was imported. Start again.", file=self.name)
            )
        return content


def verify_image(source: ImageSource, name: str) -> ParsedImage:
    """Read and decode one image. Raises BadImage with what is wrong with it."""
    content = source.read(name)
    if not content:
        raise BadImage(Sentence("is empty"))
    sha256 = hashlib.sha256(content).hexdigest()
    image = _open(content)
    media_type = _check_header(image)
    # An image in the store was verified when it came there.
    if not image_path(sha256, media_type).is_file():
        _decode(content)
    width, height = _upright_size(image)
    return ParsedImage(sha256, media_type, width, height, len(content), source, name)


def _open(content: bytes) -> Image.Image:
    """Read the header only."""
    try:
        return Image.open(io.BytesIO(content), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(_TOO_LARGE) from error
    except UnidentifiedImageError as error:
        raise BadImage(Sentence("is no PNG, JPEG, WebP or GIF image, or is damaged")) from error
    except _DAMAGED as error:
        raise BadImage(_damaged(error)) from error


def _damaged(error: BaseException) -> Sentence:
    return Sentence("is damaged (%(error)s)", error=str(error))


def _check_header(image: Image.Image) -> str:
    """The media type of an image that may be decoded."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImage(
            Sentence(
                "has %(width)s × %(height)s pixels and so has more than %(n)s million pixels: make "
                "it smaller",
                width=Amount(width),
                height=Amount(height),
                n=_MOST_MILLIONS,
            )
        )
    try:
        n_frames = getattr(image, "n_frames", 1)
    except _DAMAGED as error:
        raise BadImage(_damaged(error)) from error
    if image.format != "MPO" and n_frames > 1:
        raise BadImage(
            Sentence(
                "is animated (%(n)s frames), but the model reads only one: save that as PNG",
                n=n_frames,
            )
        )
    return _MEDIA_TYPES[image.format or ""]


def _decode(content: bytes) -> None:
    try:
        # `verify` looks at checksums that decoding passes over; it spoils the object it is used on.
        _open(content).verify()
        _open(content).load()
    except _DAMAGED as error:
        raise BadImage(_damaged(error)) from error
    except MemoryError as error:
        raise BadImage(Sentence("needs more memory than there is")) from error


def _upright_size(image: Image.Image) -> tuple[int, int]:
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION)
    except _DAMAGED as error:
        raise BadImage(
            Sentence("holds damaged EXIF notes (%(error)s)", error=str(error))
        ) from error
    width, height = image.size
    return (height, width) if orientation in _TURNED_BY_A_QUARTER else (width, height)
