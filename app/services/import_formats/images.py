"""Image files: found in folders and archives, and verified before they are taken.

What a person sees and what the model reads must be the same picture: so every image is decoded as
a whole, animated ones are refused, and the size counts as turned by the camera's EXIF note.
"""

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image, UnidentifiedImageError

from app.errors import InvalidInput
from app.services.import_formats.archives import Archive
from app.storage import image_path

MAX_PIXELS = 50_000_000
MAX_IMAGE_BYTES = 64 << 20

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with a preview or a second picture behind the first
    "WEBP": "image/webp",
    "GIF": "image/gif",
}
_TOO_LARGE = f"has more than {MAX_PIXELS // 1_000_000} million pixels: make it smaller"
_EXIF_ORIENTATION = 0x0112
_TURNED_BY_A_QUARTER = (5, 6, 7, 8)
# What Pillow's decoders raise on damaged files, besides OSError.
_DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError),
    *(AttributeError, OverflowError, struct.error, zlib.error),
)


class BadImage(Exception):
    """Why a file is not taken as an image, as the end of a sentence that names the file."""


class ImageSource(Protocol):
    """Where images lie: a folder, or an archive."""

    label: str

    def find(self, names: tuple[str, ...]) -> str | None:
        """The name by which `read` finds the first of `names` that is there."""

    def read(self, name: str) -> bytes:
        """The bytes. Raises BadImage when they cannot be read."""


class FolderSource:
    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.label = " or ".join(str(folder) for folder in folders)
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
                raise BadImage(f"has {n_bytes:,} bytes; at most {MAX_IMAGE_BYTES:,} are allowed")
            return path.read_bytes()
        except OSError as error:
            raise BadImage(f"cannot be read ({error.strerror})") from error


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
            raise BadImage(f"cannot be read: {error.message}") from error


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
            raise InvalidInput(f"{self.name} {error}.") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise InvalidInput(f"{self.name} was changed while it was imported. Start again.")
        return content


def verify_image(source: ImageSource, name: str) -> ParsedImage:
    """Read and decode one image. Raises BadImage with what is wrong with it."""
    content = source.read(name)
    if not content:
        raise BadImage("is empty")
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
        raise BadImage("is no PNG, JPEG, WebP or GIF image, or is damaged") from error
    except _DAMAGED as error:
        raise BadImage(f"is damaged ({error})") from error


def _check_header(image: Image.Image) -> str:
    """The media type of an image that may be decoded."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImage(f"has {width:,} × {height:,} pixels and so {_TOO_LARGE}")
    try:
        n_frames = getattr(image, "n_frames", 1)
    except _DAMAGED as error:
        raise BadImage(f"is damaged ({error})") from error
    if image.format != "MPO" and n_frames > 1:
        raise BadImage(
            f"is animated ({n_frames} frames), but the model reads only one: save that as PNG"
        )
    return _MEDIA_TYPES[image.format or ""]


def _decode(content: bytes) -> None:
    try:
        # `verify` looks at checksums that decoding passes over; it spoils the object it is used on.
        _open(content).verify()
        _open(content).load()
    except _DAMAGED as error:
        raise BadImage(f"is damaged ({error})") from error
    except MemoryError as error:
        raise BadImage("needs more memory than there is") from error


def _upright_size(image: Image.Image) -> tuple[int, int]:
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION)
    except _DAMAGED as error:
        raise BadImage(f"holds damaged EXIF notes ({error})") from error
    width, height = image.size
    return (height, width) if orientation in _TURNED_BY_A_QUARTER else (width, height)
