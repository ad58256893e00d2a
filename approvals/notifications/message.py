"""What a receiver is told of an event: the same few facts, whatever the receiver's kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from approvals import inverse
from approvals.actions.contract import Money
from approvals.models import ApprovalRequest, Outbox
from approvals.notifications import opened_payload, trouble
from approvals.notifications.text import visible
from approvals.queries import review_url
from approvals.states import FINAL, Status
from policies.verdicts import AutoApprove, from_json

# The status that each event led to; the request may have moved on since.
EVENTS: Mapping[str, Status] = MappingProxyType(
    {
        "request.created": Status.PENDING,
        "request.reminder": Status.PENDING,
        "request.escalated": Status.PENDING,
        "request.changes_requested": Status.CHANGES_REQUESTED,
        "request.approved": Status.APPROVED,
        "request.break_glass": Status.APPROVED,
        "request.denied": Status.DENIED,
        "request.expired": Status.EXPIRED,
        "request.withdrawn": Status.WITHDRAWN,
        "request.succeeded": Status.SUCCEEDED,
        "request.failed": Status.FAILED,
        "request.uncertain": Status.UNCERTAIN,
        "request.stays_uncertain": Status.UNCERTAIN,
    }
)
# These tell of no move of the request: its status is what it is now.
MOVES_NOTHING = frozenset({trouble.KIND, opened_payload.KIND})
# Where the outcome is the company's system's word. A denial's is what one person wrote for the agent alone.
TELLS_OUTCOME = frozenset({Status.SUCCEEDED, Status.FAILED, Status.UNCERTAIN})


@dataclass(frozen=True)
class Message:
    """One event for one receiver. `id` is the same for every attempt; texts are one line and show what hides."""

    id: UUID
    kind: str
    at: datetime
    status: Status
    request_id: UUID
    revision: int
    action: str
    headline: str
    amount: Money | None
    requester: str
    outcome: str
    backing_reference: str
    review_url: str
    is_exercise: bool = False  # told when it is over, and not before
    undoes: UUID | None = None  # the request that this one undoes
    irreversible: str = ""  # while people decide: why nothing will undo it
    asks_for_nobody: bool = False  # it waits for no person: a rule lets it through
    # What there is to say beside the request; "" of an event that is only about the request itself.
    notice: str = ""


def message(row: Outbox) -> Message:
    """The message of a `deliver` row, whose request and announcement are loaded; in a scope of its tenant.

    Raises KeyError for an event that nobody is told of.
    """
    request = row.request
    if request is None:
        raise KeyError(row.kind)
    is_trouble = row.kind == trouble.KIND
    status = Status(request.status) if row.kind in MOVES_NOTHING else EVENTS[row.kind]
    # Told late, an event must not carry the outcome of a later one.
    is_outcome_its_own = (
        request.status == status and status in TELLS_OUTCOME and row.kind not in MOVES_NOTHING
    )
    return Message(
        id=row.pk,
        kind=row.kind,
        at=(row.announcement or row).created_at,
        status=status,
        request_id=request.pk,
        revision=row.revision,
        action=request.action,
        headline=visible(request.headline, 600),
        amount=_amount(request),
        requester=visible(request.requester_name, 200),
        outcome=visible(request.outcome, 1000) if is_outcome_its_own else "",
        backing_reference=visible(request.backing_reference, 200) if is_outcome_its_own else "",
        review_url=review_url(request.pk),
        is_exercise=request.is_canary and status in FINAL,
        undoes=request.undoes_id,
        irreversible=inverse.why_not(request.action) if status == Status.PENDING else "",
        asks_for_nobody=status == Status.PENDING and _asks_for_nobody(row, request),
        notice=trouble.sentence(request) if is_trouble else "",
    )


def _asks_for_nobody(row: Outbox, request: ApprovalRequest) -> bool:
    """A later revision was judged anew, and says nothing of this one."""
    return row.revision == request.revision and isinstance(from_json(request.verdict), AutoApprove)


def _amount(request: ApprovalRequest) -> Money | None:
    return None if request.amount_minor is None else Money(request.amount_minor, request.currency)
