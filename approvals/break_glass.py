"""Break-glass: one person pushes one request through alone. Those who watch know at once, and must look at it later.

It stands in for the people whom a rule asks for, for a quarter of an hour, and for nothing else: what a rule refuses,
an operator has stopped, or somebody has altered stays where it is.
"""

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from approvals import canaries, decide, judge, moves, outbox, switches
from approvals.acting import acting_on
from approvals.audit.decisions import deciding
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import (
    GlassReasonMissing,
    MoveRefused,
    NobodyWatches,
    NotConfirmed,
    NotEntitled,
    NotFound,
    OwnBreakGlass,
    PageOutdated,
    ReviewedAlready,
    ReviewMissing,
    SecondFactorNeeded,
    SelfApproval,
    StoppedMeanwhile,
)
from approvals.glass import AUDITOR, BREAKER, EARLIER, SECURITY, lasts, never_because
from approvals.identity.models import Membership
from approvals.identity.proof import Proof, newest_by_second_factor
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, BreakGlass, BreakGlassReview, Vote
from approvals.models.break_glass import BOX, REASON
from approvals.payloads import digest
from approvals.states import Status
from approvals.tracing import span
from policies.verdicts import Require, from_json

KIND = "request.break_glass"
COMMENT = (3, 1000)  # characters


@span("break glass")
def push(
    request_id: UUID, *, by: Reviewer, reason: str, typed: str, seen: str, trace_id: str = ""
) -> ApprovalRequest:
    """Approve a pending request alone, for BOX. `typed` is the thing it is about, as a confirmation.

    Raises NotFound, MoveRefused, SelfApproval, NotEntitled, PageOutdated, PolicyForbids, NothingToBreak,
    FourEyesAlways, CoolsTooLong, StoppedMeanwhile, RequestAltered, GlassReasonMissing, NotConfirmed, NobodyWatches,
    SecondFactorNeeded, BudgetExceeded, BudgetsBusy or BudgetsUnknown; then nothing was changed, and the refusal is on
    the trail.
    """
    reason = reason.strip()
    with acting_on(
        request_id, "break_glass", by=by, refused="break_glass.refused", trace_id=trace_id
    ) as request:
        proof = _checked(request, by, reason, typed.strip(), seen)
        _break(request, by, reason, proof, seen, trace_id)
    return request


def _checked(request: ApprovalRequest, by: Reviewer, reason: str, typed: str, seen: str) -> Proof:
    """Everything that can stand against it, in the order in which a person should hear of it."""
    if BREAKER not in by.roles:
        raise NotEntitled(roles=BREAKER.replace("_", " "))
    if why := judge.dependent_because(by.person_id, request):
        raise SelfApproval(why=why)
    if switches.is_held(request) or switches.over(request):
        raise StoppedMeanwhile
    if request.status != Status.PENDING or switches.time_is_up(request):
        raise MoveRefused(status=switches.status_in_words(request), wanted="pushed through")
    if changed := judge.changed(seen, request):
        raise PageOutdated(changed=changed)
    if refusal := never_because(request):
        raise refusal
    judge.check_sound(request, *judge.stored(request))
    if not REASON[0] <= len(reason) <= REASON[1]:
        raise GlassReasonMissing
    if typed != request.resource_id:
        raise NotConfirmed(what=request.resource_id)
    if not _watchers(request, by).exists():
        raise NobodyWatches
    if (proof := newest_by_second_factor(by.proofs)) is None:
        raise SecondFactorNeeded
    return proof


def _watchers(request: ApprovalRequest, by: Reviewer) -> QuerySet[Membership]:
    """Whoever is told of it, is somebody else, and no part of it."""
    part_of_it = {by.person_id, request.person_id, request.owner_id, request.on_behalf_of_id}
    held = Membership.objects.filter(tenant_id=by.tenant_id, role=SECURITY, person__is_active=True)
    return held.exclude(person_id__in=[one for one in part_of_it if one])


