"""What was approved and not released at any moment of the past: what a `usage:` would have said then.

Pure, as the rest: the caller brings every approval that may count. The sums are those of the database's own account
(migration 0014), for a document that was not in force at the time.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate

from .usage import Dimension, Usage

Values = Mapping[Dimension, str]
_Key = tuple[str, ...]
_Sum = tuple[str, tuple[str, ...] | None, tuple[Dimension, ...], timedelta]


@dataclass(frozen=True, slots=True)
class Approval:
    """One approval of a request, with all that it counts by. It counts from `reserved_at` on, until it is released,
    or for the window of a usage from `committed_at` on."""

    request_id: str
    values: Values
    amount_minor: int
    currency: str
    reserved_at: datetime
    committed_at: datetime | None = None
    released_at: datetime | None = None


@dataclass(slots=True)
class _Line:
    """What came to one key and went from it: moments in order, and the sum up to each."""

    came: list[tuple[datetime, int]] = field(default_factory=list)
    went: list[tuple[datetime, int]] = field(default_factory=list)
    _ready: tuple[list[datetime], list[int], list[datetime], list[int]] | None = None

    def at(self, moment: datetime) -> int:
        if self._ready is None:
            self._ready = (*_summed(self.came), *_summed(self.went))
        came, in_all, went, out_all = self._ready
        return in_all[bisect_right(came, moment)] - out_all[bisect_right(went, moment)]


def _summed(moves: list[tuple[datetime, int]]) -> tuple[list[datetime], list[int]]:
    moves.sort()
    return [moment for moment, _ in moves], [0, *accumulate(weight for _, weight in moves)]


class Ledger:
    """The sums of some usages over all these approvals, by key."""

    def __init__(self, usages: Sequence[Usage], approvals: Iterable[Approval]) -> None:
        self._lines: dict[tuple[_Sum, _Key], _Line] = {}
        self._sums = {_counting(usage): usage for usage in usages}
        self._own: dict[str, list[Approval]] = {}
        for approval in approvals:
            self._own.setdefault(approval.request_id, []).append(approval)
            for each, usage in self._sums.items():
                if _covers(usage, approval):
                    self._add(each, usage, approval)

    def used(self, usage: Usage, values: Values, currency: str, at: datetime, without: str) -> int:
        """What `usage` counted under these values at that moment, without the request of this id.

        Raises KeyError for a usage that the ledger was not made for.
        """
        each, key = _counting(usage), _key(usage, values, currency)
        if each not in self._sums:
            raise KeyError(usage.name)
        line = self._lines.get((each, key))
        own = sum(
            _weight(usage, one)
            for one in self._own.get(without, ())
            if _covers(usage, one)
            and _key(usage, one.values, one.currency) == key
            and _counts(usage, one, at)
        )
        return (line.at(at) if line else 0) - own

    def _add(self, each: _Sum, usage: Usage, approval: Approval) -> None:
        key = _key(usage, approval.values, approval.currency)
        line = self._lines.setdefault((each, key), _Line())
        line.came.append((approval.reserved_at, _weight(usage, approval)))
        if (end := _end(usage, approval)) is not None:
            line.went.append((end, _weight(usage, approval)))


def same_sum(one: Usage, other: Usage) -> bool:
    """Whether both count the same; a name and a cap change nothing of that."""
    return _counting(one) == _counting(other)


def _counting(usage: Usage) -> _Sum:
    return usage.sums, usage.of, usage.per, usage.window


def _covers(usage: Usage, approval: Approval) -> bool:
    """As `reservation_use` counts: what `of` names, and everything where it names nothing."""
    return usage.of is None or approval.values["action"] in usage.of


def _key(usage: Usage, values: Values, currency: str) -> _Key:
    return (*(values[dimension] for dimension in usage.per), currency if usage.sums == "money" else "")


def _weight(usage: Usage, approval: Approval) -> int:
    return approval.amount_minor if usage.sums == "money" else 1


def _end(usage: Usage, approval: Approval) -> datetime | None:
    """From when on it counts no more; None for what is open."""
    if approval.released_at:
        return approval.released_at
    return approval.committed_at + usage.window if approval.committed_at else None


def _counts(usage: Usage, approval: Approval, at: datetime) -> bool:
    end = _end(usage, approval)
    return approval.reserved_at <= at and (end is None or at < end)
