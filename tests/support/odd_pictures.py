"""Picture files of every kind that people have, made as they are needed: mostly a dark
left half and a bright right half, so that every loss can be seen."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

SIZE = (48, 32)
DARK, BRIGHT = (40, 60, 90), (220, 200, 170)
ORIENTATION = 0x0112


def halves(dark: Any = DARK, bright: Any = BRIGHT, mode: str = "RGB") -> Image.Image:
    picture = Image.new(mode, SIZE, bright)
    picture.paste(dark, (0, 0, SIZE[0] // 2, SIZE[1]))
    return picture


def corner() -> Image.Image:
    """A bright picture, dark in the corner at the top left."""
    picture = Image.new("RGB", SIZE, BRIGHT)
    picture.paste(DARK, (0, 0, SIZE[0] // 2, SIZE[1] // 2))
    return picture


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def notes(orientation: int, **more: Any) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    for name, value in more.items():
        exif[int(name.removeprefix("tag"))] = value
    return exif


def with_position(orientation: int = 1) -> Image.Exif:
    exif = notes(orientation, tag271="Camera of Ada")
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    return exif


def damaged_notes(orientation: int) -> bytes:
    """EXIF whose width is a text, which cannot be written again."""
    head = b"Exif\0\0MM\0*\0\0\0\x08\0\x02"
    width = b"\x01\x00\x00\x02\0\0\0\x04abc\0"
    turn = b"\x01\x12\x00\x03\0\0\0\x01" + bytes([0, orientation]) + b"\0\0"
    return head + width + turn + b"\0\0\0\0"


def wide_profile() -> bytes:
    """A profile of other primaries than a screen's: red and blue are exchanged."""
    plain = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = plain.index(b"rXYZ"), plain.index(b"bXYZ")
    plain[red : red + 4], plain[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(plain).replace("sRGB".encode("utf-16-be"), "XYZZ".encode("utf-16-be"))


def _transparent(mode: str) -> Image.Image:
    """Black writing on nothing: the left half is solid, the right half is clear black."""
    picture = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, SIZE[0] // 2, SIZE[1]))
    return picture.convert(mode)


def _palette_with_clear_entry() -> bytes:
    picture = Image.new("P", SIZE, 1)
    picture.putpalette([0, 0, 0, 0, 0, 0])
    picture.paste(0, (0, 0, SIZE[0] // 2, SIZE[1]))
    return saved(picture, "PNG", transparency=bytes([255, 0]))


def _grey(kind: str, dark: float, bright: float) -> Image.Image:
    values = np.full((SIZE[1], SIZE[0]), bright, dtype=kind)
    values[:, : SIZE[0] // 2] = dark
    return Image.fromarray(values)


def _xmp(orientation: int) -> PngInfo:
    info = PngInfo()
    info.add_itxt(
        "XML:com.adobe.xmp", f'<rdf tiff:Orientation="{orientation}" exif:GPSLatitude="52,3N"/>'
    )
    return info


WHITE_AND_BLACK = ((0, 0, 0), (255, 255, 255))
ODD: dict[str, tuple[Callable[[], bytes], tuple[tuple[int, int, int], tuple[int, int, int]]]] = {
    "plain PNG": (lambda: saved(halves(), "PNG"), (DARK, BRIGHT)),
    "plain JPEG": (lambda: saved(halves(), "JPEG", quality=95), (DARK, BRIGHT)),
    "plain WebP": (lambda: saved(halves(), "WEBP", lossless=True), (DARK, BRIGHT)),
    "lossy WebP": (lambda: saved(halves(), "WEBP", quality=95), (DARK, BRIGHT)),
    "transparent PNG": (lambda: saved(_transparent("RGBA"), "PNG"), WHITE_AND_BLACK),
    "grey PNG with alpha": (lambda: saved(_transparent("LA"), "PNG"), WHITE_AND_BLACK),
    "transparent WebP": (lambda: saved(_transparent("RGBA"), "WEBP"), WHITE_AND_BLACK),
    "palette with a clear entry": (_palette_with_clear_entry, WHITE_AND_BLACK),
    "clear colour of RGB": (
        lambda: saved(halves((9, 9, 9), (0, 255, 0)), "PNG", transparency=(0, 255, 0)),
        ((9, 9, 9), (255, 255, 255)),
    ),
    "clear grey of 16 bits": (
        lambda: saved(_grey("uint16", 0, 77), "PNG", transparency=77),
        WHITE_AND_BLACK,
    ),
    "GIF": (lambda: saved(halves().quantize(4), "GIF"), (DARK, BRIGHT)),
    "transparent GIF": (lambda: saved(_transparent("RGBA"), "GIF"), WHITE_AND_BLACK),
    "one bit": (lambda: saved(halves(0, 1, "1"), "PNG"), WHITE_AND_BLACK),
    "16 bits": (
        lambda: saved(_grey("uint16", 13107, 52428), "PNG"),
        ((51, 51, 51), (204, 204, 204)),
    ),
    "16 bits, TIFF": (
        lambda: saved(_grey("uint16", 13107, 52428), "TIFF"),
        ((51, 51, 51), (204, 204, 204)),
    ),
    "32 bits": (lambda: saved(_grey("int32", -70_000, 900_000), "TIFF"), WHITE_AND_BLACK),
    "shares of one": (
        lambda: saved(_grey("float32", 0.2, 0.8), "TIFF"),
        ((51, 51, 51), (204, 204, 204)),
    ),
    "any fractions": (lambda: saved(_grey("float32", -3.5, 1e6), "TIFF"), WHITE_AND_BLACK),
    "CMYK JPEG": (
        lambda: saved(halves((255, 255, 255, 0), (0, 0, 0, 0), "CMYK"), "JPEG", quality=95),
        WHITE_AND_BLACK,
    ),
    "colour profile": (
        lambda: saved(halves((200, 0, 0), (0, 200, 0)), "PNG", icc_profile=wide_profile()),
        ((0, 0, 200), (0, 200, 0)),
    ),
    "damaged profile": (
        lambda: saved(halves(), "PNG", icc_profile=b"no profile"),
        (DARK, BRIGHT),
    ),
    "several pictures in a JPEG": (
        lambda: saved(
            halves(), "MPO", save_all=True, append_images=[halves(BRIGHT, DARK)], quality=95
        ),
        (DARK, BRIGHT),
    ),
    "animated WebP": (
        lambda: saved(halves(), "WEBP", save_all=True, append_images=[halves(BRIGHT, DARK)]),
        (DARK, BRIGHT),
    ),
    "animated PNG": (
        lambda: saved(halves(), "PNG", save_all=True, append_images=[halves(BRIGHT, DARK)]),
        (DARK, BRIGHT),
    ),
    "animated GIF": (
        lambda: saved(
            halves().quantize(4), "GIF", save_all=True, append_images=[halves(BRIGHT, DARK)]
        ),
        (DARK, BRIGHT),
    ),
    "several pages": (
        lambda: saved(halves(), "TIFF", save_all=True, append_images=[halves(BRIGHT, DARK)]),
        (DARK, BRIGHT),
    ),
}
"""Name, how the file is made, and the colours of its left and right half as people see them."""

TURNED: dict[str, Callable[[int], bytes]] = {
    "JPEG": lambda turn: saved(corner(), "JPEG", quality=95, exif=notes(turn)),
    "PNG": lambda turn: saved(corner(), "PNG", exif=notes(turn)),
    "PNG, XMP": lambda turn: saved(corner(), "PNG", pnginfo=_xmp(turn)),
    "WebP": lambda turn: saved(corner(), "WEBP", lossless=True, exif=notes(turn)),
    "TIFF": lambda turn: saved(corner(), "TIFF", tiffinfo={ORIENTATION: turn}),
    "damaged notes": lambda turn: saved(corner(), "JPEG", quality=95, exif=damaged_notes(turn)),
}
"""Pictures of the usual kinds with an orientation note."""
