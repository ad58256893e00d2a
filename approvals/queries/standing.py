"""How a request stands with its people: who has decided, who is still missing, and whether you may."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from approvals import judge, quorum
from approvals.errors import AlreadyVoted, PayloadErased, PayloadUnreadable, Refusal
from approvals.identity.models import Person
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, Claim, Vote
from approvals.payloads import digest
from policies.verdicts import Require, Stage, from_json


@dataclass(frozen=True)
class Cast:
    """One vote. `counts` is False when it was for an earlier revision; `instead_of` is "" for one's own."""

    person_id: UUID
    person: str
    decision: str
    comment: str
    at: datetime
    revision: int
    counts: bool
    instead_of_id: UUID | None
    instead_of: str
    seen: str  # the digest of what was on the screen


@dataclass(frozen=True)
class Places:
    """A stage of the rule: how many places it has, and how many of them are still open.

    `turn` is 0 where all stages are asked side by side; else 1 for those that are asked first, 2 for the next.
    """

    role: str
    count: int
    open: int
    turn: int

    @property
    def filled(self) -> int:
        return self.count - self.open


@dataclass(frozen=True)
class Standing:
    """One request and one reviewer. `refusal` says why they cannot decide, `no_approval` why they can only deny."""

    places: tuple[Places, ...]
    refusal: Refusal | None
    no_approval: Refusal | None
    instead_of: str  # in whose place they would decide; "" for themselves


@dataclass(frozen=True)
class Looking:
    """Somebody is looking at a request."""

    person_id: UUID
    person: str
    until: datetime


def votes_on(requests: Sequence[ApprovalRequest]) -> dict[UUID, list[Cast]]:
    """The votes on these requests, oldest first; in the tenant's scope."""
    found: dict[UUID, list[Cast]] = defaultdict(list)
    rows = Vote.objects.filter(request__in=requests).annotate(
        person_name=F("person__name"), absent_name=F("instead_of__name"), now_at=F("request__revision")
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
            instead_of_id=row.instead_of_id,
            instead_of=row.absent_name or "",
            seen=row.digest,
        )
        found[row.request_id].append(cast)
    return found


def looked_at(requests: Sequence[ApprovalRequest]) -> dict[UUID, Looking]:
    """Who is looking at these requests; in the tenant's scope."""
    rows = Claim.objects.open().filter(request__in=requests)
    found = rows.values_list("request_id", "person_id", "person__name", "until")
    return {request_id: Looking(person_id, name, until) for request_id, person_id, name, until in found}


def standings(
    by: Reviewer, requests: Sequence[ApprovalRequest], votes: dict[UUID, list[Cast]]
) -> dict[UUID, Standing]:
    """How these requests stand, with this reviewer too: as `quorum.check_entitled` would say it. In the scope."""
    if not requests:
        return {}
    people = {
        by.person_id,
        *(
            one
            for cast in votes.values()
            for vote in cast
            for one in (vote.person_id, vote.instead_of_id)
            if one
        ),
    }
    found = quorum.known(by.tenant_id, people, min(map(quorum.began, requests)))
    absent = found.absent(by.person_id, timezone.now())
    names = dict(Person.objects.filter(pk__in=absent).values_list("id", "name")) if absent else {}
    return {request.pk: _standing(by, request, votes[request.pk], found, names) for request in requests}


def _standing(
    by: Reviewer,
    request: ApprovalRequest,
    votes: Sequence[Cast],
    found: quorum.Known,
    names: dict[UUID, str],
) -> Standing:
    verdict, ballots = from_json(request.verdict), _ballots(request, votes)
    refusal: Refusal | None = None
    no_approval: Refusal | None = None
    whom: UUID | None = None
    try:
        mine = quorum.ways(by.person_id, request, found, timezone.now())
        whom = mine[0].instead_of
        if any(vote.counts and vote.person_id == by.person_id for vote in votes):
            refusal = AlreadyVoted()
        elif isinstance(verdict, Require):
            no_approval, whom = _approval(request, verdict, ballots, mine, found)
    except Refusal as because:
        refusal = because
    places: tuple[Places, ...] = ()
    if isinstance(verdict, Require):
        places = _places(verdict.stages, quorum.counted(request, verdict, ballots, found).open)
    return Standing(places, refusal, no_approval, names.get(whom, "") if whom else "")


def _approval(
    request: ApprovalRequest,
    wanted: Require,
    ballots: Sequence[quorum.Ballot],
    mine: Sequence[quorum.Ballot],
    found: quorum.Known,
) -> tuple[Refusal | None, UUID | None]:
    """Why none is possible, and in whose place the vote would be cast."""
    try:
        return None, quorum.approving(request, wanted, ballots, mine, found).instead_of
    except Refusal as because:
        return because, mine[0].instead_of


def _ballots(request: ApprovalRequest, votes: Sequence[Cast]) -> list[quorum.Ballot]:
    """As `quorum.ballots_on`, from votes already read: a queue asks for many rows at once."""
    approvals = [vote for vote in votes if vote.counts and vote.decision == Vote.APPROVE]
    if not approvals:
        return []  # and nothing has to be opened to say so
    try:
        seen = digest(judge.seen(request))
    except (PayloadErased, PayloadUnreadable):
        return []  # nobody can tell what they were for
    return [
        quorum.Ballot(vote.person_id, vote.instead_of_id, vote.at) for vote in approvals if vote.seen == seen
    ]


def _places(stages: Sequence[Stage], unfilled: Sequence[Stage]) -> tuple[Places, ...]:
    still = {stage.role: stage.count for stage in unfilled}
    steps = sorted({stage.step for stage in stages})
    turns = {step: turn for turn, step in enumerate(steps, start=1)} if len(steps) > 1 else {}
    in_order = sorted(stages, key=lambda stage: stage.step)
    return tuple(
        Places(stage.role, stage.count, still.get(stage.role, 0), turns.get(stage.step, 0))
        for stage in in_order
    )
