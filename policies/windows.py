"""When something may be carried out: days of the week and hours of the day, by the clock of a place.

Pure, as the rest: the caller says what time it is. Clocks that are set forward or back are those of the time zone
database (IANA, by `zoneinfo`): a window is open while the clock of its place shows a time inside it.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
_MOST_ROUNDS = (
    400  # of looking for a moment at which all of several windows are open: a year's days, and some
)


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Window:
    """Open on `days` from `opens` until just before `closes`, in `zone`; over midnight where it closes before it opens.

    A window over midnight belongs to the day on which it opens.
    """

    days: Annotated[tuple[Day, ...], Field(min_length=1)]
    opens: time
    closes: time
    zone: Annotated[str, Field(min_length=1)]

    def is_open(self, at: datetime) -> bool:
        here = at.astimezone(ZoneInfo(self.zone))
        today, yesterday = DAYS[here.weekday()], DAYS[(here - _DAY).weekday()]
        if self.opens < self.closes:
            return today in self.days and self.opens <= here.time() < self.closes
        return (today in self.days and here.time() >= self.opens) or (
            yesterday in self.days and here.time() < self.closes
        )

    def opening(self, at: datetime) -> datetime:
        """`at` while it is open, or else when it opens next. In UTC, where every moment has one name (PEP 495)."""
        if self.is_open(at):
            return at
        today = at.astimezone(ZoneInfo(self.zone)).date()
        return next(moment for moment in self._openings(today) if moment > at)

    def longest_closed(self) -> timedelta:
        """From a closing to the next opening, at most; an hour longer where the clock is set back in between."""
        lasts = (datetime.combine(date.min, self.closes) - datetime.combine(date.min, self.opens)) % _DAY
        numbers = sorted(DAYS.index(day) for day in self.days)
        following = [*numbers[1:], numbers[0] + 7]
        return max((later - one) * _DAY for one, later in zip(numbers, following, strict=True)) - lasts

    def _openings(self, first: date) -> Iterator[datetime]:
        """From a day on, one after the other. A time that no clock shows that day begins when it is set forward."""
        zone = ZoneInfo(self.zone)
        while True:
            written = datetime.combine(first, self.opens, zone)
            moments = sorted(written.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
            around = int((moments[1] - moments[0]) / _MINUTE)
            for minute in range(around + 1):
                moment = moments[0] + minute * _MINUTE
                if DAYS[first.weekday()] in self.days and self.is_open(moment):
                    yield moment
            first += _DAY


def opening(windows: Sequence[Window], at: datetime) -> datetime | None:
    """`at` while all of them are open, or else when all of them are next; None where that is not within a year."""
    for _ in range(_MOST_ROUNDS):
        latest = max((window.opening(at) for window in windows), default=at)
        if latest <= at:
            return at
        at = latest
    return None


def in_words(window: Window) -> str:
    """`Mon to Fri, 09:00 to 17:00 (Europe/Berlin)`."""
    return f"{_days(window)}, {window.opens:%H:%M} to {window.closes:%H:%M} ({window.zone})"


def moment_in_words(at: datetime, zone: str) -> str:
    """`Mon 30 Nov 09:00 (Europe/Berlin)`."""
    here = at.astimezone(ZoneInfo(zone))
    return f"{here:%a} {here.day} {here:%b %H:%M} ({zone})"


def _days(window: Window) -> str:
    numbers = sorted(DAYS.index(day) for day in window.days)
    names = [DAYS[number].capitalize() for number in numbers]
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{names[0]} to {names[-1]}"
    return ", ".join(names)
