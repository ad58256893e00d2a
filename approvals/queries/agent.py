"""What an agent may know: its own requests, in words that give no policy internals away."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings

from approvals import hours, limits, switches
from approvals.database import rows_in_scope, tenant_scope
from approvals.errors import NotFound
from approvals.identity.requester import Requester
from approvals.kept import NOTHING
from approvals.models import ApprovalRequest
from approvals.models.sealed import Sealed
from approvals.states import Status

# What each status means to the agent that asked. {outcome} is the reviewer's or the backing system's word.
SENTENCES = {
    Status.PENDING: "Waiting for a decision. Nothing has been done yet; ask again later.",
    Status.CHANGES_REQUESTED: "A reviewer asks for changes: {outcome} Answer with revise_request before it expires, or "
    "withdraw the request. Nothing has been done.",
    Status.APPROVED: "Approved; it will be carried out shortly.",
    Status.STALE: "What was approved has changed meanwhile; the reviewers look at it again. Nothing has been done.",
    Status.EXECUTING: "Approved, and being carried out now.",
    Status.UNCERTAIN: "It was sent and no clear answer came; the result is being looked up. Do not ask for it again.",
    Status.SUCCEEDED: "Carried out: {outcome}",
    Status.FAILED: "Approved, but it could not be done: {outcome}",
    Status.DENIED: "Denied: {outcome}",
    # Also of one that was approved and not carried out in time.
    Status.EXPIRED: "Its time ran out before it was decided and carried out, so nothing was done. File a new request "
    "if it is still needed.",
    Status.WITHDRAWN: "Withdrawn; nothing was done.",
}
# Pending, and the policy refuses what was looked up since: nobody can approve it any more. Why is the policy's secret.
REFUSED = (
    "It was looked at again and can no longer be approved, so nothing has been done and nothing will be. Withdraw it, "
    "look things up again, and file a new request if something is still needed."
)
HELD = "An operator has stopped this for now: its deadline is held, and nothing is carried out until they let it go on."

# What `agent_view` reads. Agents ask where a request stands all day: so it is one statement, and no more columns.
# In the model's order, which is that of `from_db`.
_SHOWN = (
    "id",
    "status",
    "revision",
    "action",
    "arguments",
    "headline",
    "facts_read_at",
    "verdict",
    "created_at",
    "expires_at",
    "frozen_at",
    "decided_at",
    "finished_at",
    "outcome",
    "backing_reference",
    "changes",
)
_JSON = frozenset({"verdict", "changes"})
_MINE = {
    kind: f"SELECT {', '.join(_SHOWN)} FROM approval_request WHERE id = %s AND {kind}_id = %s"  # noqa: S608
    for kind in ("agent", "person")
}


@dataclass(frozen=True)
class AskedFor:
    """What a reviewer wants changed, in their words: for each field what is wrong with it."""

    message: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class AgentView:
    """A request as its agent may know it."""

    request_id: UUID
    action: str
    headline: str
    status: Status
    sentence: str
    outcome: str
    backing_reference: str
    changes: AskedFor | None  # while it waits for the agent's answer
    revision: int
    arguments: str  # what it asked for, while it waits for the agent's answer; else {}
    review_url: str
    created_at: datetime
    expires_at: datetime  # if it is held: were it to go on now
    is_held: bool  # by an operator's switch
    opens: str  # from when on it may be carried out, in words, while that is not yet
    is_refused: bool  # by the policy as it now is, though it waits
    changed_at: datetime


def review_url(request_id: UUID) -> str:
    """Where people decide on it. The link gives nobody any right."""
    return f"{settings.PUBLIC_URL}/requests/{request_id}/"


def sentence(status: Status, *, is_held: bool, is_refused: bool = False, opens: str = "") -> str:
    """What the status means to the agent, with {outcome} still open. `opens` is from when on it may be carried out."""
    if is_refused:
        return REFUSED
    if opens and not is_held:
        return f"Approved; it will be carried out from {opens} on, and can be withdrawn until then."
    if not is_held or status in {Status.EXECUTING, Status.UNCERTAIN}:  # what was sent is settled as ever
        return SENTENCES[status]
    return f"Approved. {HELD}" if status is Status.APPROVED else f"{SENTENCES[status]} {HELD}"


def agent_view(request: ApprovalRequest) -> AgentView:
    status = Status(request.status)
    # A reviewer's word is for the agent only where it ends the matter, or asks it for something.
    outcome = "" if status in {Status.PENDING, Status.APPROVED, Status.EXECUTING} else request.outcome
    changes = _asked_for(request) if status is Status.CHANGES_REQUESTED else None
    outcome = changes.message if changes else outcome
    opens, is_held = hours.opens_in_words(request), switches.is_held(request)
    return AgentView(
        request_id=request.pk,
        action=request.action,
        headline=request.headline,
        status=status,
        sentence=sentence(status, is_held=is_held, is_refused=_is_refused(request), opens=opens).format(
            outcome=outcome or "no reason was given."
        ),
        outcome=outcome,
        backing_reference=request.backing_reference,
        changes=changes,
        revision=request.revision,
        arguments=request.arguments if changes else NOTHING,
        review_url=review_url(request.pk),
        created_at=request.created_at,
        expires_at=switches.deadline(request),
        is_held=is_held,
        opens=opens,
        is_refused=_is_refused(request),
        changed_at=_changed_at(request),
    )


def _asked_for(request: ApprovalRequest) -> AskedFor | None:
    asked = request.changes
    return AskedFor(asked["message"], asked["fields"]) if asked else None


def _is_refused(request: ApprovalRequest) -> bool:
    return request.status == Status.PENDING and request.verdict["kind"] == "deny"


def _from_row(row: Iterable[object]) -> ApprovalRequest:
    """Of the columns in _SHOWN. Outside the ORM a JSON column comes as text, and a sealed one as its token."""
    values = [_read(name, value) for name, value in zip(_SHOWN, row, strict=True)]
    return ApprovalRequest.from_db(None, _SHOWN, values)


def _read(name: str, value: object) -> object:
    if value is None:
        return None
    if name in _JSON:
        return json.loads(str(value))
    return Sealed(str(value)) if name == "arguments" else value


def _changed_at(request: ApprovalRequest) -> datetime:
    """The latest of the times that a request keeps; being carried out, or in doubt, leaves none on it."""
    asked = datetime.fromisoformat(request.changes["at"]) if request.changes else None
    kept = (request.created_at, request.facts_read_at, asked, request.decided_at, request.finished_at)
    return max(time for time in kept if time is not None)


def request_of_agent(request_id: UUID, by: Requester, *, trace_id: str) -> AgentView:
    """One of the agent's own requests. Raises NotFound for any other, worded alike; the trail has the attempt."""
    if found := mine(request_id, by):
        return agent_view(found)
    unseen = NotFound(thing="request", id=request_id)
    data = {"code": unseen.code, "wanted": "read", "id": str(request_id)}
    limits.record_sparingly("access.denied", by=by, trace_id=trace_id, data=data)
    raise unseen


