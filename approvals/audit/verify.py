"""Verification: walk the trail in order and stop at the first row that does not fit.

Per tenant: checkpoints by number, each with its events in the order of its tree; then the events that no
checkpoint covers. Rows are read a few at a time, so memory does not grow with the trail. What this cannot see by
itself: a tail cut off together with its checkpoints by whoever owns the database, or a history rewritten by whoever
has the signing key too. For that, hand it what is kept outside (`outside.read`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from django.db import connection, transaction

from approvals.audit.checks import (
    Broken,
    EventRow,
    PersonalRow,
    Place,
    Tampered,
    check_checkpoint,
    check_end,
    check_event,
    check_outside,
    check_place,
    inserted_behind,
)
from approvals.audit.keys import PublicKeys
from approvals.audit.models import Checkpoint, Event
from approvals.audit.outside import Outside

NOTHING: Outside = MappingProxyType({})
CHUNK = 1_000
CHECKPOINTS = 10  # read at a time; one may list some ten thousand events

EVENTS = f"SELECT {', '.join(EventRow._fields)} FROM audit_event WHERE id = ANY (%s)"  # noqa: S608
PERSONAL = f"""
SELECT {", ".join(PersonalRow._fields)} FROM audit_personal WHERE event_id = ANY (%s) ORDER BY event_id, field
"""  # noqa: S608
# Restored into another cluster, the horizon counts for nothing until the sealer has run there.
UNSEALED = """
SELECT e.id, e.xid < h.below::text::xid8
    AND h.cluster = (SELECT system_identifier FROM pg_control_system())
    AND h.below <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint
FROM audit_event e CROSS JOIN audit_horizon h LEFT JOIN (
    SELECT unnest(event_ids) AS id FROM audit_checkpoint WHERE tenant_id = %(tenant)s
) sealed ON sealed.id = e.id
WHERE e.tenant_id = %(tenant)s AND sealed.id IS NULL
ORDER BY e.at, e.id
"""

Progress = Callable[[int], None]
"""Told the number of events walked so far, after each chunk."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was walked and fits, up to the first broken row if there is one. `events` counts the unsealed ones too.

    A checkpoint counts once all of its events fit; `outside` counts those that are kept outside just so.
    `oldest_unsealed` is the time that the oldest of these carries; one that waits long shows a sealer at rest.
    """

    tenants: int
    events: int
    unsealed: int
    oldest_unsealed: datetime | None
    checkpoints: int
    outside: int
    broken: Broken | None

    @property
    def ok(self) -> bool:
        return self.broken is None


def verify(
    public_keys: PublicKeys,
    tenant_id: UUID | None = None,
    progress: Progress | None = None,
    outside: Outside = NOTHING,
) -> Report:
    """Verify one tenant's trail, or all that the database role may read (the sweeper: all there are).

    With what is kept `outside`, each checkpoint must also be the one that is kept there, and none may be missing here.
    """
    walk = _Walk(public_keys, progress, outside)
    broken = None
    try:
        for tenant in [tenant_id] if tenant_id else sorted({*_tenants(), *outside}):
            walk.tenant(tenant)
    except Tampered as found:
        broken = found.broken
    return Report(
        walk.tenants,
        walk.events,
        walk.unsealed,
        walk.oldest_unsealed,
        walk.checkpoints,
        walk.compared,
        broken,
    )


class _Walk:
    def __init__(self, public_keys: PublicKeys, progress: Progress | None, outside: Outside) -> None:
        self.public_keys = public_keys
        self.progress = progress
        self.outside = outside
        self.tenants = self.events = self.unsealed = self.checkpoints = self.compared = 0
        self.oldest_unsealed: datetime | None = None

    def tenant(self, tenant_id: UUID) -> None:
        self.tenants += 1
        with transaction.atomic():
            with connection.cursor() as cursor:
                # A trail may take longer to read than a page may; nested loops: see `seal.py`.
                cursor.execute("SET LOCAL statement_timeout = 0; SET LOCAL enable_nestloop = off")
            for chunk in _chunks(self._places(tenant_id)):
                self._sealed(chunk)
            self._rest(tenant_id)

    def _places(self, tenant_id: UUID) -> Iterator[Place]:
        before, kept = None, self.outside.get(tenant_id, {})
        checkpoints = Checkpoint.objects.filter(tenant_id=tenant_id).order_by("number")
        for checkpoint in checkpoints.iterator(chunk_size=CHECKPOINTS):
            places = check_checkpoint(checkpoint, before, self.public_keys)
            check_outside(checkpoint, kept)
            yield from places
            before = checkpoint
        check_end(tenant_id, before.number if before else 0, kept)

    def _sealed(self, places: list[Place]) -> None:
        events, personal = _rows(place.event_id for place in places)
        for place in places:
            event = events.get(place.event_id)
            check_place(place, event)
            if event:
                check_event(event, personal[place.event_id])
            self.events += 1
            if place.is_last:
                self._fits(place.checkpoint)
        self._tell()

    def _fits(self, checkpoint: Checkpoint) -> None:
        """Its own text was looked at some chunks before its last event was: it counts from here on."""
        self.checkpoints += 1
        self.compared += checkpoint.number in self.outside.get(checkpoint.tenant_id, {})

    def _rest(self, tenant_id: UUID) -> None:
        """The events that no checkpoint covers: too new to be sealed, or put in where all is sealed."""
        with connection.chunked_cursor() as cursor:
            cursor.execute(UNSEALED, {"tenant": tenant_id})
            while found := cursor.fetchmany(CHUNK):
                events, personal = _rows(event_id for event_id, _ in found)
                for event_id, is_behind in found:
                    check_event(events[event_id], personal[event_id])
                    if is_behind:
                        raise inserted_behind(events[event_id])
                    self.events += 1
                    self.unsealed += 1
                first = events[found[0][0]].at
                self.oldest_unsealed = min(self.oldest_unsealed or first, first)
                self._tell()

    def _tell(self) -> None:
        if self.progress:
            self.progress(self.events)


def _tenants() -> list[UUID]:
    of_events = Event.objects.order_by().values_list("tenant_id", flat=True).distinct()
    of_checkpoints = Checkpoint.objects.order_by().values_list("tenant_id", flat=True).distinct()
    return sorted(of_events.union(of_checkpoints))


def _chunks(places: Iterator[Place]) -> Iterator[list[Place]]:
    chunk: list[Place] = []
    try:
        for place in places:
            chunk.append(place)
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
    except Tampered:
        yield chunk  # what stands before a broken checkpoint may be broken itself, and then comes first
        raise
    if chunk:
        yield chunk


def _rows(event_ids: Iterable[UUID]) -> tuple[dict[UUID, EventRow], dict[UUID, list[PersonalRow]]]:
    ids = list(event_ids)
    personal: dict[UUID, list[PersonalRow]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(PERSONAL, [ids])
        for value in map(PersonalRow._make, cursor.fetchall()):
            personal[value.event_id].append(value)
        cursor.execute(EVENTS, [ids])
        return {event.id: event for event in map(EventRow._make, cursor.fetchall())}, personal
