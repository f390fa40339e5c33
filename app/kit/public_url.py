"""PUBLIC_URL: the address that people open, and the path below which all pages then stand."""

import re
from urllib.parse import SplitResult, urlsplit

OWN_NAMES = frozenset(
    {
        "account",
        "adapters",
        "favicon.ico",
        "health",
        "images",
        "items",
        "join",
        "judgements",
        "language",
        "mine",
        "people",
        "projects",
        "releases",
        "rounds",
        "runs",
        "sign-in",
        "sign-out",
        "static",
        "theme",
    }
)
"""What the paths of our own pages begin with. No path before them may: some proxies take it away,
others pass it on, and a request has to say by itself which of the two it came through."""

_NAME = re.compile(r"[A-Za-z0-9._~-]+")


def read_public_url(given: str) -> str | None:
    """Returns the address without a slash at its end, or None where nothing was given.

    Raises ValueError, with a sentence that says what to write, where it is no address of a site.
    """
    given = given.strip()
    if not given:
        return None
    parts = _split(given)
    if parts.scheme not in {"http", "https"}:
        raise ValueError("must start with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or a password: leave out what stands before the @")
    if not parts.hostname:
        raise ValueError("names no host: write it like https://illume.example.org")
    if "?" in given or "#" in given:
        raise ValueError("must end with the path: leave out the ? or #, and what follows it")
    path = parts.path.rstrip("/")
    _check_path(path)
    return f"{parts.scheme}://{parts.netloc}{path}"


def _split(given: str) -> SplitResult:
    if re.search(r"[\s\\\x00-\x1f\x7f]", given):
        raise ValueError("must not hold spaces or backslashes")
    try:
        parts = urlsplit(given)
        _ = parts.port
    except ValueError as error:
        raise ValueError("is no address: write it like https://illume.example.org") from error
    return parts


def _check_path(path: str) -> None:
    for name in path.split("/")[1:]:
        if name in {".", ".."} or not _NAME.fullmatch(name):
            raise ValueError(
                "may have a path of names between single slashes (letters, digits, and . _ ~ -), "
                "like https://example.org/illume"
            )
    first = path.split("/")[1] if path else ""
    if first in OWN_NAMES:
        raise ValueError(
            f"cannot have a path that begins with /{first}, as pages of ILLUME do: "
            f"choose another, like /illume"
        )


def path_of(public_url: str | None) -> str:
    """Returns the path below which the pages stand, like /illume; empty where there is none."""
    return urlsplit(public_url).path if public_url else ""
