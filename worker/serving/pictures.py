"""Images as data URLs of a bounded size."""

import base64
from io import BytesIO
from pathlib import Path

from PIL import Image

from worker.ml.encode import read_image

MAX_BYTES = 4 * 2**20
MAX_SIDE = 2048  # pixels; vision towers see less
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
ORIENTATION = 0x0112


def data_url(path: Path) -> str:
    """The image as a data URL: its own bytes where it is small and upright, else made so (as PNG
    where that is small enough, else as JPEG). Raises ImageError if it cannot be read.

    It is decoded here in any case: a damaged image is found before a server stumbles over it.
    """
    picture = read_image(path)
    with Image.open(path) as original:
        media_type = MEDIA_TYPES.get(original.format or "")
        is_upright = original.getexif().get(ORIENTATION, 1) == 1
    if media_type and is_upright and max(picture.size) <= MAX_SIDE:
        content = path.read_bytes()
        if len(content) <= MAX_BYTES:
            return _url(media_type, content)
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    content = _encoded(picture, "PNG")
    if len(content) <= MAX_BYTES:
        return _url("image/png", content)
    return _url("image/jpeg", _encoded(picture, "JPEG", quality=92))


def blank_url(side: int = 336) -> str:
    """A grey picture, for requests that find out what a server can do."""
    return _url("image/png", _encoded(Image.new("RGB", (side, side), (128, 128, 128)), "PNG"))


def _encoded(picture: Image.Image, format_: str, **options: int) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def _url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
