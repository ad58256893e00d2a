"""When a window is open, by the clock of its place: days, hours, midnight, and the nights in which clocks move."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.windows import DAYS, Window, in_words, moment_in_words, opening

OFFICE = Window(DAYS[:5], time(9), time(17), "Europe/Berlin")
NIGHT = Window(("fri", "sat"), time(22), time(6), "Europe/Berlin")
MINUTE = timedelta(minutes=1)

windows = st.builds(
    Window,
    days=st.lists(st.sampled_from(DAYS), min_size=1, unique=True).map(tuple),
    opens=st.times(min_value=time(0), max_value=time(11)).map(lambda at: at.replace(second=0, microsecond=0)),
    closes=st.times(min_value=time(12), max_value=time(23)).map(
        lambda at: at.replace(second=0, microsecond=0)
    ),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
)
moments = st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: at("2026-01-01T00:00:00") + minutes * MINUTE)


def at(text: str) -> datetime:
    """UTC, from ISO 8601."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "moment", "expected"),
    [
        (OFFICE, "2026-11-30T07:59:59", False),  # 08:59:59 in Berlin, on a Monday
        (OFFICE, "2026-11-30T08:00:00", True),
        (OFFICE, "2026-11-30T15:59:59", True),
        (OFFICE, "2026-11-30T16:00:00", False),  # it closes at the moment that it names
        (OFFICE, "2026-07-06T07:00:00", True),  # summer time: two hours from UTC
        (OFFICE, "2026-11-28T10:00:00", False),  # a Saturday
        (NIGHT, "2026-11-27T21:30:00", True),  # Friday 22:30
        (NIGHT, "2026-11-28T04:59:00", True),  # still Friday's
        (NIGHT, "2026-11-28T05:00:00", False),
        (NIGHT, "2026-11-29T04:59:00", True),  # Sunday morning is Saturday's
        (NIGHT, "2026-11-30T04:59:00", False),  # Monday morning would be Sunday's
        (NIGHT, "2026-11-27T04:59:00", False),  # and Friday morning Thursday's
    ],
)
def test_a_window_is_open_while_its_clock_shows_a_time_inside_it(
    window: Window, moment: str, expected: bool
) -> None:
    assert window.is_open(at(moment)) is expected


@pytest.mark.parametrize(
    ("window", "moment", "opens"),
    [
        (OFFICE, "2026-11-27T16:00:00", "2026-11-30T08:00:00"),  # from Friday's closing to Monday
        (OFFICE, "2026-11-30T07:00:00", "2026-11-30T08:00:00"),
        (OFFICE, "2026-11-30T08:30:00", "2026-11-30T08:30:00"),  # open: now
        (OFFICE, "2026-10-23T15:30:00", "2026-10-26T08:00:00"),  # over the night in which clocks go back
        (OFFICE, "2026-03-27T16:30:00", "2026-03-30T07:00:00"),  # and forward
        (NIGHT, "2026-11-29T06:00:00", "2026-12-04T21:00:00"),
    ],
)
def test_the_next_opening_is_that_of_its_own_clock(window: Window, moment: str, opens: str) -> None:
    assert window.opening(at(moment)) == at(opens)


def test_an_hour_that_clocks_skip_opens_when_they_have_skipped_it() -> None:
    """On 29 March 2026 no clock in Berlin shows 02:30; after 01:59 comes 03:00."""
    early = Window(("sun",), time(2, 30), time(4), "Europe/Berlin")
    assert early.opening(at("2026-03-28T12:00:00")) == at("2026-03-29T01:00:00")
    skipped = Window(("sun",), time(2, 15), time(2, 45), "Europe/Berlin")
    assert skipped.opening(at("2026-03-28T12:00:00")) == at("2026-04-05T00:15:00")


def test_an_hour_that_clocks_show_twice_is_open_twice() -> None:
    twice = Window(("sun",), time(2, 30), time(2, 45), "Europe/Berlin")
    assert twice.opening(at("2026-10-25T00:00:00")) == at("2026-10-25T00:30:00")
    assert twice.opening(at("2026-10-25T00:50:00")) == at("2026-10-25T01:30:00")


@given(windows, moments)
def test_an_opening_is_open_and_nothing_before_it_is(window: Window, moment: datetime) -> None:
    opens = window.opening(moment)
    assert window.is_open(opens)
    assert opens >= moment
    if opens > moment:
        assert not window.is_open(opens - MINUTE)
        assert not window.is_open(moment + (opens - moment) / 2)
    assert opens - moment <= window.longest_closed() + timedelta(hours=1)


@given(st.lists(windows, min_size=1, max_size=3), moments)
def test_several_windows_open_when_all_of_them_are(given: list[Window], moment: datetime) -> None:
    opens = opening(given, moment)
    assert opens is None or (opens >= moment and all(window.is_open(opens) for window in given))


def test_windows_that_never_meet_never_open() -> None:
    monday, tuesday = (Window((day,), time(9), time(17), "UTC") for day in ("mon", "tue"))
    assert opening((monday, tuesday), at("2026-11-30T10:00:00")) is None
    assert opening((), at("2026-11-30T10:00:00")) == at("2026-11-30T10:00:00")


@pytest.mark.parametrize(
    ("window", "hours"),
    [(OFFICE, 64), (NIGHT, 5 * 24 + 16), (Window(DAYS, time(9), time(17), "UTC"), 16)],
)
def test_how_long_it_is_closed_at_most(window: Window, hours: int) -> None:
    assert window.longest_closed() == timedelta(hours=hours)


def test_in_words() -> None:
    assert in_words(OFFICE) == "Mon to Fri, 09:00 to 17:00 (Europe/Berlin)"
    assert in_words(NIGHT) == "Fri, Sat, 22:00 to 06:00 (Europe/Berlin)"
    assert moment_in_words(at("2026-11-30T08:00:00"), "Europe/Berlin") == "Mon 30 Nov 09:00 (Europe/Berlin)"
