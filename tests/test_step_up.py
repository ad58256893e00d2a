"""Where a rule asks for it, a decision needs a fresh proof of who decides, and so does a vote that counts."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import IntegrityError
from django.utils import timezone

from approvals import decide, judge, revoke
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import FieldTooLong, StepUpNeeded
from approvals.models import ApprovalRequest, Vote
from tests import courses
from tests.proving import add_app, proof, rule_asks_for_proof, vote, who_proved
from tests.world import World


@pytest.fixture
def request_(world: World) -> ApprovalRequest:
    rule_asks_for_proof(world)
    request = world.submit()
    assert request.verdict["step_up"]
    return request


def change_votes(world: World, request: ApprovalRequest, **changes: object) -> None:
    with world.processes.acting_as("migrator"):
        assert Vote.objects.filter(request=request).update(**changes) == 1


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_a_decision_without_a_fresh_proof_is_refused(
    world: World, request_: ApprovalRequest, decision: str
) -> None:
    for proofs in ((), (proof(ago=settings.STEP_UP_SECONDS + 1),), (proof(ago=-60),)):
        with pytest.raises(StepUpNeeded):
            vote(world, request_, "lena", *proofs, decision=decision)
    assert world.status(request_) == "pending"
    assert world.events(request_) == ["request.created", *["vote.refused"] * 3]


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_a_fresh_proof_lets_decide_and_stays_with_the_vote(
    world: World, request_: ApprovalRequest, decision: str
) -> None:
    given = proof(ago=settings.STEP_UP_SECONDS - 30)
    decided = vote(world, request_, "lena", given, decision=decision)
    assert decided.status == {"approve": "approved", "deny": "denied"}[decision]
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        cast = Vote.objects.get(request=request_)
        told = Event.objects.get(request_id=request_.pk, kind="vote.cast").text
    assert (cast.proof, cast.proved_at) == ("password", given.at)
    assert '"proof":"password"' in told


def test_where_somebody_has_a_second_factor_the_password_alone_is_not_enough(
    world: World, request_: ApprovalRequest
) -> None:
    add_app(world, "lena")
    with pytest.raises(StepUpNeeded):
        vote(world, request_, "lena", proof("password"))
    with pytest.raises(StepUpNeeded):
        vote(world, request_, "lena", proof("password"), proof("totp", ago=settings.STEP_UP_SECONDS + 1))
    assert vote(world, request_, "lena", proof("totp"), proof("password")).status == "approved"


def test_a_rule_that_does_not_ask_lets_decide_without(world: World) -> None:
    assert vote(world, world.submit(), "lena").status == "approved"


def test_what_a_stricter_rule_asks_at_execution_sends_unproved_approvals_back(world: World) -> None:
    request = vote(world, world.submit(), "lena")
    rule_asks_for_proof(world)
    courses.run(world, request)
    assert world.status(request) == "stale"
    assert world.ledger(request) == []


def test_what_was_approved_with_a_proof_holds_under_a_rule_that_asks_only_now(world: World) -> None:
    request = vote(world, world.submit(), "lena", proof())
    rule_asks_for_proof(world)
    courses.run(world, request)
    assert world.status(request) == "succeeded"


@pytest.mark.parametrize("age", [None, settings.STEP_UP_SECONDS + 1])
def test_a_vote_without_a_fresh_proof_does_not_count_however_it_came_there(
    world: World, request_: ApprovalRequest, age: int | None
) -> None:
    request = vote(world, request_, "lena", proof())
    if age is None:
        change_votes(world, request, proof="", proved_at=None)
    else:
        change_votes(world, request, proved_at=timezone.now() - timedelta(seconds=age))
    courses.run(world, request)
    assert world.status(request) == "stale"
    assert world.ledger(request) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"proved_at": None},
        {"proof": ""},
        {"proof": "a smile"},
        {"proved_at": timezone.now() + timedelta(hours=1)},
    ],
)
def test_the_database_takes_no_proof_that_is_none(
    world: World, request_: ApprovalRequest, changes: dict[str, object]
) -> None:
    request = vote(world, request_, "lena", proof())
    with pytest.raises(IntegrityError):
        change_votes(world, request, **changes)


def test_what_is_wrong_with_the_words_is_said_before_a_proof_is_asked_for(
    world: World, request_: ApprovalRequest
) -> None:
    """Or they would be kept for the way back, however long they are."""
    with world.processes.acting_as("web"), pytest.raises(FieldTooLong):
        decide.ask_for_changes(
            request_.pk,
            by=who_proved(world, "lena"),
            seen=judge.seen(request_),
            message="Only the shipping.",
            fields={"amount_minor": "x" * 501},
        )


def test_an_approval_is_taken_back_with_a_fresh_proof_too(world: World) -> None:
    rule_asks_for_proof(world)
    request = vote(world, world.submit(), "lena", proof())
    with world.processes.acting_as("web"):
        with pytest.raises(StepUpNeeded):
            revoke.revoke(request.pk, by=who_proved(world, "mara"), reason="I read it again.")
        assert world.status(request) == "approved"
        revoke.revoke(request.pk, by=who_proved(world, "mara", proof()), reason="I read it again.")
    assert world.status(request) == "denied"
