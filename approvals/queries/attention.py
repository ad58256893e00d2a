"""How a tenant's people decide: how often, how fast and with what answer. Counted by the database in one statement.

Numbers about people, for them: each sees their own, auditors and operators everybody's, nobody a ranking.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from django.db import connection
from django.utils import timezone

from approvals.database import tenant_scope
from approvals.identity.requester import Reviewer
from approvals.models import CanarySetting
from approvals.queries import exercises
from approvals.queries.dashboard import whole_percent
from approvals.queries.paging import Page, page
from approvals.queries.period import Period

PERIODS = (7, 30, 90)  # days
ENOUGH = 5  # decisions; of fewer, a share or a middle says nothing about a person
ROWS = 50

Asked: TypeAlias = Mapping[str, UUID | datetime | int | None]

# An exercise counts as one, and in nothing else: it would make a share or a time of what was made up.
COUNTED = """
WITH decision AS (
    SELECT v.person_id, v.decision, v.looked_for_seconds AS seconds, r.is_canary,
        date_trunc('hour', v.created_at, 'UTC') AS hour
    FROM vote v JOIN approval_request r ON r.id = v.request_id AND r.tenant_id = v.tenant_id
    WHERE v.tenant_id = %(tenant)s AND v.created_at >= %(since)s
        AND v.created_at < coalesce(%(until)s::timestamptz, 'infinity')
        AND (%(person)s::uuid IS NULL OR v.person_id = %(person)s)
), busiest AS (
    SELECT person_id, max(decisions) AS decisions FROM (
        SELECT person_id, count(*) AS decisions FROM decision WHERE NOT is_canary GROUP BY person_id, hour
    ) AS hourly GROUP BY person_id
)
SELECT p.id, p.name,
    count(*) FILTER (WHERE NOT d.is_canary),
    coalesce(b.decisions, 0),
    count(*) FILTER (WHERE NOT d.is_canary AND d.decision = 'approve'),
    count(d.seconds) FILTER (WHERE NOT d.is_canary),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY d.seconds) FILTER (WHERE NOT d.is_canary),
    min(d.seconds) FILTER (WHERE NOT d.is_canary),
    count(*) FILTER (WHERE d.is_canary),
    count(*) FILTER (WHERE d.is_canary AND d.decision = 'approve')
FROM decision d JOIN identity_person p ON p.id = d.person_id LEFT JOIN busiest b ON b.person_id = d.person_id
WHERE %(after)s::uuid IS NULL
    OR (lower(p.name), p.id) > (SELECT lower(a.name), a.id FROM identity_person a WHERE a.id = %(after)s)
GROUP BY p.id, p.name, b.decisions ORDER BY lower(p.name), p.id LIMIT %(rows)s
"""


@dataclass(frozen=True)
class Measures:
    """One person's decisions in a period. What would say too little about them is None."""

    person_id: UUID
    name: str
    decisions: int
    in_busiest_hour: int
    approved_percent: int | None
    timed: int
    median_seconds: float | None
    shortest_seconds: int | None
    exercises_met: int
    exercises_missed: int


@dataclass(frozen=True)
class How:
    """`everybody`: not only the line of whoever asks. `exercises_on_since`: None where they are off."""

    days: int
    everybody: bool
    page: Page[Measures]
    exercises_on_since: datetime | None


def how_we_decide(by: Reviewer, *, days: int, after: UUID | None = None, rows: int = ROWS) -> How:
    """Of the last `days`, by name; `after` is the last person of the page before."""
    everybody = exercises.knows(by)
    asked: Asked = {
        "tenant": by.tenant_id,
        "since": timezone.now() - timedelta(days=days),
        "until": None,
        "person": None if everybody else by.person_id,
        "after": after,
        "rows": rows + 1,
    }
    with tenant_scope(by.tenant_id):
        shown = _counted(asked, rows)
        on = CanarySetting.objects.filter(tenant_id=by.tenant_id, is_on=True).first()
    return How(days, everybody, shown, on.turned_at if on else None)


def decisions_in(by: Reviewer, period: Period, *, rows: int = ROWS) -> Page[Measures]:
    """Of everybody within a period, by name, the first page. For operators: the caller checks."""
    asked: Asked = {
        "tenant": by.tenant_id,
        "since": period.since,
        "until": period.until,
        "person": None,
        "after": None,
        "rows": rows + 1,
    }
    with tenant_scope(by.tenant_id):
        return _counted(asked, rows)


def _counted(asked: Asked, rows: int) -> Page[Measures]:
    with connection.cursor() as cursor:
        cursor.execute(COUNTED, asked)
        found = [_measures(*row) for row in cursor.fetchall()]
    return page(found, [str(one.person_id) for one in found], rows)


def _measures(
    person_id: UUID,
    name: str,
    decisions: int,
    in_busiest_hour: int,
    approved: int,
    timed: int,
    median: float | None,
    shortest: int | None,
    met: int,
    missed: int,
) -> Measures:
    return Measures(
        person_id=person_id,
        name=name,
        decisions=decisions,
        in_busiest_hour=in_busiest_hour,
        approved_percent=whole_percent(100 * approved / decisions) if decisions >= ENOUGH else None,
        timed=timed,
        median_seconds=median if timed >= ENOUGH else None,
        shortest_seconds=shortest if timed >= ENOUGH else None,
        exercises_met=met,
        exercises_missed=missed,
    )
