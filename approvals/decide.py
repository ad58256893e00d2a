"""The reviewer's verbs: what people decide, each bound to what was on their screen."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from approvals import actions, budgets, canaries, claims, judge, moves, outbox, quorum, step_up, switches
from approvals.acting import acting_on
from approvals.audit.events import NOTHING, Actor, record
from approvals.errors import (
    ChangesMissing,
    CommentMissing,
    CommentTooLong,
    FieldTooLong,
    FieldUnknown,
    MoveRefused,
    OnlyAgentsRevise,
    PageOutdated,
    PolicyForbids,
    UndoingIsExact,
)
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, Vote
from approvals.payloads import digest
from approvals.states import Status
from approvals.tracing import span
from policies.verdicts import AutoApprove, Deny, Require, from_json

COMMENT = (3, 1000)  # characters
LONGEST_OF_A_FIELD = 500  # characters
_WANTED = {
    Vote.APPROVE: Status.APPROVED,
    Vote.DENY: Status.DENIED,
    Vote.CHANGES: Status.CHANGES_REQUESTED,
}


@span("vote")
def vote(
    request_id: UUID,
    decision: str,
    *,
    by: Reviewer,
    seen: str,
    comment: str = "",
    looked_for_seconds: int | None = None,
    trace_id: str = "",
) -> ApprovalRequest:
    """Approve or deny, bound to what was on the reviewer's screen (`judge.seen`).

    `looked_for_seconds` is how long it was there, None where that is not known.

    A denial ends the request; an approval that completes the quorum sends it to a worker. Raises NotFound,
    MoveRefused, SelfApproval, NotEntitled, AlreadyVoted, NotYourTurn, PlacesTaken, CountedAlready, PageOutdated,
    PolicyForbids, RequestAltered, BudgetExceeded, BudgetsBusy, BudgetsUnknown, CommentMissing, CommentTooLong or
    StepUpNeeded; then nothing was decided, and the refusal is on the trail.
    """
    return _decided(request_id, decision, by, seen, comment, {}, looked_for_seconds, trace_id)


@span("ask for changes")
def ask_for_changes(
    request_id: UUID,
    *,
    by: Reviewer,
    seen: str,
    message: str,
    fields: Mapping[str, str] = NOTHING,
    looked_for_seconds: int | None = None,
    trace_id: str = "",
) -> ApprovalRequest:
    """Send the request back to the agent, with what should change: in a message, and for each field of the arguments.

    Checked like a vote, and counted as one, so that one person answers a revision once. The agent answers with a new
    revision (`revise.py`); the deadline goes on. Raises what `vote` raises, OnlyAgentsRevise, UndoingIsExact,
    ChangesMissing, FieldUnknown or FieldTooLong; then nothing was decided, and the refusal is on the trail.
    """
    said = {name: text.strip() for name, text in fields.items() if text.strip()}
    return _decided(request_id, Vote.CHANGES, by, seen, message, said, looked_for_seconds, trace_id)


def _decided(
    request_id: UUID,
    decision: str,
    by: Reviewer,
    seen: str,
    comment: str,
    fields: Mapping[str, str],
    looked_for_seconds: int | None,
    trace_id: str,
) -> ApprovalRequest:
    comment = comment.strip()
    with acting_on(request_id, decision, by=by, refused="vote.refused", trace_id=trace_id) as request:
        ballot = _check(request, decision, by, seen, comment)
        _check_fields(request, fields)
        # Last: who has to prove themselves first comes back with words that can be taken.
        step_up.check(from_json(request.verdict), by)
        _cast(request, decision, by, ballot, seen, comment, fields, looked_for_seconds, trace_id)
    return request


def _check(request: ApprovalRequest, decision: str, by: Reviewer, seen: str, comment: str) -> quorum.Ballot:
    """Everything that can stand against a vote, in the order in which people should hear of it.

    Returns how the vote is cast: by whom, and in whose place.
    """
    wanted = _WANTED[decision]
    if request.status != Status.PENDING or switches.time_is_up(request):
        raise MoveRefused(status=switches.status_in_words(request), wanted=wanted.replace("_", " "))
    ballot = quorum.check_entitled(by, request, approves=wanted == Status.APPROVED)
    if changed := judge.changed(seen, request):
        raise PageOutdated(changed=changed)
    verdict = from_json(request.verdict)
    if wanted != Status.DENIED and isinstance(verdict, Deny):
        raise PolicyForbids(because=verdict.because)
    if wanted != Status.DENIED:
        judge.check_sound(request, *judge.stored(request))
    if wanted == Status.DENIED and len(comment) < COMMENT[0]:
        raise CommentMissing
    if wanted == Status.CHANGES_REQUESTED and request.agent_id is None:
        raise OnlyAgentsRevise
    if wanted == Status.CHANGES_REQUESTED and request.undoes_id:
        raise UndoingIsExact
    if wanted == Status.CHANGES_REQUESTED and len(comment) < COMMENT[0]:
        raise ChangesMissing
    if len(comment) > COMMENT[1]:
        raise CommentTooLong
    return ballot


def _check_fields(request: ApprovalRequest, fields: Mapping[str, str]) -> None:
    """What changes are asked for in are arguments of the action, by their own names."""
    known = actions.get(request.action).arguments.model_fields if fields else {}
    for name, text in fields.items():
        if name not in known:
            raise FieldUnknown(name=name[:64])
        if len(text) > LONGEST_OF_A_FIELD:
            raise FieldTooLong


def _cast(
    request: ApprovalRequest,
    decision: str,
    by: Reviewer,
    ballot: quorum.Ballot,
    seen: str,
    comment: str,
    fields: Mapping[str, str],
    looked_for_seconds: int | None,
    trace_id: str,
) -> None:
    """Vote, event and outbox row together; after commit a worker is told."""
    proof = step_up.proof_of(by)
    Vote(
        tenant_id=by.tenant_id,
        request=request,
        person_id=by.person_id,
        instead_of_id=ballot.instead_of,
        revision=request.revision,
        decision=decision,
        comment=comment,
        digest=digest(seen),
        looked_for_seconds=looked_for_seconds,
        created_at=ballot.at,
        **step_up.on_vote(proof, ballot.at),
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
            "instead_of": str(ballot.instead_of or ""),
            **step_up.on_trail(proof),
        },
        personal={"comment": comment, "name": by.name} if comment else {"name": by.name},
    )
    claims.end(request, by)
    if request.is_canary:
        canaries.end(request, decision, who, trace_id)
        return
    if decision == Vote.DENY:
        _deny(request, who, comment, trace_id)
        return
    if decision == Vote.CHANGES:
        _send_back(request, who, comment, fields, trace_id)
        return
    verdict = from_json(request.verdict)
    if isinstance(verdict, Require) and not quorum.missing(request, verdict):
        about: dict[str, object] = {"revision": request.revision}
        approve(request, verdict.valid_for, who, trace_id, about, cooling_off=verdict.cooling_off)
    elif isinstance(verdict, AutoApprove):
        approve(request, verdict.valid_for, who, trace_id, {"revision": request.revision})


def approve(
    request: ApprovalRequest,
    valid_for: timedelta,
    who: Actor,
    trace_id: str,
    data: dict[str, object],
    *,
    cooling_off: timedelta | None = None,
) -> None:
    """From pending to a worker, with event and messages, in the caller's transaction.

    A worker is told when the time to cool off is over. Raises MoveRefused, and BudgetExceeded, BudgetsBusy or
    BudgetsUnknown where the policy in force has no room for it.
    """
    now = timezone.now()
    budgets.reserve(judge.budgets_of(judge.in_force(), request.action), budgets.counted(request), now)
    _move(request, Status.APPROVED, decided_at=now, **switches.time_from(now, valid_for, request))
    record(
        "request.approved",
        tenant_id=request.tenant_id,
        actor=who,
        request_id=request.pk,
        trace_id=trace_id or request.trace_id,
        data=data,
    )
    outbox.put(request, outbox.EXECUTE, wait_seconds=cooling_off.total_seconds() if cooling_off else 0)
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


def _send_back(
    request: ApprovalRequest, who: Actor, message: str, fields: Mapping[str, str], trace_id: str
) -> None:
    """To the agent, who is told what to change and not by whom."""
    changes = {"message": message, "fields": dict(fields), "at": timezone.now().isoformat()}
    _move(request, Status.CHANGES_REQUESTED, changes=changes)
    record(
        "request.changes_requested",
        tenant_id=request.tenant_id,
        actor=who,
        request_id=request.pk,
        trace_id=trace_id or request.trace_id,
        data={"revision": request.revision, "fields": sorted(fields)},
        personal={f"field {name}": text for name, text in fields.items()},
    )
    outbox.announce(request, "request.changes_requested")


def _move(request: ApprovalRequest, new: Status, **changes: object) -> None:
    if not moves.make(request, new, **changes):
        raise MoveRefused(status=request.status, wanted=new)
    request.refresh_from_db()
