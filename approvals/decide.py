"""The reviewer's verbs: what people decide, each bound to what was on their screen."""

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from approvals import judge, moves, outbox, step_up, switches
from approvals.audit.decisions import decided
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import (
    CommentMissing,
    CommentTooLong,
    MoveRefused,
    NotFound,
    PageOutdated,
    PolicyForbids,
    Refusal,
)
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, Vote
from approvals.payloads import digest
from approvals.states import Status
from approvals.tracing import span
from policies.verdicts import VALID_FOR, AutoApprove, Deny, Require, from_json

COMMENT = (3, 1000)  # characters
WORKER = Actor("system", "worker")
SWEEPER = Actor("system", "sweeper")


@span("vote")
def vote(
    request_id: UUID, decision: str, *, by: Reviewer, seen: str, comment: str = "", trace_id: str = ""
) -> ApprovalRequest:
    """Approve or deny, bound to what was on the reviewer's screen (`judge.seen`).

    A denial ends the request; an approval that completes the quorum sends it to a worker. Raises NotFound,
    MoveRefused, SelfApproval, NotEntitled, AlreadyVoted, PageOutdated, PolicyForbids, RequestAltered,
    CommentMissing, CommentTooLong or StepUpNeeded; then nothing was decided, and the refusal is on the trail.
    """
    comment, who = comment.strip(), Actor("person", str(by.person_id))
    request: ApprovalRequest | None = None
    try:
        with tenant_scope(by.tenant_id):
            request = moves.locked(request_id)
            _check(request, decision, by, seen, comment)
            _cast(request, decision, by, seen, comment, trace_id)
    except Refusal as refusal:
        _record_refusal(refusal, request_id, decision, by, trace_id)
        _log(decision, request_id, request, who, by.tenant_id, because=refusal.code)
        raise
    _log(decision, request_id, request, who, by.tenant_id)
    return request


def _check(request: ApprovalRequest, decision: str, by: Reviewer, seen: str, comment: str) -> None:
    """Everything that can stand against a vote, in the order in which people should hear of it."""
    wanted = Status.APPROVED if decision == Vote.APPROVE else Status.DENIED
    if request.status != Status.PENDING or switches.time_is_up(request):
        raise MoveRefused(status=request.status.replace("_", " "), wanted=wanted)
    judge.check_entitled(by, request)
    if changed := judge.changed(seen, request):
        raise PageOutdated(changed=changed)
    verdict = from_json(request.verdict)
    if wanted == Status.APPROVED and isinstance(verdict, Deny):
        raise PolicyForbids(because=verdict.because)
    if wanted == Status.APPROVED:
        judge.check_sound(request, *judge.stored(request))
    if wanted == Status.DENIED and len(comment) < COMMENT[0]:
        raise CommentMissing
    if len(comment) > COMMENT[1]:
        raise CommentTooLong
    step_up.check(verdict, by)


def _cast(
    request: ApprovalRequest, decision: str, by: Reviewer, seen: str, comment: str, trace_id: str
) -> None:
    """Vote, event and outbox row together; after commit a worker is told."""
    proof = step_up.proof_of(by)
    Vote(
        tenant_id=by.tenant_id,
        request=request,
        person_id=by.person_id,
        revision=request.revision,
        decision=decision,
        comment=comment,
        digest=digest(seen),
        **step_up.on_vote(proof),
    ).save(force_insert=True)
    who = Actor("person", str(by.person_id))
    record(
        "vote.cast",
        tenant_id=by.tenant_id,
        actor=who,
        request_id=request.pk,
        trace_id=trace_id or request.trace_id,
        data={
            "decision": decision,
            "revision": request.revision,
            "seen_sha256": digest(seen),
            **step_up.on_trail(proof),
        },
        personal={"comment": comment, "name": by.name} if comment else {"name": by.name},
    )
    if decision == Vote.DENY:
        _deny(request, who, comment, trace_id)
        return
    verdict = from_json(request.verdict)
    if isinstance(verdict, Require) and not judge.missing(request, verdict):
        approve(request, verdict.valid_for, who, trace_id, {"revision": request.revision})
    elif isinstance(verdict, AutoApprove):
        approve(request, VALID_FOR, who, trace_id, {"revision": request.revision})


def approve(
    request: ApprovalRequest, valid_for: timedelta, who: Actor, trace_id: str, data: dict[str, object]
) -> None:
    """From pending to a worker, with event and messages, in the caller's transaction. Raises MoveRefused."""
    now = timezone.now()
    _move(request, Status.APPROVED, decided_at=now, **switches.time_from(now, valid_for, request))
    record(
        "request.approved",
        tenant_id=request.tenant_id,
        actor=who,
        request_id=request.pk,
        trace_id=trace_id or request.trace_id,
        data=data,
    )
    outbox.put(request, outbox.EXECUTE)
    outbox.announce(request, "request.approved")


def _deny(request: ApprovalRequest, who: Actor, comment: str, trace_id: str) -> None:
    now = timezone.now()
    _move(request, Status.DENIED, decided_at=now, finished_at=now, outcome=comment)
    record(
        "request.denied",
        tenant_id=request.tenant_id,
        actor=who,
        request_id=request.pk,
        trace_id=trace_id or request.trace_id,
    )
    outbox.announce(request, "request.denied")


def _move(request: ApprovalRequest, new: Status, **changes: object) -> None:
    if not moves.make(request, new, **changes):
        raise MoveRefused(status=request.status, wanted=new)
    request.refresh_from_db()


def _log(
    decision: str,
    request_id: UUID,
    request: ApprovalRequest | None,
    who: Actor,
    tenant_id: UUID,
    *,
    because: str | None = None,
) -> None:
    """After the commit: allowed unless there is a code `because` of which it was not."""
    decided(
        decision,
        is_allowed=because is None,
        by=who,
        tenant_id=tenant_id,
        request_id=request_id,
        resource_id=request.resource_id if request else None,
        action=request.action if request else None,
        policy_version=request.policy_version_id if request else None,
        because=because,
    )


def _record_refusal(refusal: Refusal, request_id: UUID, decision: str, by: Reviewer, trace_id: str) -> None:
    unseen = isinstance(refusal, NotFound)
    with tenant_scope(by.tenant_id):
        record(
            "access.denied" if unseen else "vote.refused",
            tenant_id=by.tenant_id,
            actor=Actor("person", str(by.person_id)),
            request_id=None if unseen else request_id,
            trace_id=trace_id,
            data={"code": refusal.code, "wanted": decision, "id": str(request_id)},
        )
