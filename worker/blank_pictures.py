"""Blank pictures: what a model is shown when it has to do without the picture."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image as PillowImage

from app.models import Image

GREY = (127, 127, 127)


@contextmanager
def blank_pictures() -> Iterator[Callable[[Image], Path]]:
    """A function that gives an evenly grey picture as large as an image; gone with the block.

    The size stays, so that a model which cuts large pictures into tiles sees as many of them. Half
    grey is nearly nothing after the usual normalisation, which takes the mean away.
    """
    with tempfile.TemporaryDirectory(prefix="illume-blank-") as folder:

        def path_of(image: Image) -> Path:
            path = Path(folder) / f"{image.width}x{image.height}.png"
            if not path.exists():
                PillowImage.new("RGB", (image.width, image.height), GREY).save(path)
            return path

        yield path_of
