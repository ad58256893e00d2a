"""Who is told, as operators see it: by name, kind and host; never an address, never a secret."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from approvals.database import rows_in_scope, tenant_scope
from approvals.errors import NotFound
from approvals.identity.requester import Reviewer
from approvals.models import Outbox, Receiver, ReceiverSecret
from approvals.outbox import TEST
from approvals.queries.deliveries import Delivery, delivery, shown_of

LATELY = timedelta(days=30)
MOST = 1000  # counted; where there are more, a page says so

# Each by an index of its own (migrations 0051 and 0102), and none further than that.
NUMBERS = f"""
SELECT r.id, (SELECT max(o.done_at) FROM outbox o WHERE o.receiver_id = r.id AND o.done_at IS NOT NULL),
    (SELECT count(*) FROM (SELECT FROM outbox o WHERE o.receiver_id = r.id AND o.gave_up_at IS NOT NULL
        AND o.gave_up_at > now() - make_interval(days => {LATELY.days}) LIMIT {MOST}) failed),
    (SELECT count(*) FROM (SELECT FROM outbox o WHERE o.receiver_id = r.id AND o.done_at IS NULL
        AND o.gave_up_at IS NULL LIMIT {MOST}) waiting)
FROM receiver r
"""  # noqa: S608 - numbers of ours


@dataclass(frozen=True)
class ReceiverRow:
    """`failed` are those given up in the last 30 days; it and `waiting` count to 1,000."""

    id: UUID
    name: str
    kind: str
    host: str
    channel: str  # of a Slack app
    is_active: bool
    mutes: tuple[str, ...]
    added_at: datetime
    delivered_at: datetime | None  # the last time
    failed: int
    waiting: int


@dataclass(frozen=True)
class SecretRow:
    id: UUID
    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class ReceiverView:
    """One of them, with its secrets (None where its kind has none) and the last test."""

    row: ReceiverRow
    secret: SecretRow | None
    earlier: SecretRow | None
    test: Delivery | None


def receivers(by: Reviewer) -> tuple[ReceiverRow, ...]:
    """Those of the tenant: first who is told, by name."""
    numbers = _numbers(by, "")
    with tenant_scope(by.tenant_id):
        rows = _ours(by).order_by("-is_active", "name", "created_at", "id")
        return tuple(_row(one, numbers) for one in rows if one.pk in numbers)


def receiver_view(receiver_id: UUID, by: Reviewer) -> ReceiverView:
    """Raises NotFound."""
    numbers = _numbers(by, "WHERE r.id = %s", receiver_id)
    with tenant_scope(by.tenant_id):
        one = _ours(by).filter(pk=receiver_id).first()
        if one is None:
            raise NotFound(thing="receiver", id=receiver_id)
        counts = ReceiverSecret.objects.filter(
            Q(ends_at=None) | Q(ends_at__gt=timezone.now()), receiver=one
        ).order_by("created_at")
        kept = [SecretRow(*each) for each in counts.values_list("id", "created_at", "ends_at")]
        tests = Outbox.objects.filter(tenant_id=by.tenant_id, receiver=one, kind=TEST)
        test = shown_of(tests).first()
        return ReceiverView(
            _row(one, numbers),
            secret=next((each for each in kept if each.until is None), None),
            earlier=next((each for each in kept if each.until), None),
            test=delivery(test) if test else None,
        )


def _ours(by: Reviewer) -> QuerySet[Receiver]:
    return Receiver.objects.filter(tenant_id=by.tenant_id).defer("sealed_url")


def _numbers(by: Reviewer, where: str, *parameters: UUID) -> dict[UUID, tuple[datetime | None, int, int]]:
    rows = rows_in_scope(NUMBERS + where, parameters, tenant_id=by.tenant_id)
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def _row(one: Receiver, numbers: dict[UUID, tuple[datetime | None, int, int]]) -> ReceiverRow:
    delivered_at, failed, waiting = numbers[one.pk]
    return ReceiverRow(
        id=one.pk,
        name=one.name,
        kind=one.kind,
        host=one.host,
        channel=one.channel,
        is_active=one.is_active,
        mutes=tuple(one.mutes),
        added_at=one.created_at,
        delivered_at=delivered_at,
        failed=failed,
        waiting=waiting,
    )
