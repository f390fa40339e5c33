"""Counts failed attempts in Redis, so that all web processes see the same number.

When Redis is away attempts are let through: an outage of the broker must not lock everybody out,
passwords still cost an argon2 hash each, and the log says so.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from app.kit.settings import get_settings

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 15 * 60


@lru_cache
def _redis(url: str) -> "Redis":
    from redis import Redis

    return Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)


@contextmanager
def _counting() -> Iterator["Redis"]:
    """Gives Redis to the block; where it is away, the block ends there, and the log says so."""
    from redis.exceptions import RedisError

    try:
        yield _redis(get_settings().resolve_redis_url())
    except RedisError:
        logger.warning("Redis is away: attempts are not counted")


def _key(scope: str, *parts: str) -> str:
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    return f"illume:attempts:{scope}:{digest}"


def place_of(address: str) -> str:
    """Returns what counts as one place: an IPv4 address, or the /64 of one IPv6 subscriber."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ip_network((ip, 64), strict=False))
    return str(ip)


def is_over_limit(scope: str, *parts: str, limit: int) -> bool:
    """Whether `limit` attempts were counted for these parts within the window."""
    count = 0
    with _counting() as redis:
        count = int(redis.get(_key(scope, *parts)) or 0)
    return count >= limit


def count_attempt(scope: str, *parts: str) -> None:
    """Count one; the window begins with the first."""
    key = _key(scope, *parts)
    with _counting() as redis:
        pipeline = redis.pipeline()
        pipeline.set(key, 0, ex=WINDOW_SECONDS, nx=True)
        pipeline.incr(key)
        pipeline.execute()


def forget_attempts(scope: str, *parts: str) -> None:
    with _counting() as redis:
        redis.delete(_key(scope, *parts))
