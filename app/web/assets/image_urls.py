"""Addresses of a project's pictures, in the sizes that browsers may ask for."""

from app.pictures import VERSION
from app.web.assets.addresses import address

THUMB_WIDTHS = (160, 320)
SCREEN_WIDTHS = (640, 960, 1280, 1920)
WIDTHS = THUMB_WIDTHS + SCREEN_WIDTHS
"""Widths that may be asked for: any number would let anybody keep the server busy."""


def image_url(slug: str, sha256: str, width: int | None = None) -> str:
    """Returns the address of an image, readable by the members of the project. It names the rules
    by which pictures are seen: what a browser keeps of older ones is not shown again.
    """
    size = f"w={width}&" if width else ""
    return address(f"/projects/{slug}/images/{sha256}?{size}v={VERSION}")


def srcset(slug: str, sha256: str, width: int) -> str:
    """Returns the sizes of an image that a browser may choose from: those below its own, and its
    own.
    """
    smaller = [f"{image_url(slug, sha256, w)} {w}w" for w in SCREEN_WIDTHS if w < width]
    return ", ".join([*smaller, f"{image_url(slug, sha256)} {width}w"])
