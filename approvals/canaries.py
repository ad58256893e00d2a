"""A vote on an exercise: it ends there, whatever was voted, and nothing follows.

The database holds the same (migration `canaries`): an exercise can have no status from which anything is done.
"""

from django.utils import timezone

from approvals import moves, outbox
from approvals.audit.events import Actor, record
from approvals.errors import MoveRefused
from approvals.models import ApprovalRequest, Vote
from approvals.states import Status

# The same whatever was voted: colleagues read it too, and how one of them did is not for them.
OUTCOME = "This was an exercise: made up, to be denied, and never to be carried out."


def end(request: ApprovalRequest, decision: str, who: Actor, trace_id: str) -> None:
    """Denied, in the caller's transaction, which has written the vote. An approval is a miss; all else caught it.

    Receivers are told of a denial, as they were told of a request. Raises MoveRefused.
    """
    now = timezone.now()
    if not moves.make(request, Status.DENIED, decided_at=now, finished_at=now, outcome=OUTCOME):
        raise MoveRefused(status=request.status, wanted=Status.DENIED)
    request.refresh_from_db()
    is_missed = decision == Vote.APPROVE
    # Nobody denied what was approved, so the trail does not say so.
    for kind in ("canary.missed",) if is_missed else ("request.denied", "canary.caught"):
        record(
            kind,
            tenant_id=request.tenant_id,
            actor=who,
            request_id=request.pk,
            trace_id=trace_id or request.trace_id,
        )
    outbox.announce(request, "request.denied")
