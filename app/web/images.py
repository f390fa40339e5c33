"""Answers that carry an image: browsers may keep them for ever, the address is the content."""

from contextlib import suppress
from io import BytesIO
from pathlib import Path

from PIL import Image as PillowImage
from PIL import ImageOps
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from app.errors import NotFound, SetupError
from app.models import Image
from app.storage import atomic_file, image_path, resized_path

THUMB_WIDTHS = (160, 320)
SCREEN_WIDTHS = (640, 960, 1280, 1920)
WIDTHS = THUMB_WIDTHS + SCREEN_WIDTHS
"""Widths that may be asked for: any number would let anybody keep the server busy."""


def image_url(slug: str, sha256: str) -> str:
    """Address of an image, readable by the members of the project."""
    return f"/projects/{slug}/images/{sha256}"


def srcset(slug: str, sha256: str, width: int) -> str:
    """The sizes of an image that a browser may choose from: those below its own, and its own."""
    url = image_url(slug, sha256)
    smaller = [f"{url}?w={size} {size}w" for size in SCREEN_WIDTHS if size < width]
    return ", ".join([*smaller, f"{url} {width}w"])


def image_response(request: Request, image: Image, *, width: int | None) -> Response:
    """The stored file, or a smaller JPEG of it. 304 where the browser has it already."""
    etag = f'"{image.sha256}{f"-{width}" if width else ""}"'
    headers = {
        # Private: who may see it hangs on who is signed in.
        "Cache-Control": "private, max-age=31536000, immutable",
        "ETag": etag,
    }
    if etag in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    path = image_path(image.sha256, image.media_type)
    if not path.is_file():
        raise NotFound("The file of this image is missing in the store. `illume check` says more.")
    if width:
        return _resized(image, path, width, headers)
    return FileResponse(path, media_type=image.media_type, headers=headers)


def _resized(image: Image, path: Path, width: int, headers: dict[str, str]) -> Response:
    """Made once and kept beside the originals: the address is the content here too."""
    kept = resized_path(image.sha256, width)
    if not kept.is_file():
        content = _shrink(path, width)
        # A full disk must not keep a picture from the person who asks for it.
        with suppress(SetupError), atomic_file(kept) as stream:
            stream.write(content)
        return Response(content, media_type="image/jpeg", headers=headers)
    return FileResponse(kept, media_type="image/jpeg", headers=headers)


def _shrink(path: Path, width: int) -> bytes:
    with PillowImage.open(path) as image:
        image.draft("RGB", (width, width * 4))  # lets JPEG decode at a fraction of the size
        upright = ImageOps.exif_transpose(image).convert("RGB")
        upright.thumbnail((width, width * 2))
        buffer = BytesIO()
        upright.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
