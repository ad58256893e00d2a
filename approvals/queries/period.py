"""A span of whole days in UTC, and the steps in which it is counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, TypeAlias

Step: TypeAlias = Literal["day", "week", "month"]

LONGEST = 366  # days
DAILY, WEEKLY = 31, 186  # days up to which each day, and each week, is counted by itself


@dataclass(frozen=True)
class Period:
    """From the first day to the last, both included. Weeks begin on Monday, as in ISO 8601."""

    first: date
    last: date

    @property
    def since(self) -> datetime:
        return _midnight(self.first)

    @property
    def until(self) -> datetime:
        """The moment after the last day."""
        return _midnight(self.last + timedelta(days=1))

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def step(self) -> Step:
        return "day" if self.days <= DAILY else "week" if self.days <= WEEKLY else "month"

    @property
    def starts(self) -> tuple[date, ...]:
        """When each step begins, as PostgreSQL's date_trunc says it: the first one may begin before the period."""
        return tuple(self._starts())

    def _starts(self) -> Iterator[date]:
        at = self.first
        if self.step == "week":
            at -= timedelta(days=at.weekday())
        elif self.step == "month":
            at = at.replace(day=1)
        while at <= self.last:
            yield at
            at = self._after(at)

    def _after(self, at: date) -> date:
        if self.step == "month":
            return (at + timedelta(days=31)).replace(day=1)
        return at + timedelta(days=1 if self.step == "day" else 7)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
