"""Full addresses, for links that people copy."""

from starlette.requests import Request

from app.settings import get_settings


def full_address(request: Request, path: str) -> str:
    """The path under PUBLIC_URL, or under the address by which the asking browser reaches us."""
    base = get_settings().public_url or str(request.base_url).rstrip("/")
    return base + path
