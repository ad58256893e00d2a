"""The requester's answer to a reviewer who asked for changes: the same request, changed, as its next revision.

Judged like a new one: facts looked up anew, the policy as it is now, limits and switches. It is done to the same thing:
for another one a new request is filed, because pages, limits and other requests know a request by what it is done to.
"""

from collections.abc import Mapping
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone

from approvals import actions, content, judge, limits, moves, outbox, submit, switches
from approvals.actions.contract import Arguments
from approvals.audit.events import record
from approvals.database import rows_in_scope
from approvals.errors import (
    DoomedRevision,
    MoveRefused,
    NobodyAsked,
    NotFound,
    NothingRevised,
    OtherThing,
    Refusal,
)
from approvals.identity.requester import Requester
from approvals.models import ApprovalRequest, PolicyVersion
from approvals.states import FINAL, Status
from approvals.submit import Filed, actor, scope
from approvals.tracing import span
from policies.verdicts import AutoApprove, Deny, Verdict


@span("revise")
def revise(request_id: UUID, arguments: Mapping[str, object], *, by: Requester, trace_id: str) -> Filed:
    """Answer with other arguments, all of them: from changes_requested to pending, and the votes start again.

    The same answer again, as after a lost one, leads to where the request stands. Raises NotFound, ArgumentsInvalid,
    MoveRefused, NobodyAsked, OtherThing, NothingRevised, DoomedRevision (the policy refuses), LimitReached,
    LimitsUnknown, SwitchedOff, SwitchesUnknown, PayloadUnreadable, or NoAnswer; then the request is as
    it was, and the refusal is on the trail.
    """
    request: ApprovalRequest | None = None
    try:
        request = _mine(request_id, by)
        action = actions.get(request.action)
        parsed = judge.parse(action, arguments)
        if repeated := _repeated(request, action, parsed, by, trace_id):
            return repeated
        _check(request, action, parsed)
        return _revised(request, action, parsed, by, trace_id)
    except limits.LIMITED as refusal:
        limits.record_limit(refusal, by=by, wanted="revise_request", trace_id=trace_id)
        raise
    except Refusal as refusal:
        _record_refusal(refusal, request_id, request, by, trace_id)
        raise


def _mine(request_id: UUID, by: Requester) -> ApprovalRequest:
    with scope(by):
        request = ApprovalRequest.objects.filed_by(by).filter(pk=request_id).first()
    if request is None:
        raise NotFound(thing="request", id=request_id)
    return request


def _repeated(
    request: ApprovalRequest, action: actions.AnyAction, arguments: Arguments, by: Requester, trace_id: str
) -> Filed | None:
    """The request, where exactly this was its last answer and nobody has asked for more since."""
    if request.status == Status.CHANGES_REQUESTED or request.revision == 1:
        return None
    if not content.asks_for(request, action, arguments):
        return None
    limits.record_sparingly("request.repeated", by=by, trace_id=trace_id, request_id=request.pk)
    return Filed(request, repeated=True)


def _check(request: ApprovalRequest, action: actions.AnyAction, arguments: Arguments) -> None:
    """What stands against an answer before anything is looked up."""
    if request.status in FINAL:
        raise MoveRefused(status=request.status, wanted="revised")
    if request.status != Status.CHANGES_REQUESTED:
        raise NobodyAsked(status=request.status)
    if action.resource_id(arguments) != request.resource_id:
        raise OtherThing(thing=action.thing, id=request.resource_id)
    if content.asks_for(request, action, arguments):
        raise NothingRevised


def _revised(
    request: ApprovalRequest, action: actions.AnyAction, arguments: Arguments, by: Requester, trace_id: str
) -> Filed:
    reader = action.reader(by.tenant_slug)
    facts, version, now = submit.looked_up(action, arguments, reader), _policy(by), timezone.now()
    verdict, usage = submit.weighed(action, arguments, facts, version, by, now)
    if isinstance(verdict, Deny):
        about = {"resource_id": request.resource_id, "policy_version": version and version.pk}
        raise DoomedRevision(sentence=verdict.public, rule=verdict.rule, **about)
    said = {
        **content.asked(action, arguments, request.salt),
        **content.judged(action, arguments, facts, verdict, version, usage, now, request.salt),
    }
    try:
        written = _write(request, action, arguments, verdict, version, said, by, trace_id)
    except IntegrityError as error:
        if refusal := switches.filed_too_late(error, by):
            raise refusal from error
        raise
    if written:
        return Filed(written, repeated=False, backing_status=reader.last_status)
    # Somebody was first while we looked things up: the same call sent twice, a withdrawal, or the clock.
    found = _mine(request.pk, by)
    if repeated := _repeated(found, action, arguments, by, trace_id):
        return repeated
    is_late = found.status == Status.CHANGES_REQUESTED and found.revision == request.revision
    raise MoveRefused(status="expired" if is_late else found.status.replace("_", " "), wanted="revised")


def _policy(by: Requester) -> PolicyVersion | None:
    """The one in force."""
    found = rows_in_scope(
        "SELECT id, digest, source FROM policy_version WHERE is_active",
        (),
        tenant_id=by.tenant_id,
        agent_id=by.agent_id,
        person_id=by.person_id,
    )
    return PolicyVersion.from_db(None, ("id", "digest", "source"), found[0]) if found else None


def _write(
    request: ApprovalRequest,
    action: actions.AnyAction,
    arguments: Arguments,
    verdict: Verdict,
    version: PolicyVersion | None,
    said: dict[str, object],
    by: Requester,
    trace_id: str,
) -> ApprovalRequest | None:
    """Request, event and outbox rows in one transaction; the database keeps what the request was. None: too late."""
    with scope(by):
        now = moves.locked(request.pk)
        is_open = now.status == Status.CHANGES_REQUESTED and now.revision == request.revision
        if not is_open or switches.time_is_up(now):
            return None
        limits.check_filing(by, action.name, action.tool)
        # Again, after the look-up and the wait for a turn, which may have taken longer than a stop may take.
        switches.check(by, action.tool)
        deadline = switches.time_from(timezone.now(), content.time_to_decide(verdict), now)
        if not moves.make(now, Status.PENDING, revision=now.revision + 1, changes=None, **said, **deadline):
            return None
        now.refresh_from_db()
        record(
            "request.revised",
            tenant_id=by.tenant_id,
            actor=actor(by),
            request_id=now.pk,
            trace_id=trace_id,
            data={"revision": now.revision, **submit.judged(now, action, arguments, version)},
            personal={"reason": arguments.reason},
        )
        outbox.announce(now, "request.created")
        if isinstance(verdict, AutoApprove):
            outbox.put(now, outbox.JUDGE)
    return now


def _record_refusal(
    refusal: Refusal, request_id: UUID, request: ApprovalRequest | None, by: Requester, trace_id: str
) -> None:
    if request is None:
        data = {"code": refusal.code, "wanted": "revise", "id": str(request_id)}
        limits.record_sparingly("access.denied", by=by, trace_id=trace_id, data=data)
        return
    with scope(by):
        record(
            "request.refused",
            tenant_id=by.tenant_id,
            actor=actor(by),
            request_id=request.pk,
            trace_id=trace_id,
            data={
                "action": request.action,
                "code": refusal.code,
                "rule": str(refusal.details.get("rule", "")),
                "resource_id": request.resource_id,
                "wanted": "revise",
            },
        )
