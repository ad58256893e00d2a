"""The reviewer's verbs, and those of the clock and of the rules: vote, approve by rule, expire, reopen."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.postgres.functions import TransactionNow
from django.db.models import Q
from django.utils import timezone

from approvals import backing, judge, moves, outbox, switches, watching
from approvals.actions.contract import Facts
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
from approvals.models import ApprovalRequest, PolicyVersion, Vote
from approvals.payloads import canonical, digest
from approvals.states import Status, sources
from approvals.tracing import span
from policies.verdicts import EXPIRES_IN, VALID_FOR, AutoApprove, Deny, Require, Verdict, from_json, to_json

COMMENT = (3, 1000)  # characters
WORKER = Actor("system", "worker")
SWEEPER = Actor("system", "sweeper")


@span("vote")
def vote(
    request_id: UUID, decision: str, *, by: Reviewer, seen: str, comment: str = "", trace_id: str = ""
) -> ApprovalRequest:
    """Approve or deny, bound to what was on the reviewer's screen (`judge.seen`).

    A denial ends the request; an approval that completes the quorum sends it to a worker. Raises NotFound,
    MoveRefused, SelfApproval, NotEntitled, AlreadyVoted, PageOutdated, PolicyForbids,
    RequestAltered, CommentMissing or CommentTooLong; then nothing was decided, and the refusal is on the trail.
    """
    comment, who = comment.strip(), Actor("person", str(by.person_id))
    request: ApprovalRequest | None = None
    try:
        with tenant_scope(by.tenant_id):
            request = _locked(request_id)
            _check(request, decision, by, seen, comment)
            _cast(request, decision, by, seen, comment, trace_id)
    except Refusal as refusal:
        _record_refusal(refusal, request_id, decision, by, trace_id)
        _log(decision, request_id, request, who, by.tenant_id, because=refusal.code)
        raise
    _log(decision, request_id, request, who, by.tenant_id)
    return request


def approve_by_rule(request_id: UUID, tenant_id: UUID) -> None:
    """In a worker: judge again, and approve where the rule in force still asks for nobody.

    Where facts or verdict have changed, the request is judged anew as its next revision. One that asks for people is
    theirs, whatever a rule says now. Raises NoAnswer, or RequestAltered for a row that contradicts itself, and
    outbox.Postponed while a switch is on.
    """
    with tenant_scope(tenant_id):
        request = ApprovalRequest.objects.select_related("tenant").get(pk=request_id)
        if not _asks_for_nobody(request):
            return
        switches.check_goes_on(request)
    action, arguments, known = judge.stored(request)
    judge.check_sound(request, action, arguments, known)
    facts = judge.look_up(action, arguments, backing.reader(request.tenant.slug))
    with tenant_scope(tenant_id):
        request = _locked(request_id)
        switches.check_goes_on(request)
        if not _asks_for_nobody(request) or switches.time_is_up(request):
            return
        verdict, version = judge.verdict(action, arguments, facts, judge.asker_in(request), timezone.now())
        agrees = isinstance(verdict, AutoApprove) and request.facts_sha256 == digest(canonical(facts))
        if agrees:
            _approve(request, VALID_FOR, WORKER, request.trace_id, {"rule": verdict.rule})
        else:
            _rejudge(request, verdict, version, facts)
    _log(Vote.APPROVE, request_id, request, WORKER, tenant_id, because=None if agrees else "rule_changed")


def expire(request_id: UUID, tenant_id: UUID) -> bool:
    """The clock's verb: True when the request's time was up, no switch held it, and it expired now."""
    now = timezone.now()
    with tenant_scope(tenant_id):
        # By the database's clock, which refuses by it too (migration 0009).
        late = ApprovalRequest.objects.filter(
            pk=request_id,
            status__in=sources(Status.EXPIRED),
            expires_at__lte=TransactionNow(),
            frozen_at=None,
        )
        won = late.exclude(switches.covered()).update(status=Status.EXPIRED, finished_at=now)
        if won == 1:
            request = ApprovalRequest.objects.only("id", "tenant_id", "revision", "trace_id").get(
                pk=request_id
            )
            record(
                "request.expired",
                tenant_id=tenant_id,
                actor=SWEEPER,
                request_id=request_id,
                trace_id=request.trace_id,
            )
            outbox.announce(request, "request.expired")
            watching.moved(request)
    return won == 1


def overdue(limit: int = 200) -> list[tuple[UUID, UUID]]:
    """Requests of all tenants whose time is up: (id, tenant id)."""
    late = Q(status__in=sources(Status.EXPIRED), expires_at__lte=timezone.now(), frozen_at=None)
    return list(ApprovalRequest.objects.filter(late).values_list("id", "tenant_id")[:limit])


def reopen(request_id: UUID, tenant_id: UUID) -> None:
    """A stale request goes back to its reviewers with fresh facts, as a new revision: votes start again.

    Raises NoAnswer while the facts cannot be read.
    """
    with tenant_scope(tenant_id):
        request = ApprovalRequest.objects.select_related("tenant").get(pk=request_id)
    if request.status != Status.STALE:
        return
    action, arguments, _ = judge.stored(request)
    facts = judge.look_up(action, arguments, backing.reader(request.tenant.slug))
    with tenant_scope(tenant_id):
        request = _locked(request_id)
        if request.status != Status.STALE:
            return
        verdict, version = judge.verdict(action, arguments, facts, judge.asker_in(request), timezone.now())
        # In one statement: what is pending and asks for people is not the worker's to change any more.
        _move(request, Status.PENDING, **_anew(request, verdict, version, facts))
        _tell_anew(request, verdict, "request.reopened")


def _locked(request_id: UUID) -> ApprovalRequest:
    request = ApprovalRequest.objects.select_for_update().filter(pk=request_id).first()
    if request is None:
        raise NotFound(thing="request", id=request_id)
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


def _cast(
    request: ApprovalRequest, decision: str, by: Reviewer, seen: str, comment: str, trace_id: str
) -> None:
    """Vote, event and outbox row together; after commit a worker is told."""
    Vote(
        tenant_id=by.tenant_id,
        request=request,
        person_id=by.person_id,
        revision=request.revision,
        decision=decision,
        comment=comment,
        digest=digest(seen),
    ).save(force_insert=True)
    who = Actor("person", str(by.person_id))
    record(
        "vote.cast",
        tenant_id=by.tenant_id,
        actor=who,
        request_id=request.pk,
        trace_id=trace_id or request.trace_id,
        data={"decision": decision, "revision": request.revision, "seen_sha256": digest(seen)},
        personal={"comment": comment, "name": by.name} if comment else {"name": by.name},
    )
    if decision == Vote.DENY:
        _deny(request, who, comment, trace_id)
        return
    verdict = from_json(request.verdict)
    if isinstance(verdict, Require) and not judge.missing(request, verdict):
        _approve(request, verdict.valid_for, who, trace_id, {"revision": request.revision})
    elif isinstance(verdict, AutoApprove):
        _approve(request, VALID_FOR, who, trace_id, {"revision": request.revision})


def _approve(
    request: ApprovalRequest, valid_for: timedelta, who: Actor, trace_id: str, data: dict[str, object]
) -> None:
    now = timezone.now()
    _move(request, Status.APPROVED, decided_at=now, **_time_from(now, valid_for, request))
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


def _asks_for_nobody(request: ApprovalRequest) -> bool:
    return request.status == Status.PENDING and isinstance(from_json(request.verdict), AutoApprove)


def _rejudge(request: ApprovalRequest, verdict: Verdict, version: PolicyVersion | None, facts: Facts) -> None:
    ApprovalRequest.objects.filter(pk=request.pk).update(**_anew(request, verdict, version, facts))
    watching.moved(request)
    request.refresh_from_db()
    _tell_anew(request, verdict, "request.rejudged")


def _anew(
    request: ApprovalRequest, verdict: Verdict, version: PolicyVersion | None, facts: Facts
) -> dict[str, Any]:
    """The next revision, with fresh facts and the verdict on them: votes and the time to decide start again."""
    action, arguments, _ = judge.stored(request)
    now, facts_text = timezone.now(), canonical(facts)
    return {
        "revision": request.revision + 1,
        "facts": facts_text,
        "facts_sha256": digest(facts_text),
        "facts_read_at": now,
        "headline": action.headline(arguments, facts)[:300],
        "verdict": to_json(verdict),
        "policy_version": version,
        **_time_from(now, verdict.expires_in if isinstance(verdict, Require) else EXPIRES_IN, request),
    }


def _tell_anew(request: ApprovalRequest, verdict: Verdict, kind: str) -> None:
    record(
        kind,
        tenant_id=request.tenant_id,
        actor=WORKER,
        request_id=request.pk,
        trace_id=request.trace_id,
        data={
            "revision": request.revision,
            "facts_sha256": request.facts_sha256,
            "verdict": verdict.kind,
            "rule": verdict.rule,
        },
    )
    outbox.announce(request, "request.created")
    if isinstance(verdict, AutoApprove):
        outbox.put(request, outbox.JUDGE)


def _time_from(now: datetime, time: timedelta, request: ApprovalRequest) -> dict[str, datetime | None]:
    """A new deadline. Where a switch holds the request, it holds this one too, from now on."""
    return {"expires_at": now + time, "frozen_at": now if request.frozen_at else None}


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