def _break(
    request: ApprovalRequest, by: Reviewer, reason: str, proof: Proof, seen: str, trace_id: str
) -> None:
    """The row, its event, the approval and everybody's alert, or none of it."""
    now, who = timezone.now(), Actor("person", str(by.person_id))
    if request.is_canary:
        canaries.end(request, Vote.APPROVE, who, trace_id)
        return
    glass = _row(request, by, reason, proof, seen, now)
    record(
        KIND,
        tenant_id=by.tenant_id,
        actor=who,
        request_id=request.pk,
        trace_id=trace_id or request.trace_id,
        data={
            "break_glass": str(glass.pk),
            "revision": request.revision,
            "seen_sha256": glass.digest,
            "proof": proof.method,
            "valid_until": glass.valid_until.isoformat(timespec="seconds"),
        },
        personal={"name": by.name, "reason": reason},
    )
    outbox.announce(request, KIND)
    outbox.put(request, outbox.MAIL, kind=KIND)
    about = {"revision": request.revision, "break_glass": str(glass.pk)}
    verdict = from_json(request.verdict)
    cooling_off = verdict.cooling_off if isinstance(verdict, Require) else None
    holds = lasts(verdict) if isinstance(verdict, Require) else BOX - EARLIER
    decide.approve(request, holds, who, trace_id, about, cooling_off=cooling_off)


def _row(
    request: ApprovalRequest, by: Reviewer, reason: str, proof: Proof, seen: str, now: datetime
) -> BreakGlass:
    glass = BreakGlass(
        tenant_id=by.tenant_id,
        request=request,
        person_id=by.person_id,
        revision=request.revision,
        reason=reason,
        digest=digest(seen),
        proof=proof.method,
        proved_at=min(proof.at, now),
        created_at=now,
        valid_until=now + BOX,
    )
    glass.save(force_insert=True)
    return glass


@span("review break glass")
def review(glass_id: UUID, *, by: Reviewer, verdict: str, comment: str) -> BreakGlassReview:
    """Say whether it was justified; until then it stays red.

    Raises NotEntitled, NotFound, OwnBreakGlass, SelfApproval, ReviewedAlready or ReviewMissing.
    """
    comment, who = comment.strip(), Actor("person", str(by.person_id))
    decision = deciding("review_break_glass", by=who, tenant_id=by.tenant_id, resource_id=str(glass_id))
    with decision, tenant_scope(by.tenant_id):
        by.check_in_person()
        return _say(_reviewable(glass_id, by, verdict, comment), by, verdict, comment)


def _reviewable(glass_id: UUID, by: Reviewer, verdict: str, comment: str) -> BreakGlass:
    if not {SECURITY, AUDITOR} & by.roles:
        raise NotEntitled(roles=f"{SECURITY} or {AUDITOR}")
    # Its request's row is what two reviewers at once wait for; the glass itself nobody may change, nor lock.
    glass = BreakGlass.objects.select_related("request").filter(pk=glass_id).first()
    if glass is None:
        raise NotFound(thing="break-glass", id=glass_id)
    moves.locked(glass.request_id)
    if glass.person_id == by.person_id:
        raise OwnBreakGlass
    if why := judge.dependent_because(by.person_id, glass.request):
        raise SelfApproval(why=why)
    if BreakGlassReview.objects.filter(break_glass=glass).exists():
        raise ReviewedAlready
    known = verdict in (BreakGlassReview.JUSTIFIED, BreakGlassReview.NOT_JUSTIFIED)
    if not known or not COMMENT[0] <= len(comment) <= COMMENT[1]:
        raise ReviewMissing
    return glass


def _say(glass: BreakGlass, by: Reviewer, verdict: str, comment: str) -> BreakGlassReview:
    said = BreakGlassReview(
        tenant_id=by.tenant_id, break_glass=glass, person_id=by.person_id, verdict=verdict, comment=comment
    )
    said.save(force_insert=True)
    record(
        "break_glass.reviewed",
        tenant_id=by.tenant_id,
        actor=Actor("person", str(by.person_id)),
        request_id=glass.request_id,
        data={"break_glass": str(glass.pk), "verdict": verdict},
        personal={"name": by.name, "comment": comment},
    )
    return said
