"""Who may agree to a request, in whose place, and whether enough people have.

A vote is cast by a person for themselves, or in the place of somebody who is out of office. It counts by the roles
that this somebody (or they) hold now, so that a role lost before the execution counts no more; whether the delegation
was in force is asked of the moment at which the vote was cast. The database counts in the same way (migration
`0017_people`), without the digest of what was seen.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Max, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from approvals import judge, step_up
from approvals.errors import (
    AlreadyVoted,
    CountedAlready,
    NotEntitled,
    NotYourTurn,
    PlacesTaken,
    Refusal,
    SelfApproval,
)
from approvals.identity.models import Membership
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, Delegation, Vote
from approvals.payloads import digest
from approvals.stages import Tally, tally
from policies.verdicts import Require, Stage, Verdict, from_json

# Roles of an office, not of a reviewer: nobody holds them in the place of somebody else, even where a rule asks them.
OFFICES = frozenset({"auditor", "operator", "platform_operator"})


@dataclass(frozen=True)
class Ballot:
    """An approval that is there, or would be."""

    person_id: UUID
    instead_of: UUID | None
    at: datetime

    @property
    def whom(self) -> UUID:
        """Whose roles it counts by."""
        return self.instead_of or self.person_id

    @property
    def people(self) -> set[UUID]:
        return {self.person_id, self.whom}


@dataclass(frozen=True)
class Known:
    """Of some people: the roles that they, and whoever they stand in for, hold now; and their delegations."""

    roles: Mapping[UUID, frozenset[str]]
    delegations: tuple[Delegation, ...]

    def roles_of(self, ballot: Ballot) -> frozenset[str]:
        if ballot.instead_of is None:
            return self.roles.get(ballot.person_id, frozenset())
        if not (self.roles.get(ballot.person_id) and self._stood_in(ballot)):
            return frozenset()
        return self.roles.get(ballot.instead_of, frozenset()) - OFFICES

    def absent(self, person_id: UUID, at: datetime) -> list[UUID]:
        """In whose places a person decides at that moment."""
        found = {
            one.delegator_id for one in self.delegations if one.delegate_id == person_id and _in(one, at)
        }
        return sorted(found)

    def tied(self, earlier: Ballot, later: Ballot, since: datetime) -> bool:
        """Whether both count as one: they are of one person, or of two of whom one stood in for the other meanwhile."""
        return bool(earlier.people & later.people) or any(
            one.starts_at <= later.at
            and over(one) > max(since, one.starts_at)
            and (
                (one.delegator_id in earlier.people and one.delegate_id in later.people)
                or (one.delegator_id in later.people and one.delegate_id in earlier.people)
            )
            for one in self.delegations
        )

    def _stood_in(self, ballot: Ballot) -> bool:
        return ballot.instead_of in self.absent(ballot.person_id, ballot.at)


def known(tenant_id: UUID, people: Collection[UUID], since: datetime) -> Known:
    """What there is to know of these people; delegations that ended before are left out. In the tenant's scope."""
    theirs = Delegation.objects.alias(over=Coalesce("ended_at", "ends_at")).filter(
        Q(delegator__in=people) | Q(delegate__in=people), tenant_id=tenant_id, over__gt=since
    )
    delegations = tuple(theirs)
    everybody = {*people, *(one.delegator_id for one in delegations)}
    roles: dict[UUID, set[str]] = {}
    held = Membership.objects.filter(person__in=everybody, person__is_active=True, tenant_id=tenant_id)
    for person_id, role in held.values_list("person_id", "role"):
        roles.setdefault(person_id, set()).add(role)
    return Known({person_id: frozenset(found) for person_id, found in roles.items()}, delegations)


def roles_to_decide_by(by: Reviewer) -> frozenset[str]:
    """Those that somebody holds now, and those that they would decide by in the place of others. In the tenant's scope.

    Without one that decides on a request, `ways` raises NotEntitled.
    """
    now = timezone.now()
    found = known(by.tenant_id, [by.person_id], now)
    possible = [Ballot(by.person_id, whom, now) for whom in (None, *found.absent(by.person_id, now))]
    return frozenset().union(*map(found.roles_of, possible))


def over(delegation: Delegation) -> datetime:
    """When it ends, or ended."""
    return delegation.ended_at or delegation.ends_at


def _in(delegation: Delegation, at: datetime) -> bool:
    return delegation.starts_at <= at < over(delegation)


def began(request: ApprovalRequest) -> datetime:
    """When its present revision began: each one begins with facts read anew, and none is read at another time."""
    return request.facts_read_at


def ballots_on(request: ApprovalRequest, wanted: Verdict) -> list[Ballot]:
    """The approvals of exactly what is stored now (`judge.seen`), in order of time; with a proof where it is asked."""
    approvals = Vote.objects.filter(
        step_up.proved_for(wanted),
        request=request,
        revision=request.revision,
        decision=Vote.APPROVE,
        digest=digest(judge.seen(request)),
    )
    rows = approvals.order_by("created_at", "id").values_list("person_id", "instead_of_id", "created_at")
    return [Ballot(*row) for row in rows]