def mine(request_id: UUID, by: Requester) -> ApprovalRequest | None:
    """What `agent_view` reads of it, where it is the agent's own."""
    found = rows_in_scope(
        _MINE[by.kind],
        [request_id, by.id],
        tenant_id=by.tenant_id,
        agent_id=by.agent_id,
        person_id=by.person_id,
    )
    return _from_row(found[0]) if found else None


def standings(request_ids: Iterable[UUID], by: Requester) -> dict[UUID, tuple[Status, int]]:
    """Status and revision of those that are this agent's own; others are left out, and leave no event."""
    with tenant_scope(by.tenant_id, agent_id=by.agent_id, person_id=by.person_id):
        mine = ApprovalRequest.objects.filed_by(by).filter(pk__in=list(request_ids))
        return {
            pk: (Status(status), revision)
            for pk, status, revision in mine.values_list("pk", "status", "revision")
        }


def requests_of_agent(
    by: Requester, *, limit: int = 20, before: tuple[datetime, UUID] | None = None
) -> list[AgentView]:
    """The agent's own requests, newest first: at most `limit` (1 to 100), older than `before` (keyset paging)."""
    with tenant_scope(by.tenant_id, agent_id=by.agent_id, person_id=by.person_id):
        mine = ApprovalRequest.objects.filed_by(by)
        if before is not None:
            at, last = before
            mine = mine.filter(created_at__lte=at).exclude(created_at=at, pk__gte=last)
        return [agent_view(request) for request in mine.order_by("-created_at", "-id")[:limit]]
