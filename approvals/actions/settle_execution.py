"""Settle by hand what stays in doubt: asked by an operator, agreed to by another one, carried out in our own database.

No agent is offered it, and no policy makes it easier. The provider's own record is asked for once more before it is
done, and wins; so does whatever has ended the doubt meanwhile.
"""

import logging
from datetime import timedelta
from typing import Annotated, Self
from uuid import UUID

from django.db.models import QuerySet
from pydantic import Field, ValidationError, model_validator

from approvals import actions, attempts, moves, outbox, outcomes
from approvals.actions.contract import (
    FOR_EVER,
    ONE_LINE,
    Action,
    Arguments,
    Facts,
    NotReversible,
    Receipt,
)
from approvals.actions.inside import Inside, tenant_of
from approvals.backing import Backing
from approvals.database import tenant_scope
from approvals.errors import (
    NotFound,
    NothingFound,
    NotReached,
    OnRecordNow,
    PayloadErased,
    PayloadUnreadable,
    SettledMeanwhile,
    StillUnderWay,
    TryLater,
)
from approvals.identity.models import Tenant
from approvals.models import ApprovalRequest, Execution, Settlement
from approvals.states import Status
from policies.verdicts import Deny, Require, Stage, Verdict

logger = logging.getLogger(__name__)

NAME = "settle_execution"
SETTLER = "operator"
BUILT_IN = "built in"  # no rule of a document can be called so
LONGEST_REFERENCE = 200  # characters
TURNS = 5  # of asking the provider, over half a minute, before its silence is taken for one that lasts
WHILE_UNDER_WAY = 5  # seconds
BECAUSE = "What stays in doubt is settled when an operator agrees who neither asks for it nor is part of it."
UUID_TEXT = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

# What holds whatever a document says.
ALWAYS = Require(stages=(Stage(SETTLER, 1),), because=BECAUSE, rule=BUILT_IN)


class SettleArguments(Arguments):
    request_id: Annotated[str, Field(pattern=UUID_TEXT)]
    happened: bool
    provider_reference: Annotated[str, Field(max_length=LONGEST_REFERENCE, pattern=ONE_LINE)]

    @model_validator(mode="after")
    def _has_a_reference_if_it_happened(self) -> Self:
        if self.happened != bool(self.provider_reference):
            raise ValueError("the provider's reference belongs to what happened, and to nothing else")
        return self


class SettleFacts(Facts):
    status: str
    what: str
    in_doubt_since: str
    times_sent: int
    last_answer: str
    no_record_since: str
    owner_id: str
    on_behalf_of_id: str


class SettleExecution(Action[SettleArguments, SettleFacts]):
    name = NAME
    asked_by = "person"
    tool = NAME  # no tool of the door's; so limits call it
    title = "Settle by hand what stays in doubt"
    description = (
        "It then counts as done, or as never done, and is not tried again. Another operator decides."
    )
    version = 1
    owner = SETTLER
    risk = "high"
    threats = (
        "It is said that it never happened, and it had: whoever asks for it again has it twice. Look at the "
        "provider's own record, by our reference.",
        "It is said that it happened, and it had not: everybody is told that it is done, and nobody is paid.",
        "A reference of something else is given: look it up, and compare amount and day.",
    )
    inverse = NotReversible("An end is final. What was settled wrongly is put right at the provider.")
    thing = "request in doubt"
    where = "Our own database"
    key_lives = FOR_EVER
    arguments = SettleArguments
    facts = SettleFacts

    def resource_id(self, arguments: SettleArguments) -> str:
        return arguments.request_id

    def headline(self, arguments: SettleArguments, facts: SettleFacts) -> str:
        found = f"It happened ({arguments.provider_reference})" if arguments.happened else "It never happened"
        return f"{found}, to be settled by hand: {facts.what}"

    def parties(self, facts: SettleFacts) -> frozenset[UUID]:
        return frozenset(UUID(one) for one in (facts.owner_id, facts.on_behalf_of_id) if one)

    def at_least(self, arguments: SettleArguments, facts: SettleFacts) -> Verdict:
        if facts.status != Status.UNCERTAIN:
            public = f"It is no longer in doubt: it has {facts.status.replace('_', ' ')}."
            return Deny(public=public, because=public, rule=BUILT_IN)
        return ALWAYS

    def reader(self, tenant_slug: str) -> Backing:
        return Inside(tenant_slug)

    def writer(self, tenant_slug: str) -> Backing:
        return Inside(tenant_slug)

    def look_up(self, arguments: SettleArguments, reader: Backing) -> SettleFacts:
        with tenant_scope(tenant_of(reader)):
            request = _wanted(arguments).first()
            if request is None:
                raise NothingFound(message="there is no such request that is carried out elsewhere")
            _check_not_at_it(request)
            sent = list(Execution.objects.filter(request=request).exclude(sent_at=None).order_by("number"))
            absent = attempts.absent_since(request)
        return SettleFacts(
            status=request.status,
            what=request.headline,
            in_doubt_since=request.doubted_at.isoformat(timespec="seconds") if request.doubted_at else "",
            times_sent=len(sent),
            last_answer=_answered(sent[-1]) if sent else "nothing was sent",
            no_record_since=absent.isoformat(timespec="seconds") if absent else "",
            owner_id=str(request.owner_id),
            on_behalf_of_id=str(request.on_behalf_of_id or ""),
        )

    def execute(
        self, arguments: SettleArguments, facts: SettleFacts, writer: Backing, *, key: str, reference: str
    ) -> Receipt:
        tenant_id = tenant_of(writer)
        with tenant_scope(tenant_id):
            if receipt := _done(reference):
                return receipt
            request = _wanted(arguments).get()
            turn = Execution.objects.filter(request_id=UUID(reference)).count()
        _check_not_on_record(request, tenant_id, turn)
        with tenant_scope(tenant_id):
            return _done(reference) or _settled(arguments, tenant_id, reference)

    def reconcile(self, arguments: SettleArguments, reader: Backing, *, reference: str) -> Receipt | None:
        with tenant_scope(tenant_of(reader)):
            return _done(reference)


