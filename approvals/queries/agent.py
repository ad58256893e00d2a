"""What an agent may know: its own requests, in words that give no policy internals away."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings

from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import NotFound
from approvals.identity.requester import Requester
from approvals.models import ApprovalRequest
from approvals.states import Status

# What each status means to the agent that asked. {outcome} is the reviewer's or the backing system's word.
SENTENCES = {
    Status.PENDING: "Waiting for a decision. Nothing has been done yet; ask again later.",
    Status.CHANGES_REQUESTED: "The reviewer asks for changes: {outcome}",
    Status.APPROVED: "Approved; it will be carried out shortly.",
    Status.STALE: "What was approved has changed meanwhile; the reviewers look at it again. Nothing has been done.",
    Status.EXECUTING: "Approved, and being carried out now.",
    Status.UNCERTAIN: "It was sent and no clear answer came; the result is being looked up. Do not ask for it again.",
    Status.SUCCEEDED: "Done: {outcome}",
    Status.FAILED: "Approved, but it could not be done: {outcome}",
    Status.DENIED: "Denied: {outcome}",
    Status.EXPIRED: "Nobody decided in time, so nothing was done. File a new request if it is still needed.",
    Status.WITHDRAWN: "Withdrawn; nothing was done.",
}


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
    review_url: str
    created_at: datetime
    expires_at: datetime


def review_url(request_id: UUID) -> str:
    """Where people decide on it. The link gives nobody any right."""
    return f"{settings.PUBLIC_URL}/requests/{request_id}/"


def agent_view(request: ApprovalRequest) -> AgentView:
    status = Status(request.status)
    # A reviewer's word is for the agent only where it ends the matter, or asks it for something.
    outcome = "" if status in {Status.PENDING, Status.APPROVED, Status.EXECUTING} else request.outcome
    return AgentView(
        request_id=request.pk,
        action=request.action,
        headline=request.headline,
        status=status,
        sentence=SENTENCES[status].format(outcome=outcome or "no reason was given."),
        outcome=outcome,
        backing_reference=request.backing_reference,
        review_url=review_url(request.pk),
        created_at=request.created_at,
        expires_at=request.expires_at,
    )


def request_of_agent(request_id: UUID, by: Requester, *, trace_id: str) -> AgentView:
    """One of the agent's own requests. Raises NotFound for any other, worded alike; the trail has the attempt."""
    with tenant_scope(by.tenant_id, agent_id=by.agent_id, person_id=by.person_id):
        request = ApprovalRequest.objects.filed_by(by).filter(pk=request_id).first()
        if request is not None:
            return agent_view(request)
        record(
            "access.denied",
            tenant_id=by.tenant_id,
            actor=Actor("agent" if by.agent_id else "person", str(by.id)),
            trace_id=trace_id,
            data={"code": "not_found", "wanted": "read", "id": str(request_id)},
        )
    raise NotFound(thing="request", id=request_id)


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
