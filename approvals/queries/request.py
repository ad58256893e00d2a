"""One request as the person who decides needs it: the claim, what was looked up, the rule, and what was done."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from approvals import actions, hours, inverse, judge, material, quorum, step_up, switches
from approvals.audit import queries as audit
from approvals.database import tenant_scope
from approvals.effect import Effect, effect
from approvals.errors import NotFound, PayloadUnreadable, Refusal
from approvals.fields import Amount, Field, amount
from approvals.glass import never_because
from approvals.identity.requester import Reviewer
from approvals.kept import Kept, as_shown, kept
from approvals.material import REASON
from approvals.models import ApprovalRequest, Execution, UndoOrder
from approvals.queries import exercises
from approvals.queries.background import Background, background
from approvals.queries.break_glass import GlassUse, glass_of, may_break
from approvals.queries.budgets import Budgets, budgets_for
from approvals.queries.doubt import Doubt, doubt_of
from approvals.queries.fresh_look import Look, fresh_look_of
from approvals.queries.news import news
from approvals.queries.others import Others, others_of
from approvals.queries.payloads import Reading, may_open, readings_of
from approvals.queries.policies import PolicyChange, change_asked
from approvals.queries.remarks import Said, remarks_on
from approvals.queries.revisions import Asked, Step, asked, history
from approvals.queries.standing import Cast, Looking, Places, looked_at, standings, votes_on
from approvals.queries.trail import denied
from approvals.states import Status, sources
from policies.verdicts import Require, from_json


@dataclass(frozen=True)
class Rule:
    """The rule that asked. `kind` is what it answers: require, auto_approve or deny."""

    name: str
    kind: str
    because: str
    comment: str  # its author's, above it in the policy
    error: str
    policy_version: int | None
    places: tuple[Places, ...]
    terms: tuple[Field, ...]  # what comes with asking people, in words
    together: bool  # it may be decided on one page with others
    asks_for_proof: bool  # each decision comes with a fresh proof of who decides


@dataclass(frozen=True)
class Attempt:
    """One attempt of a worker at the backing API. `outcome` is "" while it runs."""

    number: int
    started_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    outcome: str
    backing_status: int | None
    detail: str

    @property
    def at(self) -> datetime:
        return self.started_at


@dataclass(frozen=True)
class LookUp:
    """The backing API was asked what became of an attempt. `reference` is its own, "" where it had no record."""

    at: datetime
    reference: str
    is_look_up: bool = True


@dataclass(frozen=True)
class Risks:
    """What was thought of before the action was offered. `undone_by` names an action, or is "" with a reason."""

    title: str
    thing: str  # what kind of thing it is about, in a word
    level: str
    threats: tuple[str, ...]
    undone_by: str
    irreversible_because: str


@dataclass(frozen=True)
class Linked:
    """A request that this one undoes, or one that undoes it: its headline, and where it stands."""

    id: UUID
    headline: str
    status: Status


@dataclass(frozen=True)
class Ordered:
    """The last time that a person asked for it to be undone. `refusal` is "" while a worker has not looked at it."""

    who: str
    at: datetime
    refusal: str


@dataclass(frozen=True)
class RequestView:
    """Everything on the request's page. `seen` stands for what is decided on; a vote carries it back."""

    id: UUID
    status: Status
    revision: int
    headline: str
    amount: Amount | None
    requester: str
    owner: str
    on_behalf_of: str
    created_at: datetime
    expires_at: datetime  # if it is held: were it to go on now
    held_since: datetime | None  # by a switch; None where no time can run out any more
    decided_at: datetime | None
    finished_at: datetime | None
    reason: str
    claims: tuple[Field, ...]
    arguments: str
    arguments_sha256: str
    facts: tuple[Field, ...]
    facts_read_at: datetime
    effect: Effect | None  # None where the facts do not tell it, or are not shown
    rule: Rule
    risks: Risks
    votes: tuple[Cast, ...]
    steps: tuple[Attempt | LookUp, ...]  # of the workers, in order of time
    outcome: str
    backing_reference: str
    seen: str
    refusal: Refusal | None
    no_approval: Refusal | None  # why this reviewer can only deny it so far
    instead_of: str  # in whose place this reviewer would decide; "" for themselves
    looking: Looking | None  # who is at it
    escalated_at: datetime | None
    cools_until: datetime | None  # until then no worker claims it
    opens: str  # from when on a worker may carry it out, in words, while its window is closed
    missed_its_window: bool  # it ran out before its window opened
    revocable: bool  # by this reviewer, now
    withdrawable: bool  # by this person, who asked for it
    overdue: bool
    others: Others  # that ask for the same
    clue: str  # what there was to see on an exercise that is over; "" for every other request, and until then
    budgets: Budgets
    is_by_person: bool  # who asked on our pages
    is_inside: bool  # about our own records, and no system of the company's
    change: PolicyChange | None  # of the policy, where that is what is asked for
    asked: Asked | None  # of the agent, who has not answered yet
    history: tuple[Step, ...]  # what it was before, the newest step first
    changeable: tuple[str, ...]  # the arguments that changes can be asked for in
    undoes: Linked | None
    how_exactly: str  # it undoes that one, in words
    undo_ordered: Ordered | None  # where no request has come of it
    undoable: bool  # by this person, who may ask for that
    undone_by: tuple[Linked, ...]  # the newest first, whatever became of them
    thing: str  # what it is about, as the company's system names it
    glass: GlassUse | None  # somebody pushed this revision through alone
    may_break_glass: bool
    unbreakable: Refusal | None  # why nobody pushes it through alone
    doubt: Doubt
    kept: Kept  # what is shown of its payload, and for how long
    may_open_payload: bool  # by break-glass reading
    readings: tuple[Reading, ...]  # who has opened it
    background: Background
    fresh: Look | None
    remarks: tuple[Said, ...]
    news: str  # another one whenever its page has something new to say

    @property
    def mark(self) -> str:
        """Another one whenever a page that shows it should be read anew."""
        return f"{self.status}.{self.revision}.{len(self.votes)}.{len(self.remarks)}"

    @property
    def cools(self) -> bool:
        """Whether its approval still has to wait for its time."""
        return self.cools_until is not None and self.cools_until > timezone.now()

    @property
    def decidable(self) -> bool:
        """Whether this reviewer may vote on it now."""
        return self.status == Status.PENDING and not self.overdue and self.refusal is None

    @property
    def approvable(self) -> bool:
        return self.rule.kind != "deny" and self.no_approval is None


