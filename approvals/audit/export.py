"""A tenant's trail as JSON Lines that prove themselves: what `tools/verify_export.py` checks without us.

Each checkpoint stands before the events that it sealed, in the order of its tree. What no checkpoint covers yet comes
last and proves nothing but itself. The last line counts them all, so that a file that was cut off is seen to be one.
"""

import json
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Sequence
from uuid import UUID

from django.db import connection, transaction

from approvals.audit.models import Checkpoint, Event, Personal
from approvals.audit.verify import CHECKPOINTS, UNSEALED

FORMAT = 1
CHUNK = 1_000


def export(tenant_id: UUID, *, personal: bool = False) -> Iterator[str]:
    """The lines, without line breaks, as of one moment. Needs a role that may read the tenant's whole trail.

    With `personal`, the personal values that were not erased stand beside their events with their salts, by which
    anybody can check that they are what was committed to. Without, or erased, there is the commitment alone.
    """
    counted = {"checkpoints": 0, "sealed": 0, "unsealed": 0}
    yield _line("export", v=FORMAT, tenant=str(tenant_id))
    with transaction.atomic():
        with connection.cursor() as cursor:
            # One moment for all of it; a trail may take longer to read than a page may.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SET LOCAL statement_timeout = 0; SET LOCAL enable_nestloop = off")
        checkpoints = Checkpoint.objects.filter(tenant_id=tenant_id).order_by("number")
        for checkpoint in checkpoints.iterator(chunk_size=CHECKPOINTS):
            signature = b64encode(bytes(checkpoint.signature)).decode()
            yield _line("checkpoint", text=checkpoint.text, signature=signature)
            yield from _events(checkpoint.event_ids, personal)
            counted["checkpoints"] += 1
            counted["sealed"] += len(checkpoint.event_ids)
        with connection.cursor() as cursor:
            cursor.execute(UNSEALED, {"tenant": tenant_id})
            rest = [event_id for event_id, _ in cursor.fetchall()]
        yield from _events(rest, personal)
        counted["unsealed"] = len(rest)
    yield _line("end", **counted)


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
