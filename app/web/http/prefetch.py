"""Telling a person who opens a link from a program that merely looks at it."""

from starlette.requests import Request

from app.kit.settings import get_settings


def is_opened_by_a_person(request: Request) -> bool:
    """Whether a browser navigates here. Without PUBLIC_URL no link preview can reach us at all."""
    headers = request.headers
    if "prefetch" in (headers.get("Sec-Purpose") or headers.get("Purpose") or ""):
        return False
    return get_settings().public_url is None or headers.get("Sec-Fetch-Mode") == "navigate"
