"""What people may know of an exercise: nothing until it is over, and then what it was, but not how a colleague did.

Auditors and operators know all the time, and everything.
"""

from collections.abc import Sequence
from dataclasses import replace

from approvals import switches
from approvals.audit.events import Actor
from approvals.audit.kinds import KINDS
from approvals.audit.queries import TrailEntry
from approvals.glass import AUDITOR
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest
from approvals.queries.standing import Cast
from approvals.states import FINAL, Status

TOLD_BY = ("id", "is_canary", "status", "agent_id")  # what `trail_for` asks of a request
FILED, AS_OTHERS = "canary.filed", "request.created"


def knows(by: Reviewer) -> bool:
    return bool({AUDITOR, switches.OPERATOR} & by.roles)


def is_over(request: ApprovalRequest) -> bool:
    return Status(request.status) in FINAL


def clue(request: ApprovalRequest) -> str:
    """What there was to see; "" until it is over, and for what is no exercise."""
    return request.clue if is_over(request) else ""


def votes_for(by: Reviewer, request: ApprovalRequest, votes: list[Cast]) -> list[Cast]:
    """All of them; on an exercise a person's own."""
    if not request.is_canary or knows(by):
        return votes
    return [vote for vote in votes if vote.person_id == by.person_id]


def trail_for(by: Reviewer, request: ApprovalRequest, entries: Sequence[TrailEntry]) -> Sequence[TrailEntry]:
    """The trail itself says from the first event on what an exercise is; to its reviewers it reads as any request's."""
    if not request.is_canary or knows(by):
        return entries
    if is_over(request):
        return [one for one in entries if one.actor.kind == "system" or one.actor.id == str(by.person_id)]
    return [_as_others(entry, request) if entry.kind == FILED else entry for entry in entries]


def _as_others(entry: TrailEntry, request: ApprovalRequest) -> TrailEntry:
    agent = Actor("agent", str(request.agent_id))
    return replace(entry, kind=AS_OTHERS, meaning=KINDS[AS_OTHERS], actor=agent)
