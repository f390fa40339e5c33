"""Image files: found in folders and archives, and verified before they are taken.

What a person sees and what the model reads must be the same picture: so every image is read here
in the way in which all of them read it (`app/pictures`), and what has several frames is refused.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image

from app.kit.errors import InvalidInput
from app.kit.sentences import Amount, Sentence
from app.kit.storage import EXTENSIONS, image_path
from app.pictures.files import MEDIA_TYPES, holds_position, show
from app.pictures.seeing import (
    MAX_PIXELS,
    MAX_RATIO,
    MAX_SIDE,
    PictureError,
    TooManyPixels,
    UnknownPicture,
    opened,
    see,
    upright_size,
)
from app.services.dataset.formats.names import NameIndex, composed
from app.services.refusals import WrongFile

MAX_IMAGE_BYTES = 64 << 20
_MOST_MILLIONS = MAX_PIXELS // 1_000_000
_LITTLE = (512, 512)
_TOO_LARGE = Sentence("has more than %(n)s million pixels: make it smaller", n=_MOST_MILLIONS)


class BadImage(Exception):
    """Why a file is not taken as an image, as the end of a sentence that names the file."""

    def __init__(self, fault: Sentence) -> None:
        super().__init__(fault)
        self.fault = fault


class ImageSource(Protocol):
    """A place that images are read from: a folder, or an archive."""

    label: str

    def find(self, names: tuple[str, ...]) -> str | None:
        """Returns the name by which `read` finds the first of `names` that is there."""

    def near(self, names: tuple[str, ...]) -> str | None:
        """Returns the name of a file that may be meant instead, where none of `names` was found."""

    def read(self, name: str) -> bytes:
        """Returns the bytes. Raises BadImage when they cannot be read."""


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
        self._indexes: dict[Path, NameIndex] = {}

    def find(self, names: tuple[str, ...]) -> str | None:
        places = [folder / name for name in names for folder in self._folders]
        for place in places:
            if place.is_file():
                return str(place)
        for place in places:
            if (found := self._index(place.parent).find(place.name)) is not None:
                return str(place.with_name(found))
        return None

    def near(self, names: tuple[str, ...]) -> str | None:
        places = [folder / name for name in names for folder in self._folders]
        found = (self._index(place.parent).near(place.name) for place in places)
        return next((name for name in found if name is not None), None)

    def _index(self, folder: Path) -> NameIndex:
        if folder not in self._indexes:
            try:
                names = sorted(path.name for path in folder.iterdir() if path.is_file())
            except OSError:  # there is no such folder
                names = []
            self._indexes[folder] = NameIndex(names)
        return self._indexes[folder]

    def read(self, name: str) -> bytes:
        path = Path(name)
        try:
            _check_bytes(path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            raise BadImage(Sentence("cannot be read (%(error)s)", error=error.strerror)) from error


class Members(Protocol):
    """Files that lie together, by their names: of a zip, or of a folder."""

    name: str
    names: NameIndex

    @property
    def members(self) -> Mapping[str, object]:
        """All files by their names."""

    def read(self, member: str, limit: int) -> bytes:
        """Returns the bytes of a file. Raises InvalidInput when it is above `limit`."""


class ArchiveSource:
    """The pictures in a zip, or in a folder that is read as one."""

    def __init__(self, archive: Members, beside: str = "") -> None:
        """`beside`: the folder in the archive that the data file lies in."""
        self.label = archive.name
        self._archive = archive
        folders = [f"{beside}images/", beside, "images/", ""]
        self._prefixes = tuple(dict.fromkeys(folders))

    def find(self, names: tuple[str, ...]) -> str | None:
        for name in map(composed, names):
            for prefix in self._prefixes:
                if prefix + name in self._archive.members:
                    return prefix + name
        found = (self._archive.names.find(name) for name in names)
        return next((name for name in found if name is not None), None)

    def near(self, names: tuple[str, ...]) -> str | None:
        found = (self._archive.names.near(name) for name in names)
        return next((name for name in found if name is not None), None)

    def read(self, name: str) -> bytes:
        try:
            return self._archive.read(name, MAX_IMAGE_BYTES)
        except InvalidInput as error:
            raise BadImage(Sentence("cannot be read: %(error)s", error=error.message)) from error


class BytesSource:
    """Holds one image that somebody sent, and finds it under every name."""

    def __init__(self, content: bytes) -> None:
        self.label = ""
        self._content = content

    def find(self, names: tuple[str, ...]) -> str | None:
        return names[0]

    def near(self, names: tuple[str, ...]) -> str | None:  # noqa: ARG002 - every name is found
        return None

    def read(self, name: str) -> bytes:  # noqa: ARG002 - there is one
        _check_bytes(len(self._content))
        return self._content


def _check_bytes(n_bytes: int) -> None:
    if n_bytes > MAX_IMAGE_BYTES:
        raise BadImage(
            Sentence(
                "has %(n)s bytes; at most %(most)s are allowed",
                n=Amount(n_bytes),
                most=Amount(MAX_IMAGE_BYTES),
            )
        )


@dataclass(frozen=True, slots=True)
class ParsedImage:
    """A verified image; its bytes stay where they are until they are stored."""

    sha256: str
    media_type: str
    width: int
    height: int
    n_bytes: int
    has_position: bool
    """Whether the file tells where on earth the picture was taken."""
    source: ImageSource
    name: str

    def read(self) -> bytes:
        """Returns the verified bytes. Raises InvalidInput when the file changed in between."""
        try:
            content = self.source.read(self.name)
        except BadImage as error:
            raise WrongFile(
                Sentence("%(subject)s %(fault)s.", subject=self.name, fault=error.fault)
            ) from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise WrongFile(
                Sentence("%(file)s was changed while it was imported. Start again.", file=self.name)
            )
        return content


def verify_image(source: ImageSource, name: str) -> ParsedImage:
    """Read one image as everybody will see it. Raises BadImage with what is wrong with it."""
    content = source.read(name)
    if not content:
        raise BadImage(Sentence("is empty"))
    sha256 = hashlib.sha256(content).hexdigest()
    media_type = _check_header(content)
    # An image in the store was verified when it came there.
    if not image_path(sha256, media_type).is_file():
        _check_pixels(content)
    with _looking_at(content) as image:
        width, height = upright_size(image)
        has_position = holds_position(image)
    return ParsedImage(sha256, media_type, width, height, len(content), has_position, source, name)


def as_imported(image: ParsedImage, made_from: str | None) -> ParsedImage:
    """Returns, for a picture of a release, the imported one that it was made from, where that is in
    the store and shows the same; else the picture itself. `made_from`: its sha256.
    """
    if made_from is None or made_from == image.sha256:
        return image
    for media_type in EXTENSIONS:
        path = image_path(made_from, media_type)
        if not path.is_file():
            continue
        content = path.read_bytes()
        try:
            is_same = show(content).content == image.read()
        except PictureError:
            is_same = False
        if is_same:
            return verify_image(FolderSource(()), str(path))
    return image


@contextmanager
def _looking_at(content: bytes) -> Iterator[Image.Image]:
    """The image with its header read; what goes wrong is told as a BadImage."""
    try:
        with opened(content) as image:
            yield image
    except UnknownPicture as error:
        raise BadImage(
            Sentence("is no PNG, JPEG, WebP, GIF or TIFF image, or is damaged")
        ) from error
    except TooManyPixels as error:
        raise BadImage(_TOO_LARGE) from error
    except PictureError as error:
        raise BadImage(Sentence("is damaged (%(error)s)", error=error.reason)) from error


def _check_header(content: bytes) -> str:
    """The media type of an image that may be decoded."""
    with _looking_at(content) as image:
        format, (width, height) = image.format or "", image.size
    size = {"width": Amount(width), "height": Amount(height)}
    if width * height > MAX_PIXELS:
        raise BadImage(
            Sentence(
                "has %(width)s × %(height)s pixels and so has more than %(n)s million pixels: make "
                "it smaller",
                **size,
                n=_MOST_MILLIONS,
            )
        )
    if max(width, height) > MAX_SIDE:
        raise BadImage(
            Sentence(
                "has %(width)s × %(height)s pixels; at most %(n)s are allowed on a side: make it "
                "smaller",
                **size,
                n=Amount(MAX_SIDE),
            )
        )
    if max(width, height) > MAX_RATIO * min(width, height):
        raise BadImage(
            Sentence(
                "has %(width)s × %(height)s pixels, which is more than %(n)s to 1; models refuse "
                "such strips: cut it into pieces",
                **size,
                n=MAX_RATIO,
            )
        )
    _check_frames(content, format)
    return MEDIA_TYPES[format]


def _check_frames(content: bytes, format: str) -> None:
    with _looking_at(content) as image:
        n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1 and format == "TIFF":
        raise BadImage(
            Sentence(
                "holds %(n)s pages, but the model reads only one: save that as PNG", n=n_frames
            )
        )
    if n_frames > 1 and format != "MPO":
        raise BadImage(
            Sentence(
                "is animated (%(n)s frames), but the model reads only one: save that as PNG",
                n=n_frames,
            )
        )


def _check_pixels(content: bytes) -> None:
    """Decode all of it, by the way that models and pages go, but keep little at a time."""
    with _looking_at(content) as image:
        # Looks at checksums that decoding passes over; it spoils the object it is used on.
        image.verify()
    try:
        see(content, most=_LITTLE)
    except PictureError as error:
        raise BadImage(Sentence("is damaged (%(error)s)", error=error.reason)) from error
