"""How much of every budget is used: for whoever operates the agents, and whoever audits them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum, Value
from django.utils import timezone

from approvals import judge
from approvals.database import tenant_scope
from approvals.identity.models import Agent, Person
from approvals.identity.requester import Reviewer
from approvals.models import Reservation
from approvals.queries.paging import ROWS, Page, page
from policies.durations import in_words
from policies.usage import Usage

# Where a dimension stands in a reservation; the tenant is that of all of them.
_COLUMN = {
    "agent": "requester",
    "principal": "principal",
    "customer": "customer",
    "order": "order",
    "action": "action",
}


@dataclass(frozen=True)
class Spent:
    """One budget under one key: what is used of the cap. `whose` has a value for each dimension, in words."""

    name: str
    window: str
    whose: tuple[tuple[str, str], ...]
    used: str
    cap: str
    left: str
    is_full: bool
    percent: int  # used of the cap, 100 at most


@dataclass(frozen=True)
class Capped:
    """One budget of the policy in force, whether or not anything is used of it."""

    name: str
    per: tuple[str, ...]  # the dimensions
    window: str
    caps: tuple[str, ...]  # one for each currency


@dataclass(frozen=True)
class _Row:
    place: int
    usage: Usage
    key: tuple[str, ...]  # in the order of `per`, and last the currency
    used: int

    @property
    def mark(self) -> str:
        return f"{self.place}~{json.dumps(self.key)}"


def spent(by: Reviewer, *, after: str = "", rows: int = ROWS) -> Page[Spent]:
    """By the policy in force, in its order; what nobody has used does not appear. `after` is a page's mark.

    Raises BudgetsUnknown.
    """
    with tenant_scope(by.tenant_id):
        capped = [usage for usage in judge.every_usage(judge.in_force()) if usage.cap is not None]
        found = []
        for row in _rows(capped, _parsed(after), rows + 1):
            found.append(row)
            if len(found) > rows:
                break
        names = _names(found)
    return page([_spent(row, names) for row in found], [row.mark for row in found], rows)


def capped(by: Reviewer) -> tuple[Capped, ...]:
    """In the order of the policy in force. Raises BudgetsUnknown."""
    with tenant_scope(by.tenant_id):
        usages = judge.every_usage(judge.in_force())
    return tuple(
        Capped(usage.name.replace("_", " "), usage.per, in_words(usage.window), _caps(usage))
        for usage in usages
        if usage.cap is not None
    )


def _caps(usage: Usage) -> tuple[str, ...]:
    if isinstance(usage.cap, Mapping):
        return tuple(usage.written(cap, currency) for currency, cap in sorted(usage.cap.items()))
    return (usage.written(usage.cap or 0, ""),)


def _rows(usages: Sequence[Usage], after: tuple[int, tuple[str, ...]] | None, most: int) -> Iterator[_Row]:
    for place, usage in enumerate(usages):
        if after and place < after[0]:
            continue
        columns = _columns(usage)
        counted = _counted(usage).annotate(always=Value(1)).values("always", *columns)
        if after and place == after[0] and len(after[1]) == len(columns):
            counted = counted.filter(_behind(columns, after[1]))
        total = Sum("amount_minor") if usage.sums == "money" else Count("id")
        for row in counted.annotate(used=total).order_by(*columns)[:most]:
            yield _Row(place, usage, tuple(str(row[column]) for column in columns), int(row["used"]))


def _columns(usage: Usage) -> list[str]:
    columns = [_COLUMN[dimension] for dimension in usage.per if dimension in _COLUMN]
    return [*columns, "currency"] if usage.sums == "money" else columns


def _counted(usage: Usage) -> QuerySet[Reservation]:
    """As `reservation_use` counts: what is open, and what was committed within the window."""
    since = timezone.now() - usage.window
    rows = Reservation.objects.filter(Q(committed_at=None) | Q(committed_at__gt=since), released_at=None)
    if usage.of is not None:
        rows = rows.filter(action__in=usage.of)
    return rows.exclude(currency="") if usage.sums == "money" else rows


def _behind(columns: Sequence[str], values: Sequence[str]) -> Q:
    """Rows that come after these values, compared column by column."""
    found = Q(pk__in=())
    for place, column in enumerate(columns):
        same = dict(zip(columns[:place], values, strict=False))
        found |= Q(**same, **{f"{column}__gt": values[place]})
    return found


def _parsed(mark: str) -> tuple[int, tuple[str, ...]] | None:
    """None for anything that is no mark, which reads as the first page."""
    place, _, key = mark.partition("~")
    try:
        values = json.loads(key)
        return int(place), tuple(str(each).replace("\0", "") for each in values)
    except (ValueError, TypeError, RecursionError):
        return None


def _names(rows: Sequence[_Row]) -> dict[str, str]:
    """Of the agents and people among the keys, by their ids."""
    ids = {
        value
        for row in rows
        for column, value in zip(_columns(row.usage), row.key, strict=True)
        if column in ("requester", "principal")
    }
    if not ids:
        return {}
    known = [UUID(each) for each in ids]
    named = [
        *Person.objects.filter(pk__in=known).values_list("pk", "name"),
        *Agent.objects.filter(pk__in=known).values_list("pk", "name"),
    ]
    return {str(pk): name for pk, name in named}


def _spent(row: _Row, names: dict[str, str]) -> Spent:
    usage, columns = row.usage, _columns(row.usage)
    currency = row.key[-1] if usage.sums == "money" else ""
    values = dict(zip(columns, row.key, strict=True))
    cap = usage.cap_in(currency) or 0
    whose = tuple(
        (dimension, names.get(value, value))
        for dimension in usage.per
        if dimension in _COLUMN
        for value in (values[_COLUMN[dimension]],)
    )
    return Spent(
        name=usage.name.replace("_", " "),
        window=in_words(usage.window),
        whose=whose,
        used=usage.written(row.used, currency),
        cap=usage.written(cap, currency),
        left=usage.written(max(cap - row.used, 0), currency),
        is_full=row.used >= cap,
        percent=min(100 * row.used // cap, 100) if cap else 100,
    )
