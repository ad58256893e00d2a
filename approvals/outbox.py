"""What must still leave the database: written with the change it tells of, worked off by Celery, never lost.

A row is the truth; the Celery message is only a bell, sent after commit and allowed to get lost. Whoever hears
it, or the sweeper that found the row unanswered, leads to the same `claimed` row and the same handler.
"""

import logging
import secrets
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import NamedTuple
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from approvals.celery import app
from approvals.database import tenant_scope
from approvals.errors import CountersignError
from approvals.models import ApprovalRequest, Outbox

logger = logging.getLogger(__name__)

JUDGE = "judge"  # a rule may approve it: judge again, in a worker
EXECUTE = "execute"
RECONCILE = "reconcile"
REOPEN = "reopen"
ANNOUNCE = "announce"  # find out who is to be told of an event
DELIVER = "deliver"  # tell one receiver

LAST_DELIVERY = 20  # attempts; with the backoff below, about nine hours
LONGEST_WAIT = 3600  # seconds
SILENCE = 1.0  # seconds without ringing, in this process, after the broker did not answer

_dice = secrets.SystemRandom()
_silent_until = 0.0  # on the monotonic clock


class Postponed(Exception):
    """The handler wants the row again after `seconds`: not an error, nothing to report."""

    def __init__(self, seconds: float, because: str) -> None:
        super().__init__(because)
        self.seconds = seconds


class GaveUp(Exception):
    """The handler will never manage: the row becomes a dead letter, with this text."""


def put(request: ApprovalRequest, topic: str, *, kind: str = "", wait_seconds: float = 0) -> None:
    """Write one row in the current transaction, and ring the bell when it commits.

    With `wait_seconds` nobody rings: the sweeper does when the time has come.
    """
    row = Outbox(
        tenant_id=request.tenant_id,
        request_id=request.pk,
        revision=request.revision,
        topic=topic,
        kind=kind,
        not_before=timezone.now() + timedelta(seconds=wait_seconds),
    )
    _write(row, is_ready=not wait_seconds)


def announce(request: ApprovalRequest, kind: str) -> None:
    """Somebody may want to hear of this event, such as `request.approved`."""
    put(request, ANNOUNCE, kind=kind)


def pass_on(announcement: Outbox, receiver_id: UUID) -> None:
    """One receiver is to be told of an announcement.

    Raises IntegrityError when that was written down before.
    """
    row = Outbox(
        tenant_id=announcement.tenant_id,
        request_id=announcement.request_id,
        revision=announcement.revision,
        topic=DELIVER,
        kind=announcement.kind,
        announcement=announcement,
        receiver_id=receiver_id,
    )
    _write(row, is_ready=True)


def _write(row: Outbox, *, is_ready: bool) -> None:
    row.save(force_insert=True)
    if is_ready:
        transaction.on_commit(partial(ring, row.topic, row.pk, row.tenant_id))


def ring(topic: str, row_id: UUID, tenant_id: UUID) -> None:
    """Tell a worker that a row is ready. A lost bell costs seconds, never an action, so errors are only logged.

    A page that writes three rows must not wait three times for a broker that is down, so after one failure this
    process stays silent for a while.
    """
    global _silent_until
    if monotonic() < _silent_until:
        return
    try:
        app.send_task(f"approvals.tasks.{topic}", args=[str(row_id), str(tenant_id)], expires=60)
    except Exception as error:  # the broker is down, frozen or full: the sweeper will find the row
        _silent_until = monotonic() + SILENCE
        logger.warning("bell not rung", extra={"topic": topic, "row": str(row_id), "error": repr(error)})


class Due(NamedTuple):
    """A row that is ready and that nobody works on. `attempts` says how often somebody did."""

    topic: str
    row_id: UUID
    tenant_id: UUID
    attempts: int


def due(limit: int = 200) -> list[Due]:
    """Such rows of all tenants, oldest first."""
    rows = Outbox.objects.filter(_open(timezone.now())).order_by("not_before", "id")
    return [Due(*row) for row in rows.values_list("topic", "id", "tenant_id", "attempts")[:limit]]


@contextmanager
def claimed(row_id: UUID, tenant_id: UUID) -> Iterator[Outbox | None]:
    """The row, leased to the caller, or None when it is done, not due, or somebody else's.

    When the body ends the row is done; when it raises, the row waits for its next turn: for ever, unless it
    raises GaveUp. A text of an exception that is not ours may quote a payload or a secret, so none is kept.
    """
    row = _claim(row_id, tenant_id)
    if row is None:
        yield None
        return
    try:
        yield row
    except Postponed as wanted:
        _again(row, wanted.seconds, str(wanted))
    except GaveUp as last:
        _close(row, gave_up_at=timezone.now(), last_error=str(last)[:500])
    except Exception as error:
        _log_failure(row, error)
        because = str(error) if isinstance(error, CountersignError) else type(error).__name__
        _again(row, backoff(row.attempts), because)
    else:
        _close(row, done_at=timezone.now(), last_error="")


def backoff(attempts: int) -> float:
    """Seconds before the next attempt: 2, 4, 8 ... up to an hour, and up to a quarter more.

    Chance keeps a thousand rows that failed together from coming back together.
    """
    return min(2.0 ** min(attempts, 20), LONGEST_WAIT) * _dice.uniform(1, 1.25)


def _log_failure(row: Outbox, error: Exception) -> None:
    about = {
        "topic": row.topic,
        "row": str(row.pk),
        "request_id": str(row.request_id),
        "attempt": row.attempts,
    }
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("outbox row failed", extra={**about, "error": type(error).__name__, "where": where})


def _open(now: datetime) -> Q:
    unfinished = Q(done_at=None, gave_up_at=None, not_before__lte=now)
    return unfinished & (Q(lease_until=None) | Q(lease_until__lt=now))


def _claim(row_id: UUID, tenant_id: UUID) -> Outbox | None:
    now, token = timezone.now(), uuid4()
    lease = now + timedelta(seconds=settings.EXECUTION_LEASE_SECONDS)
    with tenant_scope(tenant_id):
        won = Outbox.objects.filter(_open(now), pk=row_id).update(
            token=token, lease_until=lease, attempts=F("attempts") + 1
        )
        return Outbox.objects.get(pk=row_id) if won == 1 else None


def _again(row: Outbox, seconds: float, because: str) -> None:
    _close(row, not_before=timezone.now() + timedelta(seconds=seconds), last_error=because[:500])


def _close(row: Outbox, **changes: object) -> None:
    """Give the row back, changed, unless its lease went to somebody else meanwhile."""
    with tenant_scope(row.tenant_id):
        Outbox.objects.filter(pk=row.pk, token=row.token).update(token=None, lease_until=None, **changes)