def counted(
    request: ApprovalRequest, wanted: Require, ballots: Iterable[Ballot], found: Known, *, ties: bool = True
) -> Tally[Ballot]:
    """How these ballots fill the places that `wanted` asks for; those of people who are not independent fill none."""
    escalation, since = wanted.escalation, _others_since(request, wanted)

    def fits(ballot: Ballot, role: str) -> bool:
        roles = found.roles_of(ballot)
        if role in roles:
            return True
        return bool(escalation and since and since <= ballot.at and escalation.to in roles)

    def tied(earlier: Ballot, later: Ballot) -> bool:
        return ties and found.tied(earlier, later, began(request))

    independent = [one for one in ballots if all(judge.independent(person, request) for person in one.people)]
    return tally(wanted.stages, independent, fits, tied)


def _others_since(request: ApprovalRequest, wanted: Require) -> datetime | None:
    """From when on the votes count of those to whom it was escalated; None for never.

    Not before `wanted` lets it escalate, which may be later than the request's own rule did. Counted from the moment of
    that rule, which moves on by the time for which a switch holds the request, until it has escalated.
    """
    then, since = from_json(request.verdict), request.escalated_at
    asked = then.escalation if isinstance(then, Require) else None
    if not (wanted.escalation and asked and since):
        return None
    came = min(request.escalates_at or since, since)
    return max(since, came + wanted.escalation.after - asked.after)


def missing(request: ApprovalRequest, wanted: Require) -> tuple[Stage, ...]:
    """The stages not yet filled, with how many people each still needs; () is a quorum."""
    ballots = ballots_on(request, wanted)
    people = {person for ballot in ballots for person in ballot.people}
    return counted(request, wanted, ballots, known(request.tenant_id, people, began(request))).open


def check_entitled(by: Reviewer, request: ApprovalRequest, *, approves: bool) -> Ballot:
    """Separation of duties, then role, then turn: how this person's vote would be cast.

    Roles are read now, not when the page was asked for. Raises SelfApproval, NotEntitled or AlreadyVoted; and to
    approve NotYourTurn, PlacesTaken or CountedAlready. Needs the request locked.
    """
    wanted, at = from_json(request.verdict), _moment(request)
    ballots = ballots_on(request, wanted)
    people = {by.person_id, *(person for ballot in ballots for person in ballot.people)}
    found = known(request.tenant_id, people, began(request))
    mine = ways(by.person_id, request, found, at)
    if Vote.objects.filter(request=request, person_id=by.person_id, revision=request.revision).exists():
        raise AlreadyVoted
    if approves and isinstance(wanted, Require):
        return approving(request, wanted, ballots, mine, found)
    return mine[0]


def check_reviews(by: Reviewer, request: ApprovalRequest) -> Ballot:
    """How somebody decides it, whatever they did so far. Raises SelfApproval or NotEntitled."""
    found = known(request.tenant_id, [by.person_id], began(request))
    return ways(by.person_id, request, found, timezone.now())[0]


def _moment(request: ApprovalRequest) -> datetime:
    """Now, and after every vote that is there: order counts, and clocks of two machines differ."""
    last = Vote.objects.filter(request=request).aggregate(last=Max("created_at"))["last"]
    now = timezone.now()
    return max(now, last + timedelta(microseconds=1)) if last else now


def ways(person_id: UUID, request: ApprovalRequest, found: Known, at: datetime) -> list[Ballot]:
    """For themselves, if their role decides, and in the place of whom: at least one way, or a refusal.

    Raises SelfApproval or NotEntitled.
    """
    if why := judge.dependent_because(person_id, request):
        raise SelfApproval(why=why)
    deciding = judge.deciding_roles(request)
    possible = [
        Ballot(person_id, None, at),
        *(Ballot(person_id, one, at) for one in found.absent(person_id, at)),
    ]
    by_role = [ballot for ballot in possible if deciding & found.roles_of(ballot)]
    if not by_role:
        raise NotEntitled(roles=in_words(deciding, "or"))
    independent = [ballot for ballot in by_role if judge.independent(ballot.whom, request)]
    if not independent:
        raise SelfApproval(
            why="whoever you stand in for is part of it, and you have no role of your own for it"
        )
    return independent


def approving(
    request: ApprovalRequest, wanted: Require, ballots: Sequence[Ballot], mine: Sequence[Ballot], found: Known
) -> Ballot:
    """The first of these ways in which an approval fills a place. Raises NotYourTurn, PlacesTaken or CountedAlready."""
    for way in mine:
        if way in counted(request, wanted, [*ballots, way], found).counted:
            return way
    for way in mine:
        if way in counted(request, wanted, [*ballots, way], found, ties=False).counted:
            raise CountedAlready
    asked = counted(request, wanted, ballots, found).now
    raise _too_soon_or_too_late(wanted, asked, mine, found)


def _too_soon_or_too_late(
    wanted: Require, asked: Sequence[Stage], mine: Sequence[Ballot], found: Known
) -> Refusal:
    roles = in_words((stage.role for stage in asked), "and")
    held = {role for way in mine for role in found.roles_of(way)}
    later = {stage.role for stage in wanted.stages if asked and stage.step > asked[0].step}
    return NotYourTurn(roles=roles) if held & later else PlacesTaken(roles=roles)


def in_words(roles: Iterable[str], link: str) -> str:
    """`finance or support lead`"""
    return f" {link} ".join(sorted({role.replace("_", " ") for role in roles}))