def _wanted(arguments: SettleArguments) -> QuerySet[ApprovalRequest]:
    """What people ask for is carried out in our own database, which always knows what became of it."""
    return ApprovalRequest.objects.exclude(action__in=actions.of_people()).filter(
        pk=UUID(arguments.request_id)
    )


def _answered(attempt: Execution) -> str:
    """What came back of an attempt, in words: no answer, or one that left it in doubt."""
    status = f" ({attempt.backing_status})" if attempt.backing_status else ""
    return f"{attempt.detail or 'no answer'}{status}"[:300]


def _check_not_at_it(request: ApprovalRequest) -> None:
    """It is tried once more just now, as the provider had no record of it: in doubt it is again, or settled, soon.

    Raises TryLater.
    """
    if request.status == Status.EXECUTING:
        raise TryLater(where="Another attempt that is under way", seconds=WHILE_UNDER_WAY)


def _check_not_on_record(request: ApprovalRequest, tenant_id: UUID, turn: int) -> None:
    """Ask the provider once more, in the settlement's `turn`-th attempt.

    Raises OnRecordNow, TryLater where it asks to wait, and NotReached where another turn may yet get an answer. Where
    it has given none in TURNS turns, or the action that could ask is not there any more, what people found stands.
    """
    with tenant_scope(tenant_id):
        slug = Tenant.objects.values_list("slug", flat=True).get(pk=tenant_id)
    try:
        action = actions.get(request.action)
        if request.action_version != action.version:
            return
        claimed = action.arguments.model_validate_json(request.arguments)
    except (NotFound, ValidationError, PayloadErased, PayloadUnreadable):
        return
    try:
        receipt = action.reconcile(claimed, action.reader(slug), reference=str(request.pk))
    except TryLater:
        raise
    except Exception as error:  # a system that went wrong answers nonsense, too
        if turn < TURNS:
            raise NotReached(where=action.where) from error
        logger.warning("settled with no answer", extra={"request_id": str(request.pk)})
        return
    if receipt is not None:
        with tenant_scope(tenant_id):
            outbox.put(request, outbox.RECONCILE)
        raise OnRecordNow(where=action.where, reference=receipt.reference)


def _settled(arguments: SettleArguments, tenant_id: UUID, reference: str) -> Receipt:
    """The end of the doubt, with its events and messages, in the caller's transaction.

    Raises SettledMeanwhile, TryLater while it is tried once more, or StillUnderWay where "it never happened" would
    come too early.
    """
    request = moves.locked(UUID(arguments.request_id))
    _check_not_at_it(request)
    if request.status != Status.UNCERTAIN:
        raise SettledMeanwhile(now=request.status.replace("_", " "))
    if not arguments.happened and attempts.unproven(request, _lags(request)) > 0:
        raise StillUnderWay
    found = {"happened": arguments.happened, "reference": arguments.provider_reference}
    Settlement.objects.create(tenant_id=tenant_id, request=request, by_id=UUID(reference), **found)
    outcomes.event("execution.settled", request, {**found, "settlement": reference})
    if arguments.happened:
        words = "It happened: two people looked it up, and settled it by hand."
        outcomes.finish(request, Status.SUCCEEDED, words, arguments.provider_reference)
    else:
        words = "It never happened: two people looked it up, and settled it by hand."
        outcomes.finish(request, Status.FAILED, words, "")
    return _receipt(request.pk)


def _lags(request: ApprovalRequest) -> timedelta:
    try:
        lags: timedelta = actions.get(request.action).index_lags
    except NotFound:
        return timedelta()
    return lags


def _done(reference: str) -> Receipt | None:
    """What this request has done already, if it has; in the tenant's scope."""
    done = Settlement.objects.filter(by_id=UUID(reference)).first()
    return _receipt(done.request_id) if done else None


def _receipt(request_id: UUID) -> Receipt:
    return Receipt(str(request_id), "the request is no longer in doubt")


ACTION = SettleExecution()
