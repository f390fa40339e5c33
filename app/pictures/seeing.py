"""Turns the bytes of a picture into pixels, in one way for everybody who looks at it.

The first frame, turned as its camera noted, in 8 bits of red, green and blue as screens show them
(sRGB). What is transparent lies on white. Grey of 16 bits and of fractions is scaled; a colour
profile is followed. Everything else that a file says of itself is left out.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms, UnidentifiedImageError

MAX_PIXELS = 50_000_000
MAX_SIDE = 65_500
"""Pixels; JPEG holds no more on a side."""
MAX_RATIO = 200
"""Longer side to shorter side: processors of models refuse longer strips."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF")

Paint = Callable[[Image.Image], Image.Image]

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BY_A_QUARTER = (5, 6, 7, 8)
_STRIP_PIXELS = 1 << 20
"""Pixels converted at a time: a large picture is never held in two forms at once."""
_SPARE = 2
"""Pixels a side that the last step of making a picture smaller gets for each that it gives."""


class PictureError(Exception):
    """A picture that cannot be seen; `reason` is what the decoder said."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownPicture(PictureError):
    """Bytes that are no picture of a known kind, or damaged at their beginning."""


class TooManyPixels(PictureError):
    """A picture that would take too much memory."""


def see(source: Path | bytes, *, most: tuple[int, int] | None = None) -> Image.Image:
    """Returns the picture as RGB pixels; with `most`, made to fit into that width and height.

    Raises PictureError for what no decoder reads, and for a picture of too many pixels.
    """
    with opened(source) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise TooManyPixels(f"It has more than {MAX_PIXELS:,} pixels.")
        if most is not None:
            picture.draft("RGB", _draft_size(picture, most))
        picture.load()
        orientation = orientation_of(picture)
        scale = 1.0 if most is None else _scale(picture.size, _turned(most, orientation))
        seen = _flat(picture, max(1, int(scale / _SPARE)))
        if orientation in _TURNS:
            seen = seen.transpose(_TURNS[orientation])
        if most is not None:
            seen.thumbnail(most, Image.Resampling.LANCZOS)
        seen.info.clear()
        return seen


@contextmanager
def opened(source: Path | bytes) -> Iterator[Image.Image]:
    """The picture with its header read. What goes wrong in the block is a PictureError."""
    try:
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(stream, formats=FORMATS) as picture:
            yield picture
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise UnknownPicture("It is no picture of a known kind, or is damaged.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels(f"It has more than {MAX_PIXELS:,} pixels.") from error
    except MemoryError as error:
        raise PictureError("There is not enough memory to decode it.") from error
    except Exception as error:
        # Decoders of damaged files raise nearly everything that there is.
        raise PictureError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0].strip() if lines else type(error).__name__
    return text if text.endswith((".", "!", "?")) else text + "."


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Returns the width and height as people see them."""
    return _turned(picture.size, orientation_of(picture))


def orientation_of(picture: Image.Image) -> int:
    """Returns the orientation that the camera noted, 1 to 8; 1 where it noted nothing sensible.

    Nothing else that stands beside it matters: EXIF notes are often damaged.
    """
    if picture.format == "TIFF":
        return 1  # turned by the decoder itself
    try:
        found = picture.getexif().get(_ORIENTATION)
    except Exception:  # as damaged as they come
        return 1
    return found if isinstance(found, int) and found in _TURNS else 1


def _turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return (size[1], size[0]) if orientation in _BY_A_QUARTER else size


def _scale(size: tuple[int, int], most: tuple[int, int]) -> float:
    """By how much a picture of this size is too large for `most`."""
    return max(size[0] / most[0], size[1] / most[1])


def _draft_size(picture: Image.Image, most: tuple[int, int]) -> tuple[int, int]:
    """The size below which a JPEG, as it is stored, must not be decoded to end as `most`."""
    if picture.format not in {"JPEG", "MPO"}:
        return picture.size  # the others know no smaller form
    scale = _scale(picture.size, _turned(most, orientation_of(picture))) / _SPARE
    return ceil(picture.width / max(scale, 1.0)), ceil(picture.height / max(scale, 1.0))


