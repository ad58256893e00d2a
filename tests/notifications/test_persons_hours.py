"""Quiet hours and the hour of a digest, on clocks of all the world."""

from datetime import UTC, datetime, time

import pytest

from approvals.notifications.persons_hours import next_at, quiet_until, zones


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "begins", "ends", "zone", "until"),
    [
        ("2026-11-26T21:59", time(22), time(7), "UTC", None),
        ("2026-11-26T22:00", time(22), time(7), "UTC", "2026-11-27T07:00"),
        ("2026-11-27T06:59", time(22), time(7), "UTC", "2026-11-27T07:00"),
        ("2026-11-27T07:00", time(22), time(7), "UTC", None),
        ("2026-11-26T12:30", time(12), time(13), "UTC", "2026-11-26T13:00"),
        ("2026-11-26T13:00", time(12), time(13), "UTC", None),
        ("2026-11-26T12:30", time(22), time(7), "Asia/Tokyo", None),
        ("2026-11-26T13:30", time(22), time(7), "Asia/Tokyo", "2026-11-26T22:00"),
        ("2026-11-27T04:00", time(22), time(7), "America/New_York", "2026-11-27T12:00"),
        # The night of 29 March 2026 has one hour less in Berlin, that of 25 October one more.
        ("2026-03-28T22:00", time(22), time(7), "Europe/Berlin", "2026-03-29T05:00"),
        ("2026-10-24T22:00", time(22), time(7), "Europe/Berlin", "2026-10-25T06:00"),
        ("2026-11-26T12:00", None, None, "UTC", None),
    ],
)
def test_quiet_hours_end_when_a_clock_there_says_so(
    now: str, begins: time | None, ends: time | None, zone: str, until: str | None
) -> None:
    assert quiet_until(at(now), begins, ends, zone) == (at(until) if until else None)


@pytest.mark.parametrize(
    ("after", "zone", "then"),
    [
        ("2026-11-26T07:59", "UTC", "2026-11-26T08:00"),
        ("2026-11-26T08:00", "UTC", "2026-11-27T08:00"),
        ("2026-11-26T22:59", "Asia/Tokyo", "2026-11-26T23:00"),
        ("2026-11-26T23:00", "Asia/Tokyo", "2026-11-27T23:00"),
        ("2026-03-28T08:00", "Europe/Berlin", "2026-03-29T06:00"),
    ],
)
def test_a_digest_is_due_once_a_day_at_its_hour_there(after: str, zone: str, then: str) -> None:
    assert next_at(time(8), zone, at(after)) == at(then)


def test_each_zone_that_is_offered_can_be_counted_in() -> None:
    assert {"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"} <= set(zones())
    for zone in zones():
        assert next_at(time(8), zone, at("2026-11-26T08:00")) > at("2026-11-26T08:00")
