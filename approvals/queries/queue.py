"""What waits for a decision, the riskiest and most urgent first."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from approvals import judge, quorum, switches
from approvals.database import tenant_scope
from approvals.errors import Refusal
from approvals.fields import Amount, amount
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest
from approvals.models.requests import BY_RISK, RANK, UNKNOWN
from approvals.queries import exercises
from approvals.queries.others import Others, others_of
from approvals.queries.paging import ROWS, Page, mark, page, parsed
from approvals.queries.request import goes_together
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
    goes_together: bool  # with others on one page, whoever decides
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
    def can_be_approved(self) -> bool:
        """Whether this reviewer's approval would count now."""
        return self.refusal is None and self.no_approval is None and not self.is_forbidden

    @property
    def can_go_together(self) -> bool:
        """Whether this reviewer may decide it on one page with others."""
        return self.goes_together and self.refusal is None and not self.is_forbidden


@dataclass(frozen=True)
class Filters:
    """What a reviewer wants to see of the queue; what is empty asks for nothing. `by_deadline` is the order."""

    risk: str = ""
    action: str = ""
    agent_id: UUID | None = None
    thing: str = ""  # the exact id of what it is about
    mine: bool = False  # only what this reviewer can approve
    by_deadline: bool = False

    @property
    def narrows(self) -> bool:
        """Whether less than everything is asked for, in whatever order."""
        return bool(self.risk or self.action or self.agent_id or self.thing or self.mine)


EVERYTHING = Filters()
MOST_LOOKED_AT = 500  # for one page of what is mine: who may decide is not a question for an index
COUNTED = 1000


@dataclass(frozen=True)
class Tally:
    """How many requests wait, by risk, the highest first; COUNTED stands for that many and more."""

    risk: str
    count: int

    @property
    def is_more(self) -> bool:
        return self.count >= COUNTED


def queue(by: Reviewer, *, wanted: Filters = EVERYTHING, after: str = "", rows: int = ROWS) -> Page[QueueRow]:
    """The pending requests of the reviewer's tenant, by risk, then by deadline; `after` is a page's mark.

    Of what is `mine` a page may have fewer rows than asked for, or none, and still be followed by another.
    """
    with tenant_scope(by.tenant_id):
        roles = quorum.roles_to_decide_by(by) if wanted.mine else frozenset()
        if wanted.mine and not roles:
            return Page((), "")
        found: list[tuple[QueueRow, str]] = []
        looked_at_rows, at_once = 0, 4 * rows if wanted.mine else rows + 1
        while True:
            rest = _from(_wanted(by, wanted), parsed(after), at_once, by_deadline=wanted.by_deadline)
            looked_at_rows += len(rest)
            asked = [one for one in rest if not wanted.mine or _may_be_mine(one, by, roles)]
            found += [
                (row, place) for row, place in _rows(by, asked) if row.can_be_approved or not wanted.mine
            ]
            after = _place(rest[-1]) if rest else ""
            is_last = len(rest) < at_once
            if is_last or len(found) > rows or looked_at_rows >= MOST_LOOKED_AT:
                break
    shown = page([row for row, _ in found], [place for _, place in found], rows)
    return shown if is_last or len(found) > rows else replace(shown, next=after)


def tallies(by: Reviewer) -> tuple[Tally, ...]:
    """Of all that waits in the tenant, whatever is wanted."""
    with tenant_scope(by.tenant_id):
        waiting = _waiting(by).annotate(rank=BY_RISK)
        return tuple(
            Tally(risk, len(waiting.filter(rank=rank).values_list("pk")[:COUNTED]))
            for risk, rank in RANK.items()
        )


def _waiting(by: Reviewer) -> QuerySet[ApprovalRequest]:
    in_time = Q(expires_at__gt=timezone.now()) | Q(frozen_at__isnull=False)
    return ApprovalRequest.objects.filter(in_time, tenant_id=by.tenant_id, status=Status.PENDING)


def _wanted(by: Reviewer, wanted: Filters) -> QuerySet[ApprovalRequest]:
    found = _waiting(by).annotate(rank=BY_RISK)
    if wanted.risk:
        found = found.filter(rank=RANK.get(wanted.risk, UNKNOWN))
    if wanted.action:
        found = found.filter(action=wanted.action)
    if wanted.agent_id:
        # As the index `request_pending_of` has it.
        found = found.alias(who=Coalesce("agent", "person")).filter(
            who__in=exercises.askers_for(by, wanted.agent_id)
        )
    if wanted.thing:
        found = found.filter(resource_id=wanted.thing)
    return found


def _may_be_mine(request: ApprovalRequest, by: Reviewer, roles: frozenset[str]) -> bool:
    """From the row alone: of those that nobody asks this person for, nothing else has to be read."""
    return bool(judge.deciding_roles(request) & roles) and judge.independent(by.person_id, request)


def _rows(by: Reviewer, found: list[ApprovalRequest]) -> Iterator[tuple[QueueRow, str]]:
    """Each with its mark."""
    standing, looking, others = standings(by, found, votes_on(found)), looked_at(found), others_of(found)
    for request in found:
        row = _row(request, standing[request.pk], looking.get(request.pk), others[request.pk])
        yield row, _place(request)


def _place(request: ApprovalRequest) -> str:
    return mark(request.expires_at, request.pk, RANK.get(request.risk, UNKNOWN))


def _from(
    waiting: QuerySet[ApprovalRequest],
    place: tuple[int, datetime, UUID] | None,
    most: int,
    *,
    by_deadline: bool,
) -> list[ApprovalRequest]:
    """The first of them, or the first behind a place: the rest of its rank, then the ranks below.

    In two questions, for the index `request_queue` answers each from where it begins; one with an "or" it answers
    from the top.
    """
    in_order = waiting.order_by(*(("expires_at", "id") if by_deadline else ("rank", "expires_at", "id")))
    if place is None:
        return list(in_order[:most])
    rank, at, last = place
    behind = in_order.filter(expires_at__gte=at).exclude(expires_at=at, pk__lte=last)
    if by_deadline:
        return list(behind[:most])
    found = list(behind.filter(Q(rank=rank))[:most])
    if len(found) < most:
        found += in_order.filter(Q(rank__gt=rank))[: most - len(found)]
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
        goes_together=goes_together(request),
        is_forbidden=request.verdict.get("kind") == "deny",
        refusal=standing.refusal,
        no_approval=standing.no_approval,
        is_escalated=request.escalated_at is not None,
        looking=looking,
        others=others,
    )