def goes_together(request: ApprovalRequest) -> bool:
    """Whether it may be decided on one page with others: of low risk, or of medium risk where its rule allows it."""
    verdict = from_json(request.verdict)
    allowed = isinstance(verdict, Require) and verdict.together
    return request.risk == "low" or (request.risk == "medium" and allowed)


def request_view(request_id: UUID, by: Reviewer) -> RequestView:
    """One request of the reviewer's tenant. Raises NotFound, leaving an event, for any other id."""
    with tenant_scope(by.tenant_id):
        told = news(request_id, by)  # before all that it stands for
        request = (
            ApprovalRequest.objects.select_related("owner", "on_behalf_of", "policy_version")
            .filter(pk=request_id)
            .first()
        )
        if request is not None:
            return _view(request, by, told)
        denied(by, wanted="read", code="not_found", what=str(request_id))
    raise NotFound(thing="request", id=request_id)


def _view(request: ApprovalRequest, by: Reviewer, told: str) -> RequestView:
    decides = judge.independent(by.person_id, request) and (_reviews(by, request) or may_break(by, request))
    shown, still = as_shown(request, decides=decides), kept(request, decides=decides)
    claimed = material.claimed(shown)
    claims = tuple(claim for claim in claimed if claim.name != REASON)
    votes = exercises.votes_for(by, request, votes_on([request])[request.pk])
    standing = standings(by, [request], {request.pk: votes})[request.pk]
    return RequestView(
        id=request.pk,
        status=Status(request.status),
        revision=request.revision,
        headline=request.headline,
        amount=amount(request.amount_minor, request.currency),
        requester=request.requester_name,
        owner=exercises.owner_for(by, request),
        on_behalf_of=request.on_behalf_of.name if request.on_behalf_of else "",
        created_at=request.created_at,
        expires_at=switches.deadline(request),
        held_since=request.frozen_at if request.status in sources(Status.EXPIRED) else None,
        decided_at=request.decided_at,
        finished_at=request.finished_at,
        reason=next((claim.value for claim in claimed if claim.name == REASON), ""),
        claims=claims,
        arguments=shown.arguments,
        arguments_sha256=request.arguments_sha256,
        facts=material.looked_up(shown),
        facts_read_at=request.facts_read_at,
        effect=effect(request) if still.shown == "whole" else None,
        rule=_rule(request, standing.places),
        risks=_risks(request),
        votes=tuple(votes),
        steps=_steps(request),
        outcome=request.outcome,
        backing_reference=request.backing_reference,
        seen=judge.seen(request) if still.shown == "whole" else "",
        refusal=PayloadUnreadable() if still.shown == "unreadable" else standing.refusal,
        no_approval=standing.no_approval,
        instead_of=standing.instead_of,
        looking=looked_at([request]).get(request.pk),
        escalated_at=request.escalated_at,
        cools_until=_cools_until(request),
        opens=hours.opens_in_words(request),
        missed_its_window=hours.missed(request),
        revocable=request.status == Status.APPROVED and _reviews(by, request),
        withdrawable=request.person_id == by.person_id and request.status in sources(Status.WITHDRAWN),
        overdue=switches.time_is_up(request),
        others=others_of([request])[request.pk],
        clue=exercises.clue(request),
        budgets=budgets_for(request),
        is_by_person=request.person_id is not None,
        is_inside=_is_inside(request.action),
        change=change_asked(request),
        asked=asked(request.changes, request.revision, votes),
        history=history(request, votes, decides=decides),
        changeable=tuple(dict.fromkeys(claim.name.partition(".")[0] for claim in claimed)),
        undoes=_linked(request.undoes) if request.undoes else None,
        how_exactly=material.how_exactly(request) if request.undoes_id else "",
        undo_ordered=_ordered(request),
        undoable=bool(inverse.roles_that_undo(request) & by.roles) and inverse.can_be_undone(request),
        undone_by=tuple(_linked(other) for other in request.undone_by.order_by("-created_at")),
        thing=request.resource_id,
        glass=glass_of(request, by),
        may_break_glass=may_break(by, request),
        unbreakable=never_because(request),
        doubt=doubt_of(request, by),
        kept=still,
        may_open_payload=still.hides and may_open(by, request),
        readings=readings_of(request),
        background=background(request),
        fresh=fresh_look_of(request, shows=still.shown == "whole"),
        remarks=remarks_on(request),
        news=told,
    )


