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
from typing import NamedTuple
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from approvals import bells, leases
from approvals.database import tenant_scope
from approvals.errors import CountersignError, TryLater
from approvals.models import ApprovalRequest, Outbox
from approvals.tracing import entry, failed, remote, trace_id, traceparent, unknown_span

logger = logging.getLogger(__name__)

JUDGE = "judge"  # a rule may approve it: judge again, in a worker
EXECUTE = "execute"
RECONCILE = "reconcile"
REOPEN = "reopen"
ANNOUNCE = "announce"  # find out who is to be told of an event
DELIVER = "deliver"  # tell one receiver
MAIL = "mail"  # tell people by mail
LOOK = "look"  # a person wants the facts looked up once more
DIGEST = "mail.digest"  # the kind of a letter with all that waits for somebody
TEST = "receiver.test"  # the kind of a message that only tests its receiver
UNDO = "undo"  # a person asks for it to be undone: file the request, in a worker

# All that others are told of why somebody's letter was not sent: the reason may be what they chose.
NOT_WRITTEN = "there was nothing to write any more"

LAST_DELIVERY = 20  # attempts; with the backoff below, about nine hours
LONGEST_WAIT = 3600  # seconds

_dice = secrets.SystemRandom()


class Postponed(Exception):
    """The handler wants the row again after `seconds`: not an error, nothing to report."""

    def __init__(self, seconds: float, because: str) -> None:
        super().__init__(because)
        self.seconds = seconds


class GaveUp(Exception):
    """The handler will never manage: the row becomes a dead letter, with this text."""


class Moot(Exception):
    """There is nothing left to tell, as this text says: the row is done, and nothing was sent."""


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


def write_to(announcement: Outbox, person_id: UUID, not_before: datetime) -> None:
    """One person is to be written of an announcement, not before then; nobody rings where that is later.

    Raises IntegrityError when that was written down before.
    """
    row = Outbox(
        tenant_id=announcement.tenant_id,
        request_id=announcement.request_id,
        revision=announcement.revision,
        topic=MAIL,
        kind=announcement.kind,
        announcement=announcement,
        person_id=person_id,
        not_before=not_before,
    )
    _write(row, is_ready=not_before <= timezone.now())


def write_of_no_request(tenant_id: UUID, person_id: UUID, kind: str) -> None:
    """One person is to be written: DIGEST, or that their second factors changed."""
    row = Outbox(tenant_id=tenant_id, revision=0, topic=MAIL, kind=kind, person_id=person_id)
    _write(row, is_ready=True)


def try_out(tenant_id: UUID, receiver_id: UUID) -> Outbox:
    """One receiver is to be told that this is a test. About no request."""
    row = Outbox(tenant_id=tenant_id, revision=0, topic=DELIVER, kind=TEST, receiver_id=receiver_id)
    _write(row, is_ready=True)
    return row


def again(row: Outbox, ended_at: datetime) -> bool:
    """Whether a message that ended then, and not anew since, is sent once more: as if never tried, under its id."""
    ended = Outbox.objects.filter(Q(done_at=ended_at) | Q(gave_up_at=ended_at), pk=row.pk, topic=DELIVER)
    won = ended.update(done_at=None, gave_up_at=None, not_before=timezone.now(), attempts=0, last_error="")
    if won == 1:
        transaction.on_commit(partial(bells.ring, row.topic, row.pk, row.tenant_id))
    return won == 1


def _write(row: Outbox, *, is_ready: bool) -> None:
    row.traceparent = traceparent()
    row.save(force_insert=True)
    if is_ready:
        transaction.on_commit(partial(bells.ring, row.topic, row.pk, row.tenant_id))


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
    parent, link = _trace(row)
    with entry(
        f"outbox {row.topic}",
        kind=SpanKind.CONSUMER,
        parent=parent,
        link=link,
        request_id=str(row.request_id or ""),
    ) as work:
        try:
            with leases.kept(Outbox.objects.filter(pk=row.pk, token=row.token), row.tenant_id):
                yield row
        except Postponed as wanted:
            _again(row, wanted.seconds, str(wanted))
        except Moot as nothing:
            _close(row, done_at=timezone.now(), last_error=str(nothing)[:500])
        except GaveUp as last:
            _close(row, gave_up_at=timezone.now(), last_error=str(last)[:500])
        except Exception as error:
            failed(work, type(error).__name__)
            _log_failure(row, error)
            because = str(error) if isinstance(error, CountersignError) else type(error).__name__
            _again(row, _pause(row, error), because)
        else:
            _close(row, done_at=timezone.now(), last_error="")


def _trace(row: Outbox) -> tuple[Context, str]:
    """The span that the work belongs under, and one of another trace that led to it ("" where there is none).

    All work on a request goes on in the request's own trace. What a person's page wrote carries that page's: it
    becomes a link, and the work belongs under the span that filed the request.
    """
    if row.request_id is None:
        return remote(row.traceparent), ""
    with tenant_scope(row.tenant_id):
        own = ApprovalRequest.objects.values_list("trace_id", flat=True).get(pk=row.request_id)
        if not own or trace_id(remote(row.traceparent)) == own:
            return remote(row.traceparent), ""
        first = (
            Outbox.objects.filter(request_id=row.request_id, traceparent__startswith=f"00-{own}-")
            .order_by("created_at")
            .values_list("traceparent", flat=True)
            .first()
        )
    return remote(first) if first else unknown_span(own), row.traceparent


def backoff(attempts: int) -> float:
    """Seconds before the next attempt: 2, 4, 8 ... up to an hour, and up to a quarter more.

    Chance keeps a thousand rows that failed together from coming back together.
    """
    return spread(min(2.0 ** min(attempts, 20), LONGEST_WAIT))


def spread(seconds: float) -> float:
    """That long, and up to a quarter more: never sooner than it says."""
    return seconds * _dice.uniform(1, 1.25)


def _pause(row: Outbox, error: Exception) -> float:
    """No shorter than whoever answered asked for, whichever handler it was that asked them."""
    asked = spread(float(str(error.details["seconds"]))) if isinstance(error, TryLater) else 0.0
    return max(backoff(row.attempts), asked)


def _log_failure(row: Outbox, error: Exception) -> None:
    about = {
        "topic": row.topic,
        "row": str(row.pk),
        "request_id": str(row.request_id or ""),
        "attempt": row.attempts,
    }
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("outbox row failed", extra={**about, "error": type(error).__name__, "where": where})


def _open(now: datetime) -> Q:
    unfinished = Q(done_at=None, gave_up_at=None, not_before__lte=now)
    return unfinished & (Q(lease_until=None) | Q(lease_until__lt=now))


def _claim(row_id: UUID, tenant_id: UUID) -> Outbox | None:
    now, token = timezone.now(), uuid4()
    with tenant_scope(tenant_id):
        won = Outbox.objects.filter(_open(now), pk=row_id).update(
            token=token, lease_until=leases.until(), attempts=F("attempts") + 1
        )
        return Outbox.objects.get(pk=row_id) if won == 1 else None


def _again(row: Outbox, seconds: float, because: str) -> None:
    _close(row, not_before=timezone.now() + timedelta(seconds=seconds), last_error=because[:500])


def _close(row: Outbox, **changes: object) -> None:
    """Give the row back, changed, unless its lease went to somebody else meanwhile."""
    with tenant_scope(row.tenant_id):
        Outbox.objects.filter(pk=row.pk, token=row.token).update(token=None, lease_until=None, **changes)
