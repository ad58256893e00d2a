"""Sealing: one Merkle tree per tenant and batch, its root signed and chained to the checkpoint before.

What is ready is decided by transaction, not by time or id: below `pg_snapshot_xmin` every transaction has
ended, so nothing can turn up there any more. A transaction that began early and commits late holds the
horizon back, and its events with it, until it ends (so does one in another database of the same cluster).

A dump restored into another cluster breaks this count: there, transactions have numbers of that cluster's
own, and those that old events carry will come again. Then a batch is found by comparing all events with all
checkpoints, until nothing is left, and the horizon starts again from the new cluster's count. Later batches
that run over old numbers are compared with just the checkpoints which cover those, through
`audit_checkpoint.xids`.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import NumericRange
from django.db.backends.utils import CursorWrapper

from approvals.audit.format import GENESIS, checkpoint_text, digest
from approvals.audit.keys import signer_id
from approvals.audit.models import Checkpoint, Horizon

BATCH = 10_000
LOCK = int.from_bytes(b"sealer")

# Without nested loops: a wrong guess about the length of `event_ids` must not make a comparison quadratic.
ALONE = """
SELECT set_config('statement_timeout', '0', true), set_config('enable_nestloop', 'off', true),
       pg_try_advisory_xact_lock(%s)
"""
COUNT = """
SELECT system_identifier, pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint
FROM pg_control_system()
"""
LAST_OF_BATCH = """
SELECT xid::text::bigint FROM audit_event
WHERE xid >= %s::text::xid8 AND xid < %s::text::xid8 ORDER BY xid OFFSET %s LIMIT 1
"""
BETWEEN = """
SELECT e.tenant_id, e.at, e.id, e.leaf, e.xid::text::bigint
FROM audit_event e LEFT JOIN (
    SELECT unnest(event_ids) AS id FROM audit_checkpoint WHERE xids && int8range(%(start)s, %(end)s)
) sealed ON sealed.id = e.id
WHERE sealed.id IS NULL AND e.xid >= %(start)s::text::xid8 AND e.xid < %(end)s::text::xid8
"""
# At or beyond xmax nothing of this cluster exists yet: a visible event there came with the dump.
ANYWHERE = """
SELECT e.tenant_id, e.at, e.id, e.leaf, e.xid::text::bigint
FROM audit_event e LEFT JOIN (SELECT unnest(event_ids) AS id FROM audit_checkpoint) sealed ON sealed.id = e.id
WHERE sealed.id IS NULL AND (e.xid < %s::text::xid8 OR e.xid >= %s::text::xid8)
ORDER BY e.xid LIMIT %s
"""


class Ready(NamedTuple):
    """An event that can be sealed. The order of these fields is the order of the tree."""

    tenant_id: UUID
    at: datetime
    event_id: UUID
    leaf: bytes
    xid: int


def seal(signing_key: Ed25519PrivateKey, *, limit: int = BATCH) -> int:
    """Seal what is ready and return the number of events: 0 when nothing is, or while another sealer works.

    About `limit` events at a time (a transaction is never split); call again while the answer is not 0. Runs
    as the sweeper, in a transaction of its own: raises RuntimeError inside another.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(ALONE, [LOCK])
        if not _row(cursor)[-1]:
            return 0
        ready = _advance(cursor, limit)
        now = datetime.now(UTC)
        Checkpoint.objects.bulk_create(
            _checkpoint(tenant_id, list(events), signing_key, now)
            for tenant_id, events in groupby(sorted(ready), key=lambda event: event.tenant_id)
        )
        return len(ready)


def _advance(cursor: CursorWrapper, limit: int) -> list[Ready]:
    """The next batch; moves the horizon past it."""
    horizon = Horizon.objects.get()
    cursor.execute(COUNT)
    cluster, oldest_running, next_to_come = _row(cursor)
    if horizon.cluster != cluster or horizon.below > oldest_running:
        cursor.execute(ANYWHERE, [oldest_running, next_to_come, limit])
        ready = _ready(cursor)
        if len(ready) < limit:
            Horizon.objects.update(cluster=cluster, below=oldest_running)
        return ready
    cursor.execute(LAST_OF_BATCH, [horizon.below, oldest_running, limit - 1])
    last = cursor.fetchone()
    end = last[0] + 1 if last else oldest_running
    cursor.execute(BETWEEN, {"start": horizon.below, "end": end})
    ready = _ready(cursor)
    if last or ready:
        Horizon.objects.update(below=end)
    return ready


def _checkpoint(
    tenant_id: UUID, events: list[Ready], signing_key: Ed25519PrivateKey, at: datetime
) -> Checkpoint:
    before = Checkpoint.objects.filter(tenant_id=tenant_id).order_by("-number").first()
    number, previous = (before.number + 1, digest(before.text)) if before else (1, GENESIS)
    leaves = [event.leaf for event in events]
    text = checkpoint_text(
        tenant_id=tenant_id,
        number=number,
        leaves=leaves,
        previous=previous,
        at=at,
        key=signer_id(signing_key),
    )
    return Checkpoint(
        tenant_id=tenant_id,
        number=number,
        text=text,
        signature=signing_key.sign(text.encode()),
        event_ids=[event.event_id for event in events],
        leaves=b"".join(leaves),
        xids=_span(event.xid for event in events),
    )


def _span(xids: Iterable[int]) -> NumericRange:
    found = list(xids)
    return NumericRange(min(found), max(found), "[]")


def _ready(cursor: CursorWrapper) -> list[Ready]:
    return [Ready(tenant, at, event, bytes(leaf), xid) for tenant, at, event, leaf, xid in cursor.fetchall()]


def _row(cursor: CursorWrapper) -> tuple[int, ...]:
    """The row of a statement that always yields exactly one."""
    (row,) = cursor.fetchall()
    return tuple(row)
