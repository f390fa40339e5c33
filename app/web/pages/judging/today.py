"""When today began where the reader is."""

from collections.abc import Mapping, Set
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

TIME_ZONE_COOKIE = "tz"


@lru_cache
def _known_zones() -> Set[str]:
    """Names that browsers give; the database knows them too, unlike those of this machine alone."""
    return available_timezones() - {"Factory", "localtime"}


def day_start(cookies: Mapping[str, str], now: datetime | None = None) -> datetime:
    """Returns when today began where the reader is; app.js tells the time zone in a cookie."""
    now = now or datetime.now(UTC)
    wanted = cookies.get(TIME_ZONE_COOKIE, "")
    zone = ZoneInfo(wanted if wanted in _known_zones() else "UTC")
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
