"""What a person decided, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from approvals.database import tenant_scope
from approvals.fields import Amount, amount
from approvals.identity.requester import Reviewer
from approvals.models import Vote
from approvals.queries.paging import ROWS, Page, mark, page, parsed
from approvals.states import Status


@dataclass(frozen=True)
class Decided:
    """One vote of mine, and how its request stands now."""

    request_id: UUID
    headline: str
    is_undoing: bool  # of what another request did
    amount: Amount | None
    decision: str
    comment: str
    at: datetime
    status: Status
    outcome: str
    is_exercise: bool


def decided(by: Reviewer, *, after: str = "", rows: int = ROWS) -> Page[Decided]:
    """The reviewer's own votes, newest first; `after` is a page's mark."""
    with tenant_scope(by.tenant_id):
        mine = Vote.objects.filter(person_id=by.person_id).select_related("request")
        if place := parsed(after):
            _, at, last = place
            mine = mine.filter(created_at__lte=at).exclude(created_at=at, pk__gte=last)
        found = list(mine.order_by("-created_at", "-id")[: rows + 1])
    return page([_decided(vote) for vote in found], [mark(vote.created_at, vote.pk) for vote in found], rows)


def _decided(vote: Vote) -> Decided:
    request = vote.request
    return Decided(
        request_id=request.pk,
        headline=request.headline,
        is_undoing=request.undoes_id is not None,
        amount=amount(request.amount_minor, request.currency),
        decision=vote.decision,
        comment=vote.comment,
        at=vote.created_at,
        status=Status(request.status),
        outcome=request.outcome,
        is_exercise=request.is_canary,  # a vote on one has ended it
    )
