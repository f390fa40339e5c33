"""Answers that carry an image: browsers may keep them for ever, the address is the content."""

from io import BytesIO
from pathlib import Path

from PIL import Image as PillowImage
from PIL import ImageOps
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from app.errors import NotFound
from app.models import Image
from app.storage import image_path

THUMB_WIDTHS = (160, 320)
"""Widths that may be asked for: any number would let anybody keep the server busy."""


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
        return Response(_shrink(path, width), media_type="image/jpeg", headers=headers)
    return FileResponse(path, media_type=image.media_type, headers=headers)


def _shrink(path: Path, width: int) -> bytes:
    with PillowImage.open(path) as image:
        image.draft("RGB", (width, width * 4))  # lets JPEG decode at a fraction of the size
        upright = ImageOps.exif_transpose(image).convert("RGB")
        upright.thumbnail((width, width * 2))
        buffer = BytesIO()
        upright.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
