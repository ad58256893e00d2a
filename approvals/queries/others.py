"""Other requests for the same: two refunds of one payment may be one that was asked for twice."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from approvals import actions
from approvals.errors import NotFound
from approvals.fields import Amount, amount
from approvals.models import ApprovalRequest
from approvals.states import OPEN, Status

MOST = 500  # for one page of requests; limits keep the number of those that wait far below


@dataclass(frozen=True)
class Other:
    """A request of the same action on the same thing that is not finished."""

    id: UUID
    status: Status
    headline: str
    amount: Amount | None
    requester: str
    asked_at: datetime


@dataclass(frozen=True)
class Others:
    """The oldest first. `thing` is what they are on, such as a payment."""

    thing: str
    found: tuple[Other, ...]

    @property
    def statuses(self) -> tuple[Status, ...]:
        return tuple(dict.fromkeys(other.status for other in self.found))


def others_of(requests: Sequence[ApprovalRequest]) -> dict[UUID, Others]:
    """For each of these requests of one tenant, in that tenant's scope: one query for all of them."""
    about = defaultdict(list)
    for row in _on_the_same(requests):
        about[row.action, row.resource_id].append(row)
    return {
        request.pk: Others(
            _thing(request.action),
            tuple(_other(row) for row in about[request.action, request.resource_id] if row.pk != request.pk),
        )
        for request in requests
    }


def _on_the_same(requests: Sequence[ApprovalRequest]) -> Iterable[ApprovalRequest]:
    """The index `request_on_thing` finds them; an action of theirs on a thing of another one is sorted out after."""
    if not requests:
        return ()
    rows = ApprovalRequest.objects.filter(
        tenant_id=requests[0].tenant_id,
        resource_id__in={request.resource_id for request in requests},
        action__in={request.action for request in requests},
        status__in=sorted(OPEN),
    )
    return rows.order_by("created_at", "id")[:MOST]


def _thing(action: str) -> str:
    try:
        return actions.get(action).thing
    except NotFound:  # the code has moved on
        return "object"


def _other(row: ApprovalRequest) -> Other:
    return Other(
        id=row.pk,
        status=Status(row.status),
        headline=row.headline,
        amount=amount(row.amount_minor, row.currency),
        requester=row.requester_name,
        asked_at=row.created_at,
    )
