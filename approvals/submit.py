"""The requester's verbs. They file a request or take it back; nothing else moves.

This is the asker's side of the house: nothing here can decide or execute. Agents ask through the door; people ask on
our pages, and only for what no agent is offered.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.db import IntegrityError
from django.utils import timezone
from psycopg.errors import UniqueViolation

from approvals import actions, budgets, content, judge, limits, outbox, switches, watching
from approvals.actions.contract import Arguments, Facts
from approvals.audit.events import Actor, record
from approvals.backing import Backing
from approvals.database import rows_in_scope, tenant_scope
from approvals.errors import (
    BackingRefused,
    CredentialNotTaken,
    Doomed,
    KeyReused,
    LimitReached,
    MoveRefused,
    NotFound,
    NothingFound,
    Refusal,
    UndoneAlready,
)
from approvals.identity.requester import Requester
from approvals.models import ApprovalRequest, PolicyVersion
from approvals.payloads import canonical, redact
from approvals.states import Status, sources
from approvals.tracing import span
from policies.usage import Usage
from policies.verdicts import AutoApprove, Deny, Verdict

_ONE_UNDOING = "one_undoing_a_request"


@dataclass(frozen=True)
class Filed:
    """The request, whether it had been filed before under the same key, and what the look-up was answered."""

    request: ApprovalRequest
    repeated: bool
    backing_status: int | None = None


@span("submit")
def submit(
    action_name: str,
    arguments: Mapping[str, object],
    *,
    by: Requester,
    key: str | None = None,
    undoes: ApprovalRequest | None = None,
    trace_id: str,
) -> Filed:
    """File an approval request, born pending.

    `arguments` is what the agent claims, `key` its idempotency key (unique per requester), `undoes` the request of
    the same tenant that this one is to undo (`undo.py`). Raises ArgumentsInvalid, KeyReused, Doomed (the policy
    refuses), UndoneAlready, LimitReached, LimitsUnknown, SwitchedOff, SwitchesUnknown, NotFound, BackingRefused,
    PayloadUnreadable, or NoAnswer; then no request exists, and the refusal is on the trail.
    """
    action, asked_for = _offered(action_name, by, undoes), ""
    try:
        parsed = judge.parse(action, arguments)
        asked_for = action.resource_id(parsed)
        is_known, version = _before(by, key)
        if is_known and (repeated := _repeated(action, parsed, by, key, undoes, trace_id)):
            return repeated
        return _filed(action, parsed, version, by, key, undoes, trace_id)
    except limits.LIMITED as refusal:
        limits.record_limit(refusal, by=by, wanted=action.tool, trace_id=trace_id)
        raise
    except Refusal as refusal:
        _record_refusal(refusal, action, asked_for, by, trace_id)
        raise


def _offered(action_name: str, by: Requester, undoes: ApprovalRequest | None) -> actions.AnyAction:
    """The action, if such a requester may ask for it: people may undo what agents asked for. Raises NotFound."""
    action = actions.get(action_name)
    undoes_as_person = undoes is not None and by.kind == "person"
    if action.asked_by != by.kind and not undoes_as_person:
        raise NotFound(thing="action", id=action_name)
    return action


def withdraw(request_id: UUID, *, by: Requester, trace_id: str) -> ApprovalRequest:
    """Take a request back before anything was done. Raises NotFound or MoveRefused, both on the trail."""
    try:
        with scope(by):
            return _withdrawn(request_id, by, trace_id)
    except Refusal as refusal:
        kind = "access.denied" if isinstance(refusal, NotFound) else "request.refused"
        data = {"code": refusal.code, "wanted": "withdraw", "id": str(request_id)}
        limits.record_sparingly(kind, by=by, trace_id=trace_id, data=data)
        raise


def actor(by: Requester) -> Actor:
    return Actor(by.kind, str(by.id))


def scope(by: Requester, *, together: bool = False) -> AbstractContextManager[None]:
    return tenant_scope(by.tenant_id, agent_id=by.agent_id, person_id=by.person_id, together=together)


def _withdrawn(request_id: UUID, by: Requester, trace_id: str) -> ApprovalRequest:
    mine = ApprovalRequest.objects.filed_by(by).filter(pk=request_id)
    won = mine.filter(status__in=sources(Status.WITHDRAWN)).update(
        status=Status.WITHDRAWN, finished_at=timezone.now()
    )
    request = mine.first()
    if request is None:
        raise NotFound(thing="request", id=request_id)
    if won != 1:
        raise MoveRefused(status=request.status, wanted=Status.WITHDRAWN)
    record(
        "request.withdrawn", tenant_id=by.tenant_id, actor=actor(by), request_id=request.pk, trace_id=trace_id
    )
    outbox.announce(request, "request.withdrawn")
    watching.moved(request)
    return request


_BEFORE = {
    mine: f"""
        SELECT version.id, version.digest, version.source, EXISTS (
            SELECT FROM approval_request
            WHERE {mine}_id = %s AND {nobody}_id IS NULL AND idempotency_key = %s
        )
        FROM (VALUES (1)) AS always LEFT JOIN policy_version AS version ON version.is_active
        """  # noqa: S608
    for mine, nobody in (("agent", "person"), ("person", "agent"))
}


def _before(by: Requester, key: str | None) -> tuple[bool, PolicyVersion | None]:
    """Whether something was filed under this key, and the policy in force: in one round trip, for every call asks."""
    ((*found, is_known),) = rows_in_scope(
        _BEFORE[by.kind],
        (by.id, key),
        tenant_id=by.tenant_id,
        agent_id=by.agent_id,
        person_id=by.person_id,
    )
    return is_known, PolicyVersion.from_db(None, ("id", "digest", "source"), found) if found[0] else None


def _repeated(
    action: actions.AnyAction,
    arguments: Arguments,
    by: Requester,
    key: str | None,
    undoes: ApprovalRequest | None,
    trace_id: str,
) -> Filed | None:
    """The request that this key already stands for. Raises PayloadUnreadable, or KeyReused when it asked for something
    else, or what it asked for is no longer there to compare."""
    if key is None:
        return None
    with scope(by):
        request = ApprovalRequest.objects.filed_by(by).filter(idempotency_key=key).first()
        if request is None:
            return None
        same = (request.action, request.undoes_id) == (action.name, undoes.pk if undoes else None)
        if not same or not content.asks_for(request, action, arguments):
            raise KeyReused(key=key, request_id=request.pk)
    limits.record_sparingly("request.repeated", by=by, trace_id=trace_id, request_id=request.pk)
    return Filed(request, repeated=True)


def _filed(
    action: actions.AnyAction,
    arguments: Arguments,
    version: PolicyVersion | None,
    by: Requester,
    key: str | None,
    undoes: ApprovalRequest | None,
    trace_id: str,
) -> Filed:
    reader = action.reader(by.tenant_slug)
    facts, now = looked_up(action, arguments, reader), timezone.now()
    verdict, usage = weighed(action, arguments, facts, version, by, now)
    if isinstance(verdict, Deny):
        about = {"resource_id": action.resource_id(arguments), "policy_version": version and version.pk}
        raise Doomed(sentence=verdict.public, rule=verdict.rule, **about)
    try:
        request = _write(action, arguments, facts, now, verdict, version, usage, by, key, undoes, trace_id)
        return Filed(request, repeated=False, backing_status=reader.last_status)
    except (IntegrityError, LimitReached) as error:
        if refusal := switches.filed_too_late(error, by):
            raise refusal from error
        # Two calls with one key at the same moment: the other one won, and may have reached the limit.
        if repeated := _repeated(action, arguments, by, key, undoes, trace_id):
            return repeated
        if _constraint_of(error) == _ONE_UNDOING:
            raise UndoneAlready from error
        raise


def _constraint_of(error: Exception) -> str:
    """The name of the constraint that refused a row; "" where none did."""
    cause = error.__cause__
    return (cause.diag.constraint_name or "") if isinstance(cause, UniqueViolation) else ""


def weighed(
    action: actions.AnyAction,
    arguments: Arguments,
    facts: Facts,
    version: PolicyVersion | None,
    by: Requester,
    at: datetime,
) -> tuple[Verdict, dict[str, int]]:
    """What a version of the policy says to this, and the usage that it was told."""
    asker = judge.asker_of(by)
    it = budgets.counted_of(by.tenant_id, action, arguments, facts, asker)
    usage = _usage(judge.usages_of(version, action.name), it, by, at)
    return judge.verdict_of(version, action, arguments, facts, asker, at, usage), usage


def _usage(usages: Sequence[Usage], it: budgets.Counted, by: Requester, at: datetime) -> dict[str, int]:
    """What was approved already, in one round trip, where the policy asks for it."""
    if not usages:
        return {}
    wanted = budgets.question(usages, it, at)
    rows = rows_in_scope(
        budgets.USE, wanted, tenant_id=by.tenant_id, agent_id=by.agent_id, person_id=by.person_id
    )
    return budgets.answer(usages, rows)


def looked_up(action: actions.AnyAction, arguments: Arguments, reader: Backing) -> Facts:
    """The facts; what the backing API does not have, or refuses to show, reads the same to the agent."""
    try:
        return judge.look_up(action, arguments, reader)
    except CredentialNotTaken:
        raise  # it says nothing about the thing
    except (NothingFound, BackingRefused):
        raise NotFound(
            thing=action.thing, id=action.resource_id(arguments), hint=action.thing_found_by
        ) from None


def _write(
    action: actions.AnyAction,
    arguments: Arguments,
    facts: Facts,
    now: datetime,
    verdict: Verdict,
    version: PolicyVersion | None,
    usage: Mapping[str, int],
    by: Requester,
    key: str | None,
    undoes: ApprovalRequest | None,
    trace_id: str,
) -> ApprovalRequest:
    """Request, event and outbox rows, in one transaction. `now` is when it was judged: it can be judged so again."""
    salt = content.salt_for(action)
    request = ApprovalRequest(
        tenant_id=by.tenant_id,
        agent_id=by.agent_id,
        person_id=by.person_id,
        owner_id=by.owner_id,
        on_behalf_of_id=by.on_behalf_of_id,
        editor_id=action.editor(arguments, facts),
        requester_name=by.name,
        idempotency_key=key or f"none:{uuid4()}",
        action=action.name,
        resource_id=action.resource_id(arguments),
        created_at=now,
        expires_at=now + content.time_to_decide(verdict),
        trace_id=trace_id,
        undoes=undoes,
        salt=salt,
        **content.asked(action, arguments, salt),
        **content.judged(action, arguments, facts, verdict, version, usage, now, salt),
    )
    with scope(by, together=True):
        limits.check_filing(by, action.name, action.tool)
        # Again, after the look-up and the wait for a turn, which may have taken longer than a stop may take.
        switches.check(by, action.tool)
        request.save(force_insert=True)
        record(
            "request.created",
            tenant_id=by.tenant_id,
            actor=actor(by),
            request_id=request.pk,
            trace_id=trace_id,
            data=_created(request, action, arguments, version, by),
            personal={"reason": arguments.reason},
        )
        outbox.announce(request, "request.created")
        if isinstance(verdict, AutoApprove):
            outbox.put(request, outbox.JUDGE)
    return request


def _created(
    request: ApprovalRequest,
    action: actions.AnyAction,
    arguments: Arguments,
    version: PolicyVersion | None,
    by: Requester,
) -> dict[str, object]:
    """What the trail keeps of a request for ever: digests and identifiers, no sensitive field."""
    return {
        **called(action, by),
        "action": action.name,
        "action_version": action.version,
        **judged(request, action, arguments, version),
        "resource_id": request.resource_id,
        **({"undoes": str(request.undoes_id)} if request.undoes_id else {}),
        "owner_id": str(request.owner_id),
        "on_behalf_of_id": str(request.on_behalf_of_id or ""),
    }


def called(action: actions.AnyAction, by: Requester) -> dict[str, object]:
    """The tool that an agent called, and the OAuth client that it called as; "" where a person asked on our pages."""
    return {"tool": action.tool if by.kind == "agent" else "", "client_id": by.client_id}


def judged(
    request: ApprovalRequest, action: actions.AnyAction, arguments: Arguments, version: PolicyVersion | None
) -> dict[str, object]:
    """What was asked for in one revision, and what the policy said to it."""
    claimed = arguments.model_dump(mode="json")
    kept = redact(claimed, action.sensitive | {"reason"})  # the reason is personal, and can be erased
    return {
        "arguments": canonical(kept),
        "arguments_sha256": request.arguments_sha256,
        "facts_sha256": request.facts_sha256,
        "verdict": str(request.verdict["kind"]),
        "rule": str(request.verdict["rule"]),
        "policy_digest": version.digest if version else "",
    }


def _record_refusal(
    refusal: Refusal, action: actions.AnyAction, asked_for: str, by: Requester, trace_id: str
) -> None:
    rule = str(refusal.details.get("rule", ""))
    with scope(by):
        record(
            "request.refused",
            tenant_id=by.tenant_id,
            actor=actor(by),
            trace_id=trace_id,
            data={"action": action.name, "code": refusal.code, "rule": rule, "resource_id": asked_for},
        )
