"""Answers that carry an image: browsers may keep them for ever, the address is the content.

What is sent is always what `app/pictures` says a picture looks like, and nothing else that its file
holds. Work on pixels is done after the request has given its place at the database back, and two
pictures at a time: a large one takes seconds and hundreds of megabytes.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.kit.errors import NotFound, SetupError
from app.kit.sentences import Sentence
from app.kit.storage import atomic_file, image_path, resized_path, shown_path
from app.models import Image
from app.pictures import VERSION
from app.pictures.files import Shown, find_plain, show, show_smaller, shown_type
from app.pictures.seeing import PictureError
from app.web.assets.image_urls import WIDTHS

AT_A_TIME = 2
"""Pictures that one process works on."""
MANY_PIXELS = 4_000_000
"""From here on all sizes are made at once, except of JPEG: the others are decoded as a whole."""

_SMALL_TYPE = "image/jpeg"
T = TypeVar("T")


def image_response(request: Request, image: Image, *, width: int | None) -> Response:
    """Answers with the image in full, or with a smaller JPEG of it. 304 where the browser has it
    already.
    """
    etag = f'"{image.sha256}-v{VERSION}{f"-{width}" if width else ""}"'
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
    stored = StoredImage(image.sha256, image.media_type, image.width * image.height, path)
    return PictureResponse(stored, width, headers)


@dataclass(frozen=True)
class StoredImage:
    """The fields of an image that are needed once the session is gone."""

    sha256: str
    media_type: str
    n_pixels: int
    path: Path


class PictureLine:
    """The line of pictures that one process works on; the same one is not begun twice."""

    def __init__(self) -> None:
        self._places = anyio.CapacityLimiter(AT_A_TIME)
        self._locks: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    async def work(
        self, sha256: str, find: Callable[[], Shown | None], make: Callable[[], Shown]
    ) -> Shown:
        """Returns what `find` gives, now or after others worked on this image, or else `make`."""
        if (found := await run_sync(find)) is not None:
            return found
        lock = self._locks.setdefault(sha256, anyio.Lock())
        async with lock:
            return await run_sync(lambda: find() or make(), limiter=self._places)

    async def look(self, look: Callable[[], T]) -> T:
        """Returns what `look` gives, when there is a place to work on one more picture."""
        return await run_sync(look, limiter=self._places)


class PictureResponse(Response):
    """Answers with a picture; it is read, or made, when the answer is sent."""

    def __init__(self, image: StoredImage, width: int | None, headers: dict[str, str]) -> None:
        super().__init__(headers=headers)
        self._image, self._width, self._sent = image, width, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: Starlette = scope["app"]
        line: PictureLine = app.state.pictures
        image, width = self._image, self._width
        try:
            if width is None:
                shown = await line.work(
                    image.sha256, lambda: _find_full(image), lambda: _make_full(image)
                )
            else:
                shown = await line.work(
                    image.sha256,
                    lambda: _find_small(image, width),
                    lambda: _make_small(image, width),
                )
        except PictureError as error:
            raise NotFound(
                Sentence(
                    "This image cannot be shown: %(error)s Replace it, or exclude the items that "
                    "show it.",
                    error=error.reason,
                )
            ) from error
        except OSError as error:
            raise NotFound(
                Sentence("The file of this image cannot be read (%(error)s).", error=error.strerror)
            ) from error
        response = Response(shown.content, media_type=shown.media_type, headers=self._sent)
        await response(scope, receive, send)


def _find_full(image: StoredImage) -> Shown | None:
    media_type = shown_type(image.media_type)
    kept = _read_kept(shown_path(image.sha256, media_type))
    return Shown(kept, media_type) if kept else find_plain(image.path.read_bytes())


def _make_full(image: StoredImage) -> Shown:
    shown = show(image.path.read_bytes())
    _keep(shown_path(image.sha256, shown.media_type), shown.content)
    return shown


def _find_small(image: StoredImage, width: int) -> Shown | None:
    kept = _read_kept(resized_path(image.sha256, width))
    return Shown(kept, _SMALL_TYPE) if kept else None


def _make_small(image: StoredImage, width: int) -> Shown:
    """Made once and kept beside the originals: the address is the content here too."""
    at_once = image.media_type != "image/jpeg" and image.n_pixels >= MANY_PIXELS
    made = show_smaller(image.path, WIDTHS if at_once else (width,))
    for size, content in made.items():
        _keep(resized_path(image.sha256, size), content)
    return Shown(made[width], _SMALL_TYPE)


def _read_kept(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:  # not made yet, or not readable: it can be made again
        return None


def _keep(path: Path, content: bytes) -> None:
    # A full disk or a store that cannot be written must not keep a picture from who asks for it.
    with suppress(SetupError, OSError), atomic_file(path) as stream:
        stream.write(content)
