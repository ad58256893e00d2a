"""What pages show of the trail."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from approvals.audit.events import Actor
from approvals.audit.kinds import KINDS
from approvals.audit.models import Event, Personal

SEALED = """
SELECT e.id FROM audit_event e JOIN audit_checkpoint c
    ON c.tenant_id = e.tenant_id AND c.xids @> e.xid::text::bigint AND e.id = ANY (c.event_ids)
WHERE e.tenant_id = %s AND e.request_id = %s
"""


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """One event for reading. `personal` has None where the value was erased; `sealed`: a signed root covers it."""

    id: UUID
    at: datetime
    kind: str
    meaning: str
    actor: Actor
    data: Mapping[str, object]
    personal: Mapping[str, str | None]
    sealed: bool


def trail(tenant_id: UUID, request_id: UUID) -> list[TrailEntry]:
    """The events of one request in order of time. Runs in the `tenant_scope` of that tenant."""
    events = Event.objects.filter(tenant_id=tenant_id, request_id=request_id).order_by("at", "id")
    kept = _personal(tenant_id, [event.id for event in events])
    sealed = _sealed(tenant_id, request_id)
    return [_entry(event, kept[event.id], event.id in sealed) for event in events]


def _entry(event: Event, kept: Mapping[str, str], is_sealed: bool) -> TrailEntry:
    written = json.loads(event.text)
    return TrailEntry(
        id=event.id,
        at=event.at,
        kind=written["kind"],
        meaning=KINDS[written["kind"]],
        actor=Actor(**written["actor"]),
        data=written["data"],
        personal={field: kept.get(field) for field in written["personal"]},
        sealed=is_sealed,
    )


def _personal(tenant_id: UUID, event_ids: list[UUID]) -> dict[UUID, dict[str, str]]:
    kept: dict[UUID, dict[str, str]] = defaultdict(dict)
    for value in Personal.objects.filter(tenant_id=tenant_id, event_id__in=event_ids):
        kept[value.event_id][value.field] = value.value
    return kept


def _sealed(tenant_id: UUID, request_id: UUID) -> set[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(SEALED, [tenant_id, request_id])
        return {event_id for (event_id,) in cursor.fetchall()}
