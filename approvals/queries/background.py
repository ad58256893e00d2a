"""What there was before: other requests about the same customer, and others of the same requester."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce
from django.utils import timezone

from approvals import borrowed
from approvals.fields import Amount, amount
from approvals.models import ApprovalRequest
from approvals.states import FINAL, Status

DAYS = 90
MOST = 500  # of each; a page is read by a person, and says where there is more
SHOWN = 5


@dataclass(frozen=True)
class Earlier:
    """One other request."""

    id: UUID
    headline: str
    status: Status
    asked_at: datetime


@dataclass(frozen=True)
class Past:
    """The other requests of the last `DAYS` that have one thing in common with this one. `money` is what was carried
    out of them, an amount for each currency."""

    name: str
    count: int
    is_more: bool  # than were counted
    statuses: tuple[tuple[Status, int], ...]
    money: tuple[Amount, ...]
    latest: tuple[Earlier, ...]


@dataclass(frozen=True)
class Background:
    """`customer` is None where the request is about none."""

    requester: Past
    customer: Past | None


def background(request: ApprovalRequest) -> Background:
    """Of the request's tenant, and in its scope."""
    recent = ApprovalRequest.objects.filter(
        tenant_id=request.tenant_id, created_at__gte=timezone.now() - timedelta(days=DAYS)
    )
    # An exercise that is over is known as one, and nobody asked for it.
    others = recent.exclude(pk=request.pk).exclude(is_canary=True, status__in=sorted(FINAL))
    customer = request.subjects.get("customer", "")
    about = others.annotate(customer=KeyTextTransform("customer", "subjects")).filter(customer=customer)
    alike = borrowed.alike(request)
    asked = others.alias(who=Coalesce("agent", "person")).filter(who=alike.agent_id or alike.person_id)
    return Background(
        requester=_past(request.requester_name, asked), customer=_past(customer, about) if customer else None
    )


def _past(name: str, found: QuerySet[ApprovalRequest]) -> Past:
    columns = ("id", "headline", "status", "created_at", "amount_minor", "currency")
    rows = list(found.order_by("-created_at").only(*columns)[: MOST + 1])
    counted = rows[:MOST]
    statuses = Counter(row.status for row in counted)
    return Past(
        name=name,
        count=len(counted),
        is_more=len(rows) > MOST,
        statuses=tuple((status, statuses[status]) for status in Status if statuses[status]),
        money=_carried_out(counted),
        latest=tuple(
            Earlier(row.pk, row.headline, Status(row.status), row.created_at) for row in rows[:SHOWN]
        ),
    )


def _carried_out(rows: Sequence[ApprovalRequest]) -> tuple[Amount, ...]:
    sums: Counter[str] = Counter()
    for row in rows:
        if row.status == Status.SUCCEEDED and row.currency:
            sums[row.currency] += row.amount_minor or 0
    found = (amount(total, currency) for currency, total in sorted(sums.items()))
    return tuple(each for each in found if each)