def _is_inside(name: str) -> bool:
    return name in actions.of_people()


def _linked(request: ApprovalRequest) -> Linked:
    return Linked(request.pk, request.headline, Status(request.status))


def _ordered(request: ApprovalRequest) -> Ordered | None:
    last = UndoOrder.objects.filter(request=request).select_related("person").order_by("-created_at").first()
    if last is None or last.filed_id is not None:
        return None
    return Ordered(last.person.name, last.created_at, last.refusal)


def _cools_until(request: ApprovalRequest) -> datetime | None:
    verdict = from_json(request.verdict)
    asked = verdict.cooling_off if isinstance(verdict, Require) else None
    return request.decided_at + asked if asked and request.decided_at else None


def _reviews(by: Reviewer, request: ApprovalRequest) -> bool:
    try:
        quorum.check_reviews(by, request)
    except Refusal:
        return False
    return True


def _rule(request: ApprovalRequest, places: tuple[Places, ...]) -> Rule:
    verdict = from_json(request.verdict)
    return Rule(
        name=verdict.rule,
        kind=verdict.kind,
        because=verdict.because,
        comment=judge.comment(request.policy_version, request.action, verdict.rule),
        error=getattr(verdict, "error", None) or "",
        policy_version=request.policy_version.number if request.policy_version else None,
        places=places,
        terms=material.terms(verdict),
        together=goes_together(request),
        asks_for_proof=step_up.asks(verdict),
    )


def _risks(request: ApprovalRequest) -> Risks:
    try:
        action = actions.get(request.action)
    except NotFound:  # the code has moved on, and the record of what it did stays readable
        return Risks(request.action, "thing", request.risk, (), "", "This action is no longer offered.")
    because = inverse.why_not(request.action)
    return Risks(
        title=action.title,
        thing=action.thing,
        level=request.risk,
        threats=action.threats,
        undone_by="" if because else actions.get(str(action.inverse)).title,
        irreversible_because=because,
    )


def _steps(request: ApprovalRequest) -> tuple[Attempt | LookUp, ...]:
    attempts = _attempts(request)
    if not any(attempt.outcome == "uncertain" for attempt in attempts):
        return attempts
    asked = audit.trail(request.tenant_id, request.pk, kind="execution.reconciled")
    look_ups = tuple(LookUp(entry.at, str(entry.data["reference"])) for entry in asked)
    return tuple(sorted((*attempts, *look_ups), key=lambda step: step.at))


def _attempts(request: ApprovalRequest) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(
            number=row.number,
            started_at=row.started_at,
            sent_at=row.sent_at,
            finished_at=row.finished_at,
            outcome=row.outcome,
            backing_status=row.backing_status,
            detail=row.detail,
        )
        for row in Execution.objects.filter(request=request).order_by("number")
    )
