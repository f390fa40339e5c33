"""What every kind of file looks like, and that it looks like that to everybody."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.pictures.files import find_plain, show, show_smaller
from app.pictures.seeing import MAX_PIXELS, PictureError, see
from tests.support.dataset_files import blank_png
from tests.support.odd_pictures import (
    BRIGHT,
    DARK,
    ODD,
    SIZE,
    TURNED,
    damaged_notes,
    halves,
    saved,
    with_position,
)
from worker.ml.inputs.encode import read_image
from worker.serving.pictures import data_url

Colours = tuple[tuple[int, int, int], tuple[int, int, int]]

# Where the dark corner of a picture comes to lie, by its orientation note.
CORNERS = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}


def decoded(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def colours_of(picture: Image.Image) -> Colours:
    """In the middle of the left and of the right half."""
    width, height = picture.size
    left, right = ((width * share // 4, height // 2) for share in (1, 3))
    return picture.getpixel(left), picture.getpixel(right)  # type: ignore[return-value]


def differ(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of a colour value; at once for pictures of unequal size."""
    assert one.size == other.size
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


def dark_corner(picture: Image.Image) -> tuple[int, int]:
    """(0, 0) at the top left, (1, 0) at the top right, and so on."""
    width, height = picture.size
    shades = {
        (x, y): sum(picture.getpixel(((1 + 2 * x) * width // 4, (1 + 2 * y) * height // 4)))  # type: ignore[arg-type]
        for x in (0, 1)
        for y in (0, 1)
    }
    return min(shades, key=lambda corner: shades[corner])


def seen_by_all(content: bytes, folder: Path) -> dict[str, Image.Image]:
    """A picture as the model reads it, as people see it, and as a serving engine is sent it."""
    path = folder / "picture"
    path.write_bytes(content)
    return {
        "model": read_image(path),
        "full view": decoded(show(content).content),
        "thumbnail": decoded(show_smaller(path, (SIZE[0],))[SIZE[0]]),
        "server": decoded(base64.b64decode(data_url(path).partition(",")[2])),
    }


@pytest.mark.parametrize("kind", ODD)
def test_a_picture_of_any_kind_looks_the_same_to_everybody(kind: str, tmp_path: Path) -> None:
    make, (left, right) = ODD[kind]
    views = seen_by_all(make(), tmp_path)
    is_lossy = "JPEG" in kind or "lossy" in kind or "WebP" in kind
    for viewer, picture in views.items():
        assert picture.size == SIZE, viewer
        for found, wanted in zip(colours_of(picture), (left, right), strict=True):
            assert max(abs(f - w) for f, w in zip(found, wanted, strict=True)) <= 6, viewer
    assert differ(views["model"], views["full view"]) <= (12 if is_lossy else 0)
    assert differ(views["model"], views["server"]) <= (12 if is_lossy else 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", TURNED)
def test_orientation_notes_are_followed_for_everybody(
    kind: str, orientation: int, tmp_path: Path
) -> None:
    for viewer, picture in seen_by_all(TURNED[kind](orientation), tmp_path).items():
        upright = SIZE if orientation < 5 else SIZE[::-1]
        if viewer == "thumbnail":
            assert picture.size[0] <= SIZE[0]
        else:
            assert picture.size == upright, viewer
        assert dark_corner(picture) == CORNERS[orientation], viewer


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_an_orientation_that_is_no_number_from_1_to_8_is_passed_over() -> None:
    for orientation in (0, 9, 200):
        content = saved(halves(), "JPEG", exif=damaged_notes(orientation))
        assert see(content).size == SIZE
    torn = saved(halves(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert see(torn).size == SIZE


def test_half_transparent_colours_are_mixed_with_white() -> None:
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 51))
    assert see(saved(picture, "PNG")).getpixel((0, 0)) == (204, 204, 204)


def test_hidden_colours_do_not_bleed_into_smaller_versions() -> None:
    """Under full transparency lies red; nothing of it may come out when pixels are mixed."""
    picture = Image.new("RGBA", (2000, 1500), (255, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 1001, 1500))
    small = see(saved(picture, "PNG"), most=(160, 320))
    red, green, _ = np.asarray(small, dtype=int).transpose(2, 0, 1)
    assert int((red - green).max()) == 0
    assert small.size == (160, 120)


def test_a_small_version_of_a_large_picture_shows_the_same() -> None:
    """Whether it is converted in strips, decoded at a fraction, or turned on the way."""
    ramp = np.linspace(0, 65_535, 3000 * 2000).reshape(2000, 3000).astype(np.uint16)
    content = saved(Image.fromarray(ramp), "PNG")
    whole, small = see(content), see(content, most=(320, 640))
    assert small.size == (320, 213)
    whole.thumbnail((320, 640), Image.Resampling.LANCZOS)
    assert differ(whole, small) <= 2
    photo = Image.fromarray((ramp >> 8).astype(np.uint8)).convert("RGB")
    turned = see(saved(photo, "JPEG", exif=with_position(6)), most=(320, 640))
    assert turned.size == (320, 480)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        saved(Image.effect_noise((200, 200), 90), "PNG")[:9000],
        saved(Image.effect_noise((200, 200), 90), "JPEG")[:3000],
        saved(Image.effect_noise((200, 200), 90), "WEBP")[:3000],
        saved(Image.effect_noise((200, 200), 90), "TIFF")[:3000],
        b"GIF89a" + b"\xff" * 60,
        b"II*\0" + b"\xff" * 60,
        b"RIFF\xff\xff\xff\x7fWEBPVP8X" + b"\xff" * 60,
    ],
)
def test_what_cannot_be_decoded_is_one_kind_of_error(content: bytes) -> None:
    with pytest.raises(PictureError):
        see(content)
    with pytest.raises(PictureError):
        show_smaller(content, (160,))


def test_a_picture_of_too_many_pixels_is_not_decoded() -> None:
    with pytest.raises(PictureError, match=f"{MAX_PIXELS:,} pixels"):
        see(blank_png(9_000, 9_000))


# --- What is given away --------------------------------------------------------------------------


def test_a_photo_is_shown_without_its_notes_and_its_pixels_are_untouched() -> None:
    photo = saved(halves(), "JPEG", quality=90, exif=with_position(), comment=b"by Ada")
    shown = show(photo).content
    assert b"Ada" in photo
    assert b"Ada" not in shown
    assert b"Exif" not in shown
    assert len(shown) < len(photo)
    assert differ(decoded(photo), decoded(shown)) == 0
    assert find_plain(shown).content == shown  # type: ignore[union-attr]


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_nothing_but_the_picture_is_given_away(format: str, orientation: int) -> None:
    options = {"exif": with_position(orientation)}
    content = saved(halves(), format, **options) + b"after the end: Ada"
    assert b"Ada" in content
    shown = Image.open(io.BytesIO(show(content).content))
    assert b"Ada" not in show(content).content
    assert not shown.getexif()
    assert not {"exif", "xmp", "icc_profile", "comment", "XML:com.adobe.xmp"} & set(shown.info)
    assert shown.format != "TIFF"  # which browsers cannot show


def test_a_progressive_jpeg_keeps_all_its_scans() -> None:
    photo = saved(
        Image.effect_noise((300, 200), 60).convert("RGB"),
        "JPEG",
        quality=80,
        progressive=True,
        exif=with_position(),
    )
    assert differ(decoded(photo), decoded(show(photo).content)) == 0


def test_the_second_picture_of_a_jpeg_is_left_out() -> None:
    both = ODD["several pictures in a JPEG"][0]()
    shown = show(both).content
    assert len(shown) < len(both) * 0.7
    assert Image.open(io.BytesIO(shown)).format == "JPEG"
    assert [max(colour) > 150 for colour in colours_of(decoded(shown))] == [False, True]


def test_only_what_a_browser_would_show_otherwise_is_made_anew() -> None:
    assert show(saved(halves(), "PNG")).content == saved(halves(), "PNG")
    assert find_plain(ODD["transparent PNG"][0]()) is None
    assert find_plain(ODD["16 bits"][0]()) is None
    assert find_plain(ODD["CMYK JPEG"][0]()) is None
    assert find_plain(ODD["colour profile"][0]()) is None
    assert find_plain(ODD["animated PNG"][0]()) is not None  # its first frame alone
    assert find_plain(ODD["animated WebP"][0]()) is None
    assert {DARK, BRIGHT} == set(colours_of(decoded(show(ODD["animated PNG"][0]()).content)))
