"""The rules' own verbs, in a worker: approve what asks for nobody, and judge anew what is no longer true."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from approvals import content, decide, judge, moves, outbox, switches, watching
from approvals.actions.contract import Facts
from approvals.audit.decisions import decided
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import MoveRefused
from approvals.models import ApprovalRequest, PolicyVersion, Vote
from approvals.payloads import canonical, salted
from approvals.states import Status
from policies.verdicts import AutoApprove, Verdict, from_json

WORKER = Actor("system", "worker")


def approve_by_rule(request_id: UUID, tenant_id: UUID) -> None:
    """In a worker: judge again, and approve where the rule in force still asks for nobody.

    Where facts or verdict have changed, the request is judged anew as its next revision. One that asks for people is
    theirs, whatever a rule says now; where a budget has no room for it, people are asked. Raises NoAnswer, BudgetsBusy,
    or RequestAltered for a row that contradicts itself, and outbox.Postponed while a switch is on.
    """
    with tenant_scope(tenant_id):
        request = ApprovalRequest.objects.select_related("tenant").get(pk=request_id)
        if not _asks_for_nobody(request):
            return
        switches.check_goes_on(request)
    action, arguments, known = judge.stored(request)
    judge.check_sound(request, action, arguments, known)
    facts = judge.look_up(action, arguments, action.reader(request.tenant.slug))
    with tenant_scope(tenant_id):
        request = moves.locked(request_id)
        switches.check_goes_on(request)
        if not _asks_for_nobody(request) or switches.time_is_up(request):
            return
        now = timezone.now()
        verdict, version, usage = judge.verdict_now(request, action, arguments, facts, now, in_turn=True)
        same = request.facts_sha256 == salted(request.salt, canonical(facts))
        agrees = isinstance(verdict, AutoApprove) and same
        if isinstance(verdict, AutoApprove) and agrees:
            decide.approve(request, verdict.valid_for, WORKER, request.trace_id, {"rule": verdict.rule})
        else:
            _rejudge(request, verdict, version, facts, usage, now)
    decided(
        Vote.APPROVE,
        is_allowed=agrees,
        by=WORKER,
        tenant_id=tenant_id,
        request_id=request_id,
        resource_id=request.resource_id,
        action=request.action,
        policy_version=request.policy_version_id,
        because=None if agrees else "rule_changed",
    )


def reopen(request_id: UUID, tenant_id: UUID) -> None:
    """A stale request goes back to its reviewers with fresh facts, as a new revision: votes start again.

    Raises NoAnswer while the facts cannot be read.
    """
    with tenant_scope(tenant_id):
        request = ApprovalRequest.objects.select_related("tenant").get(pk=request_id)
    if request.status != Status.STALE:
        return
    action, arguments, _ = judge.stored(request)
    facts = judge.look_up(action, arguments, action.reader(request.tenant.slug))
    with tenant_scope(tenant_id):
        request = moves.locked(request_id)
        if request.status != Status.STALE:
            return
        now = timezone.now()
        verdict, version, usage = judge.verdict_now(request, action, arguments, facts, now)
        # In one statement: what is pending and asks for people is not the worker's to change any more.
        if not moves.make(request, Status.PENDING, **_anew(request, verdict, version, facts, usage, now)):
            raise MoveRefused(status=request.status, wanted=Status.PENDING)
        request.refresh_from_db()
        _tell_anew(request, verdict, "request.reopened")


def _asks_for_nobody(request: ApprovalRequest) -> bool:
    return request.status == Status.PENDING and isinstance(from_json(request.verdict), AutoApprove)


def _rejudge(
    request: ApprovalRequest,
    verdict: Verdict,
    version: PolicyVersion | None,
    facts: Facts,
    usage: Mapping[str, int],
    now: datetime,
) -> None:
    changes = _anew(request, verdict, version, facts, usage, now)
    ApprovalRequest.objects.filter(pk=request.pk).update(**changes)
    watching.moved(request)
    request.refresh_from_db()
    _tell_anew(request, verdict, "request.rejudged")


def _anew(
    request: ApprovalRequest,
    verdict: Verdict,
    version: PolicyVersion | None,
    facts: Facts,
    usage: Mapping[str, int],
    now: datetime,
) -> dict[str, Any]:
    """The next revision, with fresh facts and the verdict on them: votes and the time to decide start again.

    `now` is when it was judged.
    """
    action, arguments, _ = judge.stored(request)
    return {
        "revision": request.revision + 1,
        **content.judged(action, arguments, facts, verdict, version, usage, now, request.salt),
        **switches.time_from(now, content.time_to_decide(verdict), request),
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
