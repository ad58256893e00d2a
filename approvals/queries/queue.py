"""What waits for a decision, the riskiest and most urgent first."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from approvals import switches
from approvals.database import tenant_scope
from approvals.errors import Refusal
from approvals.fields import Amount, amount
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest
from approvals.models.requests import BY_RISK, RANK, UNKNOWN
from approvals.queries.others import Others, others_of
from approvals.queries.paging import ROWS, Page, mark, page, parsed
from approvals.queries.standing import Looking, Places, Standing, looked_at, standings, votes_on
from approvals.states import Status


@dataclass(frozen=True)
class QueueRow:
    """One pending request. `refusal` says why this reviewer cannot decide it, None when they can."""

    id: UUID
    headline: str
    is_undoing: bool  # of what another request did
    risk: str
    amount: Amount | None
    requester: str
    asked_at: datetime
    expires_at: datetime  # if it is held: were it to go on now
    is_held: bool  # by a switch
    places: tuple[Places, ...]
    is_forbidden: bool  # by the policy as it now is: it can only be denied
    refusal: Refusal | None
    no_approval: Refusal | None  # why this reviewer can only deny it so far
    is_escalated: bool  # others may decide, too
    looking: Looking | None  # who is at it
    others: Others  # that ask for the same

    @property
    def needed(self) -> tuple[Places, ...]:
        """What is still open; `turn` counts from now on, and is 0 where only one turn is left."""
        still = [place for place in self.places if place.open]
        turns = sorted({place.turn for place in still})
        if len(turns) < 2:
            return tuple(replace(place, turn=0) for place in still)
        return tuple(replace(place, turn=turns.index(place.turn) + 1) for place in still)

    @property
    def can_go_together(self) -> bool:
        """Whether this reviewer may decide it on one page with others: of low risk, and theirs to decide."""
        return self.risk == "low" and self.refusal is None and not self.is_forbidden


def queue(by: Reviewer, *, after: str = "", rows: int = ROWS) -> Page[QueueRow]:
    """The pending requests of the reviewer's tenant, by risk, then by deadline; `after` is a page's mark."""
    with tenant_scope(by.tenant_id):
        in_time = Q(expires_at__gt=timezone.now()) | Q(frozen_at__isnull=False)
        waiting = ApprovalRequest.objects.filter(in_time, tenant_id=by.tenant_id, status=Status.PENDING)
        found = _from(
            waiting.annotate(rank=BY_RISK).order_by("rank", "expires_at", "id"), parsed(after), rows + 1
        )
        standing, looking, others = standings(by, found, votes_on(found)), looked_at(found), others_of(found)
        shown = [
            _row(request, standing[request.pk], looking.get(request.pk), others[request.pk])
            for request in found
        ]
        marks = [mark(request.expires_at, request.pk, RANK.get(request.risk, UNKNOWN)) for request in found]
    return page(shown, marks, rows)


def _from(
    waiting: QuerySet[ApprovalRequest], place: tuple[int, datetime, UUID] | None, most: int
) -> list[ApprovalRequest]:
    """The first of them, or the first behind a place: the rest of its rank, then the ranks below.

    In two questions, for the index `request_queue` answers each from where it begins; one with an "or" it answers
    from the top.
    """
    if place is None:
        return list(waiting[:most])
    rank, at, last = place
    found = list(waiting.filter(Q(rank=rank), expires_at__gte=at).exclude(expires_at=at, pk__lte=last)[:most])
    if len(found) < most:
        found += waiting.filter(Q(rank__gt=rank))[: most - len(found)]
    return found


def _row(request: ApprovalRequest, standing: Standing, looking: Looking | None, others: Others) -> QueueRow:
    return QueueRow(
        id=request.pk,
        headline=request.headline,
        is_undoing=request.undoes_id is not None,
        risk=request.risk,
        amount=amount(request.amount_minor, request.currency),
        requester=request.requester_name,
        asked_at=request.created_at,
        expires_at=switches.deadline(request),
        is_held=switches.is_held(request),
        places=standing.places,
        is_forbidden=request.verdict.get("kind") == "deny",
        refusal=standing.refusal,
        no_approval=standing.no_approval,
        is_escalated=request.escalated_at is not None,
        looking=looking,
        others=others,
    )
