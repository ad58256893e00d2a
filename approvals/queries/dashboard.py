"""How what a tenant's agents ask for fares, within a period: counted by the database, for operators.

Requests are those that were filed in the period, as they stand now; exercises are in no number. Each statement reads a
range of an index that begins with tenant and time, so it costs by how much there is in the period, which is bounded.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias
from uuid import UUID

from django.db import connection

from approvals.database import tenant_scope
from approvals.identity.requester import Reviewer
from approvals.models import Vote
from approvals.queries.period import Period
from approvals.states import Status

# How requests stand, in as few groups as a chart can tell apart. Each status is in one of them.
GROUPS: dict[str, tuple[Status, ...]] = {
    "done": (Status.SUCCEEDED,),
    "denied": (Status.DENIED,),
    "lapsed": (Status.EXPIRED, Status.WITHDRAWN),
    "trouble": (Status.FAILED, Status.UNCERTAIN),
    "open": (
        Status.PENDING,
        Status.CHANGES_REQUESTED,
        Status.APPROVED,
        Status.STALE,
        Status.EXECUTING,
    ),
}

# The first day of the step that a moment belongs to, whatever zone the connection has.
_STARTS = "date_trunc(%(step)s, created_at AT TIME ZONE 'UTC')::date"
_FILED_THEN = """
    FROM approval_request
    WHERE tenant_id = %(tenant)s AND created_at >= %(since)s AND created_at < %(until)s AND NOT is_canary
"""
FILED = f"""
SELECT {_STARTS} AS starts, status, doubted_at IS NOT NULL, count(*)
{_FILED_THEN} GROUP BY 1, 2, 3
"""
# What people decided, and no rule: by its votes, too, for another policy may have said something else since. An
# approval that was taken back was decided when it was.
TIMES = f"""
SELECT starts, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds),
    percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds)
FROM (
    SELECT {_STARTS} AS starts,
        extract(epoch FROM decided_at - created_at)::float8 AS seconds
    {_FILED_THEN} AND decided_at IS NOT NULL AND (verdict ->> 'kind' = 'require' OR EXISTS (
        SELECT FROM vote v WHERE v.request_id = approval_request.id AND v.tenant_id = approval_request.tenant_id
            AND v.decision IN ('approve', 'deny')))
) AS decided
GROUP BY GROUPING SETS ((starts), ())
"""  # noqa: S608
MONEY = f"""
SELECT action, currency, count(*), sum(amount_minor), count(*) FILTER (WHERE status = 'succeeded'),
    coalesce(sum(amount_minor) FILTER (WHERE status = 'succeeded'), 0)
{_FILED_THEN} AND currency <> '' GROUP BY action, currency ORDER BY currency, action
"""
VOTES = f"""
SELECT {_STARTS.replace("created_at", "v.created_at")} AS starts, v.decision, count(*)
FROM vote v JOIN approval_request r ON r.id = v.request_id AND r.tenant_id = v.tenant_id
WHERE v.tenant_id = %(tenant)s AND v.created_at >= %(since)s AND v.created_at < %(until)s AND NOT r.is_canary
GROUP BY 1, 2
"""  # noqa: S608
# As `deliveries.delivery` tells them: what ended and says why was needed by nobody any more, and never sent.
MESSAGES = f"""
SELECT {_STARTS} AS starts,
    CASE WHEN gave_up_at IS NOT NULL THEN 'gave_up' WHEN done_at IS NULL THEN 'waiting'
        WHEN last_error = '' THEN 'sent' ELSE 'dropped' END, count(*)
FROM outbox
WHERE tenant_id = %(tenant)s AND created_at >= %(since)s AND created_at < %(until)s AND topic IN ('deliver', 'mail')
GROUP BY 1, 2
"""  # noqa: S608

Number: TypeAlias = int | float | None
Found: TypeAlias = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Point:
    """One step of the period: its first day in it, and a value for each key of the series; None is none to tell."""

    day: date
    values: tuple[Number, ...]


@dataclass(frozen=True)
class Series:
    """What is counted step by step, in the order of time, with a point for each step."""

    keys: tuple[str, ...]
    points: tuple[Point, ...]

    def total(self, key: str) -> int:
        """Of a key that counts."""
        place = self.keys.index(key)
        return sum(int(point.values[place] or 0) for point in self.points)

    @property
    def is_empty(self) -> bool:
        return not any(value for point in self.points for value in point.values)


@dataclass(frozen=True)
class Moved:
    """What one action asked for in one currency, in minor units, and what of it was carried out."""

    action: str
    currency: str
    filed: int
    asked_minor: int
    done: int
    done_minor: int


@dataclass(frozen=True)
class Dashboard:
    """`statuses` has all of them, in the order of a request's life. Times are in seconds, None where nobody decided."""

    period: Period
    filed: Series
    statuses: tuple[tuple[Status, int], ...]
    times: Series
    decided: int
    median_seconds: float | None
    ninth_seconds: float | None  # nine of ten were decided in that time
    votes: Series
    doubt: Series
    messages: Series
    money: tuple[Moved, ...]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.statuses)

    @property
    def by_status(self) -> dict[str, int]:
        return {str(status): count for status, count in self.statuses}

    @property
    def approved_percent(self) -> float | None:
        return share(self.votes.total("approve"), self.votes.total("deny"))


