"""Taking an approval back, before a worker has claimed it: while it cools off, or in the moments until then."""

from uuid import UUID

from django.utils import timezone

from approvals import moves, outbox, quorum, step_up
from approvals.acting import acting_on
from approvals.audit.events import Actor, record
from approvals.errors import MoveRefused, ReasonNeeded
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest
from approvals.states import Status
from policies.verdicts import from_json

REASON = (3, 1000)  # characters
REVOKE = "revoke"


def revoke(request_id: UUID, *, by: Reviewer, reason: str) -> ApprovalRequest:
    """From approved to denied, by an independent reviewer of a role that decides it, whoever approved it.

    Raises NotFound, MoveRefused (a worker has it already), SelfApproval, NotEntitled, ReasonNeeded or StepUpNeeded;
    then nothing was changed, and the refusal is on the trail.
    """
    reason = reason.strip()
    with acting_on(request_id, REVOKE, by=by, refused="vote.refused") as request:
        _revoke(request, by, reason)
    return request


def _revoke(request: ApprovalRequest, by: Reviewer, reason: str) -> None:
    ballot = quorum.check_reviews(by, request)
    if request.status != Status.APPROVED:
        raise MoveRefused(status=request.status.replace("_", " "), wanted="taken back")
    if not REASON[0] <= len(reason) <= REASON[1]:
        raise ReasonNeeded
    step_up.check(from_json(request.verdict), by)
    now = timezone.now()
    if not moves.make(request, Status.DENIED, decided_at=now, finished_at=now, outcome=reason):
        raise MoveRefused(status=request.status, wanted="taken back")
    request.refresh_from_db()
    record(
        "request.denied",
        tenant_id=request.tenant_id,
        actor=Actor("person", str(by.person_id)),
        request_id=request.pk,
        trace_id=request.trace_id,
        data={"revoked": True, "instead_of": str(ballot.instead_of or "")},
        personal={"reason": reason, "name": by.name},
    )
    outbox.announce(request, "request.denied")
