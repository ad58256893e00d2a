"""A tenant's trail as JSON Lines that prove themselves: what `tools/verify_export.py` checks without us.

Each checkpoint stands before the events that it sealed, in the order of its tree. What no checkpoint covers yet comes
last and proves nothing but itself. The last line counts them all, so that a file that was cut off is seen to be one.
An export of a part has whole checkpoints, one after the other: the first one's text names the digest of the one before.
"""

import json
from base64 import b64encode
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db import connection, transaction

from approvals.audit.models import Checkpoint, Event, Personal
from approvals.audit.queries import sealed_at
from approvals.audit.verify import CHECKPOINTS, UNSEALED
from approvals.database import tenant_scope

FORMAT = 1
CHUNK = 1_000
# What is not sealed is what the sealed leave of all: to look each of them up takes as long as the file itself.
COUNTED = """
WITH mine AS (SELECT number, cardinality(event_ids) AS events FROM audit_checkpoint WHERE tenant_id = %(tenant)s),
wanted AS (SELECT events FROM mine WHERE number >= %(first)s AND (%(last)s::bigint IS NULL OR number <= %(last)s))
SELECT (SELECT count(*) FROM wanted), (
    (SELECT coalesce(sum(events), 0) FROM wanted) + CASE WHEN %(last)s::bigint IS NULL THEN greatest(0,
        (SELECT count(*) FROM audit_event WHERE tenant_id = %(tenant)s) - (SELECT coalesce(sum(events), 0) FROM mine)
    ) ELSE 0 END)::bigint
"""


@dataclass(frozen=True)
class Part:
    """Checkpoints `first` to `last`, both included, and what is not sealed yet where `last` is None."""

    first: int = 1
    last: int | None = None

    @property
    def is_all(self) -> bool:
        return self.first == 1 and self.last is None


ALL = Part()


def part(tenant_id: UUID, since: datetime | None, until: datetime | None) -> Part:
    """The checkpoints that were sealed from `since` on and before `until`; in the tenant's scope, or as the sweeper.

    By when they were sealed, which is about a second after their events happened, and later where a transaction took
    its time: so an event of the first moments may stand in the checkpoint before, and none is in two.
    """
    mine = Checkpoint.objects.filter(tenant_id=tenant_id).order_by("-number")
    newest = mine.values_list("number", flat=True).first() or 0
    numbers = range(1, newest + 1)

    def sealed(number: int) -> datetime:
        """Of one that is missing, when the next one was: the trail is taken away just because it is broken."""
        text = mine.filter(number__gte=number).order_by("number").values_list("text", flat=True)[0]
        return sealed_at(text) or datetime.min.replace(tzinfo=UTC)

    first = numbers[0] + bisect_left(numbers, since, key=sealed) if since and newest else 1
    return Part(first, bisect_left(numbers, until, key=sealed) if until else None)


def counted_in(tenant_id: UUID, wanted: Part) -> tuple[int, int]:
    """How many checkpoints and events that is now, also those that are not sealed where `last` is None.

    In the tenant's scope, or as the sweeper.
    """
    with connection.cursor() as cursor:
        cursor.execute(COUNTED, {"tenant": tenant_id, "first": wanted.first, "last": wanted.last})
        checkpoints, events = cursor.fetchone() or (0, 0)
        return checkpoints, events


def export(tenant_id: UUID, *, personal: bool = False, wanted: Part = ALL) -> Iterator[str]:
    """The lines, without line breaks, as of one moment. Needs a role that may read the tenant's whole trail.

    With `personal`, the personal values that were not erased stand beside their events with their salts, by which
    anybody can check that they are what was committed to. Without, or erased, there is the commitment alone.
    """
    counted = {"checkpoints": 0, "sealed": 0, "unsealed": 0}
    told = {} if wanted.is_all else {"first": wanted.first, "last": wanted.last}
    yield _line("export", v=FORMAT, tenant=str(tenant_id), **told)
    with transaction.atomic():
        with connection.cursor() as cursor:
            # One moment for all of it; a trail may take longer to read than a page may.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SET LOCAL statement_timeout = 0; SET LOCAL enable_nestloop = off")
        with tenant_scope(tenant_id):
            for checkpoint in _checkpoints(tenant_id, wanted):
                signature = b64encode(bytes(checkpoint.signature)).decode()
                yield _line("checkpoint", text=checkpoint.text, signature=signature)
                yield from _events(checkpoint.event_ids, personal)
                counted["checkpoints"] += 1
                counted["sealed"] += len(checkpoint.event_ids)
            rest = _unsealed(tenant_id) if wanted.last is None else []
            yield from _events(rest, personal)
            counted["unsealed"] = len(rest)
    yield _line("end", **counted)


def _checkpoints(tenant_id: UUID, wanted: Part) -> Iterator[Checkpoint]:
    mine = Checkpoint.objects.filter(tenant_id=tenant_id, number__gte=wanted.first).order_by("number")
    if wanted.last is not None:
        mine = mine.filter(number__lte=wanted.last)
    return mine.iterator(chunk_size=CHECKPOINTS)


def _unsealed(tenant_id: UUID) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(UNSEALED, {"tenant": tenant_id})
        return [event_id for event_id, _ in cursor.fetchall()]


def _events(event_ids: Sequence[UUID], with_personal: bool) -> Iterator[str]:
    """In this order. One that is missing is left out: the file then does not give the root that was signed."""
    for start in range(0, len(event_ids), CHUNK):
        ids = event_ids[start : start + CHUNK]
        texts = dict(Event.objects.filter(pk__in=ids).values_list("id", "text"))
        personal: dict[UUID, dict[str, list[str]]] = defaultdict(dict)
        for kept in Personal.objects.filter(event_id__in=ids) if with_personal else ():
            personal[kept.event_id][kept.field] = [b64encode(bytes(kept.salt)).decode(), kept.value]
        for event_id in ids:
            if event_id in texts:
                yield _line("event", text=texts[event_id], personal=personal.get(event_id, {}))


def _line(kind: str, **values: object) -> str:
    return json.dumps({"line": kind, **values}, ensure_ascii=False, separators=(",", ":"))