def dashboard(by: Reviewer, period: Period) -> Dashboard:
    """For operators: the caller checks."""
    with tenant_scope(by.tenant_id):
        stood, times, money, votes, messages = (
            _asked(sql, by, period) for sql in (FILED, TIMES, MONEY, VOTES, MESSAGES)
        )
    overall = next((row for row in times if row[0] is None), (None, 0, None, None))
    return Dashboard(
        period=period,
        filed=_filed(period, stood),
        statuses=tuple((status, sum(row[3] for row in stood if row[1] == status)) for status in Status),
        times=_times(period, times),
        decided=overall[1],
        median_seconds=overall[2],
        ninth_seconds=overall[3],
        votes=_votes(period, votes),
        doubt=_doubt(period, stood),
        messages=_counted(period, ("sent", "waiting", "gave_up", "dropped"), messages),
        money=tuple(
            Moved(action, currency, filed, int(asked_minor), done, int(done_minor))
            for action, currency, filed, asked_minor, done, done_minor in money
        ),
    )


def whole_percent(value: float) -> int:
    """Rounded, and never to 0 or 100 what is not: 99.7 % is 99."""
    return round(value) if value in (0, 100) else min(max(round(value), 1), 99)


def share(approvals: int, denials: int) -> float | None:
    """Of votes that approve or deny, those that approve, in per cent; None where there is neither."""
    return 100 * approvals / (approvals + denials) if approvals + denials else None


def _asked(sql: str, by: Reviewer, period: Period) -> Found:
    asked: dict[str, UUID | datetime | str] = {
        "tenant": by.tenant_id,
        "since": period.since,
        "until": period.until,
        "step": period.step,
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, asked)
        return list(cursor.fetchall())


def _filed(period: Period, found: Found) -> Series:
    group_of = {status: group for group, statuses in GROUPS.items() for status in statuses}
    return _counted(period, tuple(GROUPS), [(row[0], group_of[Status(row[1])], row[3]) for row in found])


def _doubt(period: Period, found: Found) -> Series:
    """What failed, what is in doubt, and what was in doubt and was carried out after all."""
    told = {Status.FAILED: "failed", Status.UNCERTAIN: "uncertain"}
    rows = [
        (starts, told.get(Status(status), "settled"), count)
        for starts, status, was_doubted, count in found
        if status in told or (was_doubted and status == Status.SUCCEEDED)
    ]
    return _counted(period, ("failed", "uncertain", "settled"), rows)


def _times(period: Period, found: Found) -> Series:
    told = {row[0]: (row[2], row[3], row[1]) for row in found if row[0] is not None}
    return _series(period, ("median", "ninth", "decided"), told, nothing=(None, None, 0))


def _votes(period: Period, found: Found) -> Series:
    cast = _counted(period, (Vote.APPROVE, Vote.DENY, Vote.CHANGES), found)
    told = [
        Point(point.day, (share(int(point.values[0] or 0), int(point.values[1] or 0)), *point.values))
        for point in cast.points
    ]
    return Series(("share", *cast.keys), tuple(told))


def _counted(period: Period, keys: tuple[str, ...], found: Iterable[Sequence[Any]]) -> Series:
    """`found` has rows of when the step begins, a key and a number; what has none counts as 0."""
    counts: dict[date, list[int]] = {}
    for starts, key, count in found:
        counts.setdefault(starts, [0] * len(keys))[keys.index(key)] += count
    told = {day: tuple(numbers) for day, numbers in counts.items()}
    return _series(period, keys, told, nothing=(0,) * len(keys))


def _series(
    period: Period,
    keys: tuple[str, ...],
    told: Mapping[date, tuple[Number, ...]],
    *,
    nothing: tuple[Number, ...],
) -> Series:
    points = (Point(max(starts, period.first), told.get(starts, nothing)) for starts in period.starts)
    return Series(keys, tuple(points))
