"""A person's own hours: when they want to be left alone, and when their digest is written. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

DAY = timedelta(days=1)


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """Names of the IANA database that are places, and UTC."""
    kept = (one for one in available_timezones() if "/" in one and not one.startswith(("Etc/", "SystemV/")))
    return ("UTC", *sorted(kept))


def quiet_until(now: datetime, begins: time | None, ends: time | None, zone: str) -> datetime | None:
    """When the quiet hours that `now` falls into end, in UTC; None where it falls into none.

    Hours that end before they begin go past midnight.
    """
    if begins is None or ends is None:
        return None
    today = now.astimezone(ZoneInfo(zone)).date()
    for day in (today - DAY, today):
        start = _at(day, begins, zone)
        end = _at(day if ends > begins else day + DAY, ends, zone)
        if start <= now < end:
            return end
    return None


def next_at(hour: time, zone: str, after: datetime) -> datetime:
    """The next moment, later than `after`, at which a clock in that zone shows the hour; in UTC."""
    today = after.astimezone(ZoneInfo(zone)).date()
    return next(at for days in range(3) if (at := _at(today + days * DAY, hour, zone)) > after)


def _at(day: date, hour: time, zone: str) -> datetime:
    return datetime.combine(day, hour, ZoneInfo(zone)).astimezone(UTC)
