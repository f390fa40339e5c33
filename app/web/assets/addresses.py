"""Turns paths into addresses; nothing else knows below which path of a host the pages stand.

Inside the application, in handlers, templates, scripts and the database, a path is one of our own,
such as /projects. What a browser is told, a link, a form, a redirect, a picture, is `address` of
it: with PUBLIC_URL=https://example.org/illume that is /illume/projects.
"""

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from app.kit.public_url import OWN_NAMES, path_of
from app.kit.settings import get_settings


def site_path() -> str:
    """Returns the path that all addresses begin with, like /illume; mostly an empty one."""
    return path_of(get_settings().public_url)


def cookie_path() -> str:
    """Returns the path that our cookies are for: other sites of the host do not get them."""
    return site_path() or "/"


def address(path: str) -> str:
    """Returns the address of one of our paths; an address is returned as it is.

    The two cannot be mixed up: PUBLIC_URL is refused where its path begins as ours do.
    """
    return path if is_below(path, site_path()) else site_path() + path


def full_address(request: Request, path: str) -> str:
    """Returns the path under PUBLIC_URL, or under the address by which the asking browser reaches
    us.
    """
    base = get_settings().public_url or str(request.base_url).rstrip("/")
    return base + path


def own_path(request: Request) -> str:
    """Returns which of our paths is asked for."""
    return read_own_path(request.scope)


def read_own_path(scope: Mapping[str, Any]) -> str:
    return without_site_path(str(scope["path"])) or "/"


def without_site_path(path: str) -> str:
    """Returns our own path of an address that a browser named; others are returned as they are."""
    return path.removeprefix(site_path()) if is_below(path, site_path()) else path


def is_below(path: str, site: str) -> bool:
    """Whether an address is of the site that stands below this path of its host."""
    rest = path.removeprefix(site)
    return bool(site) and rest != path and rest[:1] in {"", "/", "?", "#"}


def written_address(href: str) -> str:
    """Returns the address of a link that somebody wrote, for example into guidelines.

    A path of ours is one also below a path; what else the host has is left alone.
    """
    name = re.match(r"/([^/?#]*)", href)
    return address(href) if name and name[1] in OWN_NAMES else href