def _flat(picture: Image.Image, factor: int) -> Image.Image:
    """All of it as RGB, in strips, `factor` times smaller."""
    paint = _painter(picture)
    if paint is None and factor == 1:
        return picture._new(picture.im)  # the pixels alone, not copied
    width, height = picture.size
    flat = Image.new("RGB", (ceil(width / factor), ceil(height / factor)))
    n_rows = max(1, _STRIP_PIXELS // width // factor) * factor
    for top in range(0, height, n_rows):
        strip = picture.crop((0, top, width, min(height, top + n_rows)))
        if paint is not None:
            strip = paint(strip)
        if factor > 1:
            strip = strip.reduce(factor)
        flat.paste(strip, (0, top // factor))
    return flat


def _painter(picture: Image.Image) -> Paint | None:
    """Returns a function from a strip of the picture to RGB, or None where it is RGB already."""
    to_grey = _greys(picture)
    transform = _profile_transform(picture, "L" if to_grey else _colour_mode(picture))
    is_transparent = picture.has_transparency_data
    if picture.mode == "RGB" and transform is None and not is_transparent:
        return None

    def paint(strip: Image.Image) -> Image.Image:
        colours = to_grey(strip) if to_grey else _colours(strip)
        if transform is not None:
            colours = transform(colours)
        elif colours.mode != "RGB":
            colours = colours.convert("RGB")
        if not is_transparent:
            return colours
        white = Image.new("RGB", strip.size, "white")
        white.paste(colours, mask=_opacity(strip))
        return white

    return paint


def _colour_mode(picture: Image.Image) -> str:
    if picture.mode in {"L", "LA", "La", "1"}:
        return "L"
    return picture.mode if picture.mode in {"CMYK", "LAB"} else "RGB"


def _colours(strip: Image.Image) -> Image.Image:
    """The colours without what is transparent, in the mode that a colour profile speaks of."""
    mode = _colour_mode(strip)
    if strip.mode == mode:
        return strip
    if strip.mode == "La":
        strip = strip.convert("LA")
    if strip.mode == "P" and strip.has_transparency_data:
        strip = strip.convert("RGBA")
    return strip.convert(mode)


def _opacity(strip: Image.Image) -> Image.Image:
    if strip.mode.startswith("I"):
        import numpy as np

        clear = strip.info.get("transparency")
        values = np.asarray(strip)
        return Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
    if strip.mode == "La":
        strip = strip.convert("LA")
    return strip.convert("RGBA").getchannel("A")


def _greys(picture: Image.Image) -> Paint | None:
    """For grey of more than 8 bits: what brings it to 8; None for all others.

    16 bits are shares of 65,535, as browsers show them. Whole numbers of 32 bits and fractions are
    shares of 1, 255 or 65,535, the first that none exceeds; others are spread from the lowest
    (black) to the highest (white).
    """
    if picture.mode.startswith("I;16"):
        return lambda strip: _scaled(strip, 0.0, 65_535.0)
    if picture.mode not in {"I", "F"}:
        return None
    low, high = _range(picture)
    units = (1.0, 255.0, 65_535.0) if picture.mode == "F" else (255.0, 65_535.0)
    if low >= 0 and high <= units[-1]:
        low, high = 0.0, next(unit for unit in units if high <= unit)
    return lambda strip: _scaled(strip, low, high)


def _range(picture: Image.Image) -> tuple[float, float]:
    import numpy as np

    values = np.asarray(picture)
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _scaled(strip: Image.Image, low: float, high: float) -> Image.Image:
    """Grey of 8 bits: `low` is black, `high` is white; what is no number is black."""
    import numpy as np

    values = np.nan_to_num(np.asarray(strip).astype(np.float64), nan=low, posinf=high, neginf=low)
    share = (values - low) / (high - low if high > low else 1.0)
    return Image.fromarray(np.rint(share.clip(0.0, 1.0) * 255.0).astype(np.uint8))


def _profile_transform(picture: Image.Image, mode: str) -> Paint | None:
    """Returns the transform of the colour profile; None without a profile, or where it says what is
    true without it. A profile that does not fit is passed over, as browsers do."""
    profile = picture.info.get("icc_profile")
    if not profile or is_screen_profile(profile):
        return None
    try:
        transform: Any = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.PERCEPTUAL,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError):
        return None
    return lambda colours: ImageCms.applyTransform(colours, transform) or colours


def is_screen_profile(profile: bytes) -> bool:
    """Whether a colour profile is sRGB by its own name, and so changes nothing."""
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError):
        return False
    return "srgb" in name.lower()
