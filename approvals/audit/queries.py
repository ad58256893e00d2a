"""What pages show of the trail."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Exists, JSONField, OuterRef
from django.db.models.functions import Cast

from approvals.audit.events import Actor
from approvals.audit.format import digest, leaf
from approvals.audit.kinds import KINDS
from approvals.audit.models import Checkpoint, Event, Personal, Push

# The database looks these up as the owner: see `migrations/0013_sealed.py` and `0014_room.py`.
SEALED = "SELECT id FROM audit_sealed(%s)"
SEALED_BY = "SELECT id, number, text FROM audit_sealed_by(%s)"


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """One event for reading. `personal` has None for an erased value; `sealed`: a signed root covers it.

    `meaning` is a sentence, or the kind itself where this version does not know it.
    """

    id: UUID
    at: datetime
    kind: str
    meaning: str
    actor: Actor
    request_id: UUID | None
    trace_id: str
    data: Mapping[str, object]
    personal: Mapping[str, str | None]
    sealed: bool


@dataclass(frozen=True, slots=True)
class Seal:
    """The checkpoint that covers an event. `at` is when it was signed, None where its text does not say."""

    number: int
    at: datetime | None
    digest: str


@dataclass(frozen=True, slots=True)
class Written:
    """An event to the letter. `leaf` is computed from the text now, `fits`: it is the one that was kept beside it.

    `seal` is None while no checkpoint covers it.
    """

    text: str
    leaf: str
    fits: bool
    seal: Seal | None


@dataclass(frozen=True, slots=True)
class KeptOutside:
    """How far the tenant's checkpoints have come to one place outside. `host` names it, without anything secret.

    `number` is the last one that it keeps, of `newest` there are, and None of both `number` and `at` where it keeps
    none; `is_refused`: it holds something else in the place of the next.
    """

    host: str
    number: int | None
    newest: int
    at: datetime | None
    is_refused: bool


def kept_outside(tenant_id: UUID) -> list[KeptOutside]:
    """The places that the sweeper has pushed to, or tried to. Runs in the `tenant_scope` of that tenant."""
    newest = (
        Checkpoint.objects.filter(tenant_id=tenant_id).order_by("-number").values_list("number", flat=True)
    )
    places = Push.objects.filter(tenant_id=tenant_id).order_by("shown", "-number")
    return [
        KeptOutside(host, number or None, newest.first() or 0, at, refused_at is not None)
        for host, number, at, refused_at in places.values_list("shown", "number", "pushed_at", "refused_at")
    ]


def trail(tenant_id: UUID, request_id: UUID, *, kind: str = "") -> list[TrailEntry]:
    """The events of one request, of one kind or of all, in order of time. Runs in the `tenant_scope` of that tenant."""
    events = Event.objects.filter(tenant_id=tenant_id, request_id=request_id)
    return _entries(tenant_id, (events.filter(kind=kind) if kind else events).order_by("at", "id"))


def recent(tenant_id: UUID, *, limit: int, before: tuple[datetime, UUID] | None = None) -> list[TrailEntry]:
    """The tenant's newest events, at most `limit`, older than `before` (keyset paging); in its `tenant_scope`."""
    events = Event.objects.filter(tenant_id=tenant_id)
    if before is not None:
        at, last = before
        events = events.filter(at__lte=at).exclude(at=at, id__gte=last)
    return _entries(tenant_id, events.order_by("-at", "-id")[:limit])


def is_told(
    tenant_id: UUID,
    *,
    kind: str,
    actor_id: str,
    request_id: UUID | None,
    data: Mapping[str, object],
    personal: Mapping[str, str],
    since: datetime,
) -> bool:
    """Whether there is just such an event since then, its personal values not erased; in its `tenant_scope`."""
    events = Event.objects.filter(
        tenant_id=tenant_id, kind=kind, actor_id=actor_id, request_id=request_id, at__gte=since
    )
    events = events.annotate(written=Cast("text", JSONField())).filter(written__data=dict(data))
    for field, value in personal.items():
        kept = Personal.objects.filter(tenant_id=tenant_id, event_id=OuterRef("id"), field=field, value=value)
        events = events.filter(Exists(kept))
    return events.exists()


def chosen(tenant_id: UUID, event_ids: Sequence[UUID]) -> list[TrailEntry]:
    """These events of the tenant, in the order asked for; in its `tenant_scope`."""
    places = {event_id: place for place, event_id in enumerate(event_ids)}
    found = Event.objects.filter(tenant_id=tenant_id, pk__in=event_ids)
    return _entries(tenant_id, sorted(found, key=lambda event: places[event.id]))


def written(tenant_id: UUID, event_ids: Sequence[UUID]) -> dict[UUID, Written]:
    """These events of the tenant as they were written down; in its `tenant_scope`."""
    rows = Event.objects.filter(tenant_id=tenant_id, pk__in=event_ids).values_list("id", "text", "leaf")
    seals = _seals(list(event_ids))
    found = {}
    for event_id, text, kept in rows:
        computed = leaf(text)
        found[event_id] = Written(text, computed.hex(), computed == bytes(kept), seals.get(event_id))
    return found


def _seals(event_ids: list[UUID]) -> dict[UUID, Seal]:
    with connection.cursor() as cursor:
        cursor.execute(SEALED_BY, [event_ids])
        return {event_id: Seal(number, sealed_at(text), digest(text)) for event_id, number, text in cursor}


def sealed_at(text: str) -> datetime | None:
    """When a checkpoint was signed, as its text says; None where somebody wrote into it."""
    try:
        return datetime.fromisoformat(json.loads(text)["at"])
    except (ValueError, KeyError, TypeError):
        return None


def _entries(tenant_id: UUID, found: Iterable[Event]) -> list[TrailEntry]:
    events = list(found)
    ids = [event.id for event in events]
    kept, sealed = _personal(tenant_id, ids), _sealed(ids)
    return [_entry(event, kept[event.id], event.id in sealed) for event in events]


def _entry(event: Event, kept: Mapping[str, str], is_sealed: bool) -> TrailEntry:
    written = json.loads(event.text)
    return TrailEntry(
        id=event.id,
        at=event.at,
        kind=written["kind"],
        # A process of a later version may record kinds that this one does not know yet.
        meaning=KINDS.get(written["kind"], written["kind"]),
        actor=Actor(**written["actor"]),
        request_id=event.request_id,
        trace_id=written["trace"],
        data=written["data"],
        personal={field: kept.get(field) for field in written["personal"]},
        sealed=is_sealed,
    )


def _personal(tenant_id: UUID, event_ids: list[UUID]) -> dict[UUID, dict[str, str]]:
    kept: dict[UUID, dict[str, str]] = defaultdict(dict)
    for value in Personal.objects.filter(tenant_id=tenant_id, event_id__in=event_ids):
        kept[value.event_id][value.field] = value.value
    return kept


def _sealed(event_ids: list[UUID]) -> set[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(SEALED, [event_ids])
        return {event_id for (event_id,) in cursor.fetchall()}
