"""Who looked: that somebody who audits or operates read, searched or took away the trail is on the trail itself.

The same by the same person is told once in ten minutes, so that a page that is read again, or that lists these very
events, does not fill the trail with itself. The log has a line each time.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from approvals import switches
from approvals.audit import queries as audit
from approvals.audit.events import NOTHING, Actor, record
from approvals.database import tenant_scope
from approvals.identity.requester import Reviewer
from approvals.queries.paging import ROWS, Page, mark, page, parsed
from approvals.queries.question import READ
from approvals.queries.trail import AUDITOR, TrailLine, allowed, lines, through

SEARCHED, EXPORTED = "trail.searched", "trail.exported"
# What the page lists.
KINDS = (READ, SEARCHED, EXPORTED, "trail.verification_asked", "payload.opened")
AGAIN = timedelta(minutes=10)

# The newest of each kind by the index on tenant, kind and time, as many as a page has, and of these the newest.
NEWEST = """
SELECT e.id FROM unnest(%(kinds)s::text[]) AS asked (kind) CROSS JOIN LATERAL (
    SELECT e.id, e.at FROM audit_event e
    WHERE e.tenant_id = %(tenant)s AND e.kind = asked.kind {narrowed}
    ORDER BY e.at DESC, e.id DESC LIMIT %(rows)s
) e ORDER BY e.at DESC, e.id DESC LIMIT %(rows)s
"""


def is_watched(by: Reviewer) -> bool:
    """Whose reading of the trail is an event: auditors' and operators'."""
    return AUDITOR in by.roles or switches.may_operate(by)


def read(by: Reviewer, *, where: str, request_id: UUID | None = None) -> None:
    """Log that this person was shown a page of the trail, and record it where they audit or operate.

    `where` is the page in a word or two, such as `course`.
    """
    allowed(by, wanted="trail", what=str(request_id or ""))
    if is_watched(by):
        _record(by, READ, {"page": where}, request_id=request_id)


def searched(by: Reviewer, *, fields: Mapping[str, str]) -> None:
    """Log and record a search: which fields were filled in, and, where it can be erased, with what."""
    allowed(by, wanted="trail")
    _record(by, SEARCHED, {"fields": sorted(fields)}, {"searched": in_words(fields)})


def exported(by: Reviewer, *, data: Mapping[str, object], fields: Mapping[str, str] = NOTHING) -> None:
    """Log and record, each time, that events are taken away as a file; `data` says which and how many.

    `fields` is the search that they are of, kept where it can be erased.
    """
    allowed(by, wanted="export")
    personal = {"name": by.name, **({"searched": in_words(fields)} if fields else {})}
    with tenant_scope(by.tenant_id):
        who = Actor("person", str(by.person_id))
        record(EXPORTED, tenant_id=by.tenant_id, actor=who, data=data, personal=personal)


def in_words(fields: Mapping[str, str]) -> str:
    """A search as it was typed: `words: carrier; kind: vote.cast`."""
    return "; ".join(f"{'anything' if name == 'q' else name}: {value}" for name, value in fields.items())


def who_looked(
    by: Reviewer, *, person_id: UUID | None = None, after: str = "", rows: int = ROWS
) -> Page[TrailLine]:
    """What people read, searched, took away and opened, newest first; of one person, or of all.

    For auditors: the caller checks.
    """
    place = parsed(after)
    narrowed = ("AND e.actor_id = %(person)s " if person_id else "") + (
        "AND (e.at, e.id) < (%(at)s, %(id)s)" if place else ""
    )
    asked: dict[str, Any] = {
        "tenant": by.tenant_id,
        "kinds": list(KINDS),
        "person": str(person_id),
        "at": place and place[1],
        "id": place and place[2],
        "rows": rows + 1,
    }
    with tenant_scope(by.tenant_id):
        with connection.cursor() as cursor:
            cursor.execute(NEWEST.format(narrowed=narrowed), asked)
            ids = [event_id for (event_id,) in cursor.fetchall()]
        entries = audit.chosen(by.tenant_id, ids)
        told = lines(by.tenant_id, entries)
    return page(told, [mark(entry.at, entry.id) for entry in entries], rows)


def _record(
    by: Reviewer,
    kind: str,
    data: Mapping[str, object],
    personal: Mapping[str, str] = NOTHING,
    request_id: UUID | None = None,
) -> None:
    """Once in ten minutes; two pages at the same moment may both tell."""
    personal, data = {"name": by.name, **personal}, {**data, **through(by)}
    with tenant_scope(by.tenant_id):
        who = Actor("person", str(by.person_id))
        if audit.is_told(
            by.tenant_id,
            kind=kind,
            actor_id=who.id,
            request_id=request_id,
            data=data,
            personal=personal,
            since=timezone.now() - AGAIN,
        ):
            return
        record(kind, tenant_id=by.tenant_id, actor=who, request_id=request_id, data=data, personal=personal)
