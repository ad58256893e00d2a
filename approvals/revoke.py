"""Taking an approval back, before a worker has claimed it: while it cools off, or in the moments until then."""

from uuid import UUID

from django.utils import timezone

from approvals import moves, outbox, quorum
from approvals.audit.decisions import decided
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import MoveRefused, NotFound, ReasonNeeded, Refusal
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest
from approvals.states import Status

REASON = (3, 1000)  # characters
REVOKE = "revoke"


def revoke(request_id: UUID, *, by: Reviewer, reason: str) -> ApprovalRequest:
    """From approved to denied, by an independent reviewer of a role that decides it, whoever approved it.

    Raises NotFound, MoveRefused (a worker has it already), SelfApproval, NotEntitled or ReasonNeeded; then nothing
    was changed, and the refusal is on the trail.
    """
    reason, who = reason.strip(), Actor("person", str(by.person_id))
    request: ApprovalRequest | None = None
    try:
        with tenant_scope(by.tenant_id):
            request = moves.locked(request_id)
            _revoked(request, by, who, reason)
    except Refusal as refusal:
        _record_refusal(refusal, request_id, by, who)
        _log(request_id, request, by, who, because=refusal.code)
        raise
    _log(request_id, request, by, who)
    return request


def _revoked(request: ApprovalRequest, by: Reviewer, who: Actor, reason: str) -> None:
    quorum.check_reviews(by, request)
    if request.status != Status.APPROVED:
        raise MoveRefused(status=request.status.replace("_", " "), wanted="taken back")
    if not REASON[0] <= len(reason) <= REASON[1]:
        raise ReasonNeeded
    now = timezone.now()
    if not moves.make(request, Status.DENIED, decided_at=now, finished_at=now, outcome=reason):
        raise MoveRefused(status=request.status, wanted="taken back")
    request.refresh_from_db()
    record(
        "request.denied",
        tenant_id=request.tenant_id,
        actor=who,
        request_id=request.pk,
        trace_id=request.trace_id,
        data={"revoked": True},
        personal={"reason": reason, "name": by.name},
    )
    outbox.announce(request, "request.denied")


def _record_refusal(refusal: Refusal, request_id: UUID, by: Reviewer, who: Actor) -> None:
    unseen = isinstance(refusal, NotFound)
    with tenant_scope(by.tenant_id):
        record(
            "access.denied" if unseen else "vote.refused",
            tenant_id=by.tenant_id,
            actor=who,
            request_id=None if unseen else request_id,
            data={"code": refusal.code, "wanted": REVOKE, "id": str(request_id)},
        )


def _log(
    request_id: UUID,
    request: ApprovalRequest | None,
    by: Reviewer,
    who: Actor,
    *,
    because: str | None = None,
) -> None:
    decided(
        REVOKE,
        is_allowed=because is None,
        by=who,
        tenant_id=by.tenant_id,
        request_id=request_id,
        resource_id=request.resource_id if request else None,
        action=request.action if request else None,
        policy_version=request.policy_version_id if request else None,
        because=because,
    )
