"""The header `Authorization`: whether a program sends a token with it."""

from starlette.datastructures import Headers

HEADER = "Authorization"
CHALLENGE = "WWW-Authenticate"


def read_token(headers: Headers) -> str | None:
    """Returns what stands behind `Bearer`, which may be nothing; None for every other header.

    Other schemes are not ours: a proxy that asks for a password of its own hands them on.
    """
    scheme, _, rest = headers.get(HEADER, "").strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else None


def comes_with_token(headers: Headers) -> bool:
    """Whether the request shows who sends it by a token. Its cookies then count for nothing.

    No page of another site can send such a request: browsers ask us first, and we do not answer.
    """
    return read_token(headers) is not None
