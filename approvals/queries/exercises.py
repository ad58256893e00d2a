"""What people may know of an exercise: nothing until it is over, and then what it was, but not how a colleague did.

Auditors and operators know all the time, and everything.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from approvals import switches
from approvals.audit.events import Actor
from approvals.audit.kinds import KINDS
from approvals.audit.models import Event
from approvals.audit.queries import TrailEntry
from approvals.borrowed import alike, newest_real
from approvals.glass import AUDITOR
from approvals.identity.models import Agent
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, CanarySetting
from approvals.queries.standing import Cast
from approvals.states import FINAL, Status

TOLD_BY = ("id", "is_canary", "status", "agent_id", "requester_name")  # what `trail_for` asks of a request
TURNED_ON = "canary.turned_on"
FILED, AS_OTHERS = "canary.filed", "request.created"


def knows(by: Reviewer) -> bool:
    return bool({AUDITOR, switches.OPERATOR} & by.roles)


def is_over(request: ApprovalRequest) -> bool:
    return Status(request.status) in FINAL


def clue(request: ApprovalRequest) -> str:
    """What there was to see; "" until it is over, and for what is no exercise."""
    return request.clue if is_over(request) else ""


def lenders() -> set[UUID]:
    """The agents, now and before, that only lend exercises their name: nobody connected or removed one."""
    asked = ApprovalRequest.objects.filter(is_canary=True).order_by().values_list("agent_id", flat=True)
    # One that was turned off before anything was filed in its name stands on the trail alone.
    once = Event.objects.filter(kind=TURNED_ON).order_by().values_list("text", flat=True)
    on_the_trail = {UUID(json.loads(text)["data"]["agent_id"]) for text in once}
    return {*asked.distinct(), *CanarySetting.objects.values_list("agent_id", flat=True), *on_the_trail}


def owner_for(by: Reviewer, request: ApprovalRequest) -> str:
    """The name of whom the agent belongs to, as this person is told it; in the tenant's scope."""
    return (request if knows(by) else alike(request)).owner.name


def asker_for(by: Reviewer, request: ApprovalRequest) -> UUID | None:
    """The id of whoever asked, as this person is told it; in the tenant's scope."""
    of = request if knows(by) else alike(request)
    return of.agent_id or of.person_id


def askers_for(by: Reviewer, asker_id: UUID) -> tuple[UUID, ...]:
    """Whose requests this person finds under this id: an agent's, and the exercises in its name; in the scope.

    Under the id of the exercises' own agent somebody who does not know finds nothing: it is told to nobody.
    """
    if knows(by):
        return (asker_id,)
    names = dict(Agent.objects.filter(pk__in=lenders()).values_list("pk", "name"))
    if asker_id in names:
        return ()
    return (asker_id, *(lender for lender, name in names.items() if _newest_asker(name) == asker_id))


def _newest_asker(name: str) -> UUID | None:
    newest = newest_real(name).only("agent_id").first()
    return newest.agent_id if newest else None


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
    real = alike(request)
    asker = Actor("agent", str(real.agent_id))
    program = real.agent.application.client_id if real.agent else ""
    data = {**entry.data, "client_id": program, "owner_id": str(real.owner_id)}
    return replace(entry, kind=AS_OTHERS, meaning=KINDS[AS_OTHERS], actor=asker, data=data)
