"""Turns the bytes of a picture into bytes that may be shown and given away: without metadata.

A file that every browser shows as `seeing` does is copied without what else it holds (position,
camera, notes, previews, a second picture behind the first), its packed pixels untouched. All others
are made anew: in JPEG or lossy WebP where they were that, else without any loss.
"""

import io
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from app.pictures.seeing import PictureError, is_screen_profile, opened, orientation_of, see

MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with a preview or a second picture behind the first
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
}
"""Of the formats that are taken, by the names that Pillow has for them."""
_SHOWN_AS = {"image/gif": "image/png", "image/tiff": "image/png"}

SMALL_QUALITY = 82
FULL_QUALITY = 95
_QUICK, _QUICKEST = 3, 1
"""Of zlib's levels: the usual one takes twice as long for a few per cent less bytes."""
_LARGE = 8_000_000

_GPS = 0x8825
_LATITUDE, _LONGITUDE = 2, 4
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_PICTURE = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_JPEG_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD8))
_AFTER_SCAN = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """The bytes of a picture as it is shown."""

    content: bytes
    media_type: str


def shown_type(media_type: str) -> str:
    """Returns the media type in which a stored picture of this type is shown in full."""
    return _SHOWN_AS.get(media_type, media_type)


def find_plain(content: bytes) -> Shown | None:
    """Returns the packed pixels of the file and nothing else; None where they alone would be shown
    otherwise than `see` shows them, or where the file is too damaged to tell.
    """
    try:
        with opened(content) as picture:
            is_plain = _is_plain(picture, content)
            media_type = MEDIA_TYPES[picture.format or ""]
        if not is_plain:
            return None
        parts = b"".join(_PLAIN[media_type](content))
    except (PictureError, struct.error, ValueError, IndexError):
        return None
    return Shown(parts, media_type)


def show(content: bytes) -> Shown:
    """Returns the picture in full, looking as `see` says. Raises PictureError."""
    return find_plain(content) or _made_anew(content)


def show_smaller(source: Path | bytes, widths: Sequence[int]) -> dict[int, bytes]:
    """Returns JPEGs of these widths, from one reading of the picture; none is enlarged."""
    largest = max(widths)
    picture = see(source, most=(largest, largest * 2))
    made = {}
    for width in sorted(widths, reverse=True):
        picture.thumbnail((width, width * 2), Image.Resampling.LANCZOS)
        made[width] = _encode(picture, "JPEG", quality=SMALL_QUALITY)
    return made


def _made_anew(content: bytes) -> Shown:
    picture = see(content)
    with opened(content) as stored:
        media_type = shown_type(MEDIA_TYPES[stored.format or ""])
    match media_type:
        case "image/jpeg":
            # 4:4:4: colours at half the size would blur what was sharp.
            made = _encode(picture, "JPEG", quality=FULL_QUALITY, subsampling=0)
        case "image/webp" if b"VP8 " in content[:4096]:
            made = _encode(picture, "WEBP", quality=FULL_QUALITY)
        case "image/webp":
            made = _encode(picture, "WEBP", lossless=True, quality=0)
        case _:
            level = _QUICKEST if picture.width * picture.height > _LARGE else _QUICK
            made = _encode(picture, "PNG", compress_level=level)
    return Shown(made, media_type)


def _encode(picture: Image.Image, format: str, **options: int | bool) -> bytes:
    buffer = io.BytesIO()
    try:
        picture.save(buffer, format, **options)
    except (OSError, ValueError, MemoryError) as error:
        raise PictureError(f"It cannot be written as {format}: {error}.") from error
    return buffer.getvalue()


def holds_position(picture: Image.Image) -> bool:
    """Whether the file tells where on earth the picture was taken."""
    try:
        gps = picture.getexif().get_ifd(_GPS)
    except Exception:  # damaged notes; their text may still be legible
        gps = {}
    notes = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
    return (
        _LATITUDE in gps
        or _LONGITUDE in gps
        or ("GPSLatitude" if isinstance(notes, str) else b"GPSLatitude") in notes
    )


# --- Files that can stay as they are ------------------------------------------------------------


def _is_plain(picture: Image.Image, content: bytes) -> bool:
    modes = {
        "JPEG": ("L", "RGB"),
        "MPO": ("L", "RGB"),
        "PNG": ("1", "L", "P", "RGB"),
        "WEBP": ("RGB",),
    }
    if picture.mode not in modes.get(picture.format or "", ()) or picture.has_transparency_data:
        return False
    profile = picture.info.get("icc_profile")
    if profile and not is_screen_profile(profile):
        return False
    if picture.format == "PNG":
        has_notes = any(kind in _PNG_NOTES for kind, _ in _png_chunks(content))
        # Asking for the orientation decodes a PNG without notes as a whole.
        return content[24] <= 8 and (not has_notes or orientation_of(picture) == 1)
    if picture.format == "WEBP" and getattr(picture, "n_frames", 1) > 1:
        return False
    return orientation_of(picture) == 1


_PNG_NOTES = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, whole chunk) of a PNG, up to its end mark."""
    place, kind = len(_PNG_HEAD), b""
    while kind != b"IEND":
        (length,) = struct.unpack_from(">I", content, place)
        kind, end = content[place + 4 : place + 8], place + 12 + length
        if end > len(content):
            raise ValueError("a chunk ends behind the file")
        yield kind, content[place:end]
        place = end


def _plain_png(content: bytes) -> Iterable[bytes]:
    yield _PNG_HEAD
    for kind, chunk in _png_chunks(content):
        if kind in _PNG_PICTURE:
            yield chunk


def _plain_jpeg(content: bytes) -> Iterable[bytes]:
    """Without application notes (but JFIF and Adobe's, which say how colours are stored) and
    comments, and without what follows the end of the first picture."""
    yield content[:2]
    place = 2
    while True:
        if content[place] != 0xFF:
            raise ValueError("a segment does not begin where the one before it ends")
        while content[place + 1] == 0xFF:  # fill bytes
            place += 1
        marker = content[place + 1]
        if marker == 0xD9:
            yield content[place : place + 2]
            return
        if marker in _JPEG_WITHOUT_LENGTH:
            yield content[place : place + 2]
            place += 2
            continue
        (length,) = struct.unpack_from(">H", content, place + 2)
        end = place + 2 + length
        if marker == 0xDA:  # packed pixels follow, up to the next marker
            found = _AFTER_SCAN.search(content, end)
            if found is None:
                raise ValueError("the pixels do not end")
            end = found.start()
        if _belongs_to_picture(marker, content[place + 4 : place + 9]):
            yield content[place:end]
        place = end


def _belongs_to_picture(marker: int, begin: bytes) -> bool:
    if marker == 0xE0:
        return begin == b"JFIF\0"
    if marker == 0xEE:
        return begin == b"Adobe"
    return not (0xE0 <= marker <= 0xEF or marker == 0xFE)


def _plain_webp(content: bytes) -> Iterable[bytes]:
    """The chunk of pixels in the simple form of the container, which can hold nothing else."""
    place = 12
    while True:
        kind, length = struct.unpack_from("<4sI", content, place)
        end = place + 8 + length + length % 2
        if kind in {b"VP8 ", b"VP8L"}:
            chunk = content[place:end]
            yield b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
            return
        place = end


_PLAIN = {"image/png": _plain_png, "image/jpeg": _plain_jpeg, "image/webp": _plain_webp}
