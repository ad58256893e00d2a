"""How a request stands with its people: who has decided, who is still missing, and whether you may."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F

from approvals import judge
from approvals.errors import AlreadyVoted, NotEntitled, Refusal, SelfApproval
from approvals.identity.models import Membership
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, Vote
from policies.verdicts import Require, Stage, from_json


@dataclass(frozen=True)
class Cast:
    """One vote. `counts` is False when it was for an earlier revision."""

    person_id: UUID
    person: str
    decision: str
    comment: str
    at: datetime
    revision: int
    counts: bool


@dataclass(frozen=True)
class Places:
    """A stage of the rule: how many places it has, and how many of them are still open."""

    role: str
    count: int
    open: int

    @property
    def filled(self) -> int:
        return self.count - self.open


def votes_on(requests: Sequence[ApprovalRequest]) -> dict[UUID, list[Cast]]:
    """The votes on these requests, oldest first; in the tenant's scope."""
    found: dict[UUID, list[Cast]] = defaultdict(list)
    rows = Vote.objects.filter(request__in=requests).annotate(
        person_name=F("person__name"), now_at=F("request__revision")
    )
    for row in rows.order_by("created_at", "id"):
        cast = Cast(
            person_id=row.person_id,
            person=row.person_name,
            decision=row.decision,
            comment=row.comment,
            at=row.created_at,
            revision=row.revision,
            counts=row.revision == row.now_at,
        )
        found[row.request_id].append(cast)
    return found


def roles_of(tenant_id: UUID, people: set[UUID]) -> dict[UUID, set[str]]:
    """The roles that these people hold now; in the tenant's scope."""
    roles: dict[UUID, set[str]] = defaultdict(set)
    held = Membership.objects.filter(tenant_id=tenant_id, person__in=people, person__is_active=True)
    for person_id, role in held.values_list("person_id", "role"):
        roles[person_id].add(role)
    return roles


def places(
    request: ApprovalRequest, votes: Sequence[Cast], roles: Mapping[UUID, set[str]]
) -> tuple[Places, ...]:
    """The stages that the rule asks for; () where it names none."""
    verdict = from_json(request.verdict)
    if not isinstance(verdict, Require):
        return ()
    agreed = {
        vote.person_id: roles[vote.person_id]
        for vote in votes
        if vote.counts
        and vote.decision == Vote.APPROVE
        and vote.person_id in roles
        and judge.independent(vote.person_id, request)
    }
    return _places(verdict.stages, judge.unfilled(verdict.stages, agreed))


def why_not(by: Reviewer, request: ApprovalRequest, votes: Sequence[Cast]) -> Refusal | None:
    """What `judge.check_entitled` would raise, from votes already read: a queue asks for many rows at once."""
    if why := judge.dependent_because(by.person_id, request):
        return SelfApproval(why=why)
    wanted = judge.deciding_roles(request)
    if not wanted & by.roles:
        return NotEntitled(roles=" or ".join(sorted(role.replace("_", " ") for role in wanted)))
    if any(vote.counts and vote.person_id == by.person_id for vote in votes):
        return AlreadyVoted()
    return None


def _places(stages: Sequence[Stage], unfilled: Sequence[Stage]) -> tuple[Places, ...]:
    still = {stage.role: stage.count for stage in unfilled}
    return tuple(Places(stage.role, stage.count, still.get(stage.role, 0)) for stage in stages)
