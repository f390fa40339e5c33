"""Images as data URLs of a bounded size."""

import base64
from io import BytesIO
from pathlib import Path

from PIL import Image

from app.pictures.files import find_plain
from worker.ml.inputs.encode import read_image

MAX_BYTES = 4 * 2**20
MAX_SIDE = 2048  # pixels; vision towers see less


def data_url(path: Path) -> str:
    """Returns the image as a data URL: its own packed pixels where it is small and every decoder
    sees the same in them, else made anew (as PNG where that is small enough, else as JPEG). Nothing
    else of the file is sent. Raises ImageError if it cannot be read.

    It is decoded here in any case: a damaged image is found before a server stumbles over it.
    """
    picture = read_image(path)
    if max(picture.size) <= MAX_SIDE:
        plain = find_plain(path.read_bytes())
        if plain is not None and len(plain.content) <= MAX_BYTES:
            return _url(plain.media_type, plain.content)
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    content = _encoded(picture, "PNG")
    if len(content) <= MAX_BYTES:
        return _url("image/png", content)
    return _url("image/jpeg", _encoded(picture, "JPEG", quality=92))


def blank_url(side: int = 336) -> str:
    """Returns a grey picture, for requests that find out what a server can do."""
    return _url("image/png", _encoded(Image.new("RGB", (side, side), (128, 128, 128)), "PNG"))


def _encoded(picture: Image.Image, format_: str, **options: int) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def _url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
