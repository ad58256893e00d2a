"""Erasing personal values from the trail: the values and their salts go, the commitments stay, and so does the proof.

Runs as the migrator, which alone may delete them. What is erased is whose it is: what a person did carries their name
and their words; what was recorded of them by others says so in its data.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from django.db import connection, transaction

from approvals.audit.events import Actor, record
from approvals.database import tenant_scope

MIGRATOR = Actor("system", "migrator")

# Of an event that a person is the actor of, all values but those of somebody else: who stands in for them.
OF_PERSON = """
SELECT p.tenant_id, p.event_id, p.field FROM audit_personal p JOIN audit_event e ON e.id = p.event_id
WHERE (e.actor_kind = 'person' AND e.actor_id = %(person)s AND p.field <> 'stands_in')
    OR (e.actor_kind = 'system' AND e.text::json #>> '{data,person_id}' = %(person)s)
    OR (p.field = 'stands_in' AND e.text::json #>> '{data,delegate}' = %(person)s)
ORDER BY p.tenant_id, p.event_id, p.field
"""
OF_EVENT = """
SELECT tenant_id, event_id, field FROM audit_personal WHERE event_id = %(event)s ORDER BY field
"""
DELETE = """
DELETE FROM audit_personal WHERE tenant_id = %s AND (event_id, field) IN (SELECT * FROM unnest(%s::uuid[], %s::text[]))
"""


@dataclass(frozen=True, slots=True, order=True)
class Value:
    """One personal value of an event, by its place. The value itself is not read."""

    tenant_id: UUID
    event_id: UUID
    field: str


def of_person(person_id: UUID) -> list[Value]:
    """The values on all trails that are this person's: by whom they acted, what they said, what was said of them."""
    return _found(OF_PERSON, {"person": str(person_id)})


def of_event(event_id: UUID) -> list[Value]:
    """The values of one event, whoever's they are: a reason or a comment that names somebody."""
    return _found(OF_EVENT, {"event": event_id})


def erase(values: Sequence[Value], *, about: str) -> int:
    """Delete these values and leave one `personal.erased` on each of their trails, or nothing; the number that went.

    `about` is the id of the person or the event: whoever reads the trail sees what was asked for, and no value.
    """
    with transaction.atomic():
        return sum(
            _erased(tenant_id, list(mine), about)
            for tenant_id, mine in groupby(sorted(values), key=attrgetter("tenant_id"))
        )


def _erased(tenant_id: UUID, values: list[Value], about: str) -> int:
    with connection.cursor() as cursor:
        events, fields = [value.event_id for value in values], [value.field for value in values]
        cursor.execute(DELETE, [tenant_id, events, fields])
        count: int = cursor.rowcount
    if count:
        data = {"about": about, "values": count, "events": len(set(events)), "fields": sorted(set(fields))}
        with tenant_scope(tenant_id):
            record("personal.erased", tenant_id=tenant_id, actor=MIGRATOR, data=data)
    return count


def told(values: Sequence[Value]) -> str:
    """`9 values of 4 events: comment 2, name 7`"""
    fields = Counter(value.field for value in values)
    events = len({value.event_id for value in values})
    listed = ", ".join(f"{field} {count}" for field, count in sorted(fields.items()))
    return f"{len(values)} values of {events} events" + (f": {listed}" if listed else "")


def _found(sql: str, about: Mapping[str, str | UUID]) -> list[Value]:
    with connection.cursor() as cursor:
        cursor.execute(sql, about)
        return [Value(*row) for row in cursor.fetchall()]
