"""Exercises: filed by an operator, ended by one vote, and never approved."""

import json
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from approvals import actions, canaries, clock, exercises, judge, switches
from approvals.actions.practice import Known
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import (
    AgentRemoved,
    AlreadyVoted,
    CommentMissing,
    CredentialRefused,
    ExercisesAlready,
    ExercisesOff,
    LimitReached,
    MoveRefused,
    NoExercise,
    NoOperator,
    NotEntitled,
    NotFound,
    SelfApproval,
    SwitchedOff,
)
from approvals.identity.agents import renew_secret
from approvals.identity.credentials import requester_of_secret
from approvals.identity.models import Agent
from approvals.models import ApprovalRequest, CanarySetting, Outbox, Switch, Vote
from approvals.notifications import delivery
from approvals.payloads import canonical, salted
from approvals.queries.unfounded import unfounded
from policies.documents import shipped
from tests import courses
from tests.budgets.conftest import SetPolicy, set_policy, usage
from tests.exercising import exercise, turn_off, turn_on
from tests.switches.conftest import fresh, operators
from tests.switches.stops import Operators
from tests.world import World, break_the_trail

__all__ = ["fresh", "operators", "set_policy"]


def said(*words: str) -> str:
    told = StringIO()
    call_command("canary", *words, stdout=told)
    return told.getvalue()


def orders(world: World, request: ApprovalRequest) -> list[str]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        return [
            row.kind or row.topic for row in Outbox.objects.filter(request=request).order_by("created_at")
        ]


def settings_of(world: World) -> list[bool]:
    with world.processes.acting_as("migrator"):
        return list(CanarySetting.objects.filter(tenant=world.tenant).values_list("is_on", flat=True))


def filed(world: World) -> int:
    with world.processes.acting_as("migrator"):
        return ApprovalRequest.objects.filter(tenant=world.tenant).count()


# --- what a vote on one does -----------------------------------------------------------------------------


def test_an_approval_is_a_miss_and_approves_nothing(world: World) -> None:
    request = exercise(world)
    ended = world.vote(request, "approve", "lena", comment="")
    assert (ended.status, ended.outcome) == ("denied", canaries.OUTCOME)
    assert world.events(request) == ["canary.filed", "vote.cast", "canary.missed"]
    assert orders(world, request) == ["request.created", "request.denied"]
    assert world.ledger(request) == []


def test_a_denial_caught_it(world: World) -> None:
    request = exercise(world)
    ended = world.vote(request, "deny", "lena", comment="The reason says something else.")
    assert (ended.status, ended.outcome) == ("denied", canaries.OUTCOME)
    assert world.events(request) == ["canary.filed", "vote.cast", "request.denied", "canary.caught"]
    assert orders(world, request) == ["request.created", "request.denied"]


@pytest.mark.parametrize(
    ("person", "refusal"), [("opal", SelfApproval), ("felix", NotEntitled), ("gus", NotFound)]
)
@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_who_may_not_decide_may_not_decide_on_an_exercise(
    world: World, person: str, refusal: type[Exception], decision: str
) -> None:
    request = exercise(world)
    with pytest.raises(refusal):
        world.vote(request, decision, person)
    assert world.status(request) == "pending"


def test_a_denial_of_an_exercise_needs_its_reason_too(world: World) -> None:
    request = exercise(world)
    with pytest.raises(CommentMissing):
        world.vote(request, "deny", "lena", comment="")
    assert world.status(request) == "pending"


def test_the_first_vote_ends_it(world: World) -> None:
    request = exercise(world)
    world.vote(request, "approve", "lena")
    with pytest.raises((MoveRefused, AlreadyVoted)):
        world.vote(request, "approve", "mara")
    assert world.events(request).count("vote.cast") == 1


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_the_end_of_an_exercise_without_its_event_does_not_happen(
    world: World, monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    request = exercise(world)
    break_the_trail(monkeypatch, canaries)
    with pytest.raises(RuntimeError):
        world.vote(request, decision, "lena")
    assert world.status(request) == "pending"
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        assert not Vote.objects.filter(request=request).exists()


def test_nobody_decides_and_it_expires_as_any_request(world: World) -> None:
    request = courses.expire(world, exercise(world))
    assert world.status(request) == "expired"
    assert world.events(request) == ["canary.filed", "request.expired"]


@pytest.mark.parametrize("decision", [None, "approve", "deny"])
def test_wherever_an_exercise_stands_its_trail_led_there(world: World, decision: str | None) -> None:
    request = exercise(world)
    if decision:
        world.vote(request, decision, "lena")
    with world.processes.acting_as("sweeper"):
        assert unfounded(world.tenant.pk) is None


# --- filing one ------------------------------------------------------------------------------------------


def test_exercises_are_off_until_an_operator_turns_them_on(world: World) -> None:
    with world.processes.acting_as("migrator"), pytest.raises(ExercisesOff):
        exercises.file(world.tenant)
    assert filed(world) == 0


def test_each_tenant_has_its_own(world: World) -> None:
    exercise(world)
    with world.processes.acting_as("migrator"):
        with pytest.raises(ExercisesOff):
            exercises.file(world.other)
        with pytest.raises(NoOperator):
            exercises.turn_on(world.other, owner=world.people["opal"], name="Support bot")
        with pytest.raises(ExercisesAlready):
            exercises.turn_off(world.other)


def test_a_row_of_one_says_what_the_row_of_any_request_says(world: World) -> None:
    """Digests, headline and amount are derived as ever: the vote checks them too."""
    request = exercise(world)
    action, arguments, facts = judge.stored(request)
    judge.check_sound(request, action, arguments, facts)
    assert request.verdict["kind"] == "require"
    assert request.arguments_sha256 == salted(request.salt, canonical(arguments))


def test_it_is_brought_to_mind_and_to_others_as_any_request_is(world: World) -> None:
    """Or whoever hears nothing of it for long would know what it is."""
    escalates = "then:\n          escalate_after: 1h\n          escalate_to: finance\n"
    world.put_in_force(shipped().replace("then:\n", escalates))
    made_up, real = exercise(world), world.submit()
    for one in (made_up, real):
        assert one.escalates_at is not None
        assert one.reminds_at is not None
        assert one.escalates_at - one.created_at == timedelta(hours=1)
    with world.processes.acting_as("migrator"):
        past = timezone.now() - timedelta(minutes=1)
        ApprovalRequest.objects.filter(pk=made_up.pk).update(escalates_at=past, reminds_at=past)
    with world.processes.acting_as("sweeper"):
        assert clock.escalate(made_up.pk, world.tenant.pk)
        assert clock.remind(made_up.pk, world.tenant.pk)
    assert world.vote(made_up, "deny", "felix", comment="Not ours.").status == "denied"


def test_it_is_told_what_was_approved_before_as_any_request_is(world: World, set_policy: SetPolicy) -> None:
    set_policy(usage("all_of_it", per="tenant", cap="{ USD: 9000000 }"))
    courses.approved(world)
    assert exercise(world).usage == world.submit(amount_minor=100).usage == {"all_of_it": 5000}


def test_its_event_keeps_what_that_of_any_request_keeps(world: World) -> None:
    made_up, real = exercise(world), world.submit()
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        told = [json.loads(Event.objects.get(request_id=one.pk).text) for one in (made_up, real)]
    assert told[0]["data"].keys() == told[1]["data"].keys()
    assert told[0]["personal"].keys() == told[1]["personal"].keys()
    assert [one["kind"] for one in told] == ["canary.filed", "request.created"]


def test_every_exercise_of_an_action_is_one_that_can_be_read_and_seen_through() -> None:
    for action in actions.every():
        for one in action.canaries(Known("USD")):
            assert 0 < len(one.clue) <= 300
            assert action.headline(one.arguments, one.facts)
            assert judge.parse(action, one.arguments.model_dump()) == one.arguments


def test_its_ids_look_like_those_that_people_here_know(world: World) -> None:
    world.submit()
    made_up = exercise(world)
    told = json.loads(made_up.facts) | json.loads(made_up.arguments)
    for name, shape in (("payment_id", "pay"), ("order_id", "ord"), ("customer_id", "cus")):
        assert re.fullmatch(shape + r"_[1-9]\d{3,4}", told[name]), name


def test_a_made_up_id_keeps_the_shape_and_no_more() -> None:
    known = Known("USD", {"id": "re-Ab9_3Nx.07", "long": "7" * 40, "none": None})
    assert re.fullmatch(r"re-Ab9_\d[A-Z][a-z]\.\d\d", known.alike("id", "x"))
    assert known.alike("long", "x") != "7" * 40
    assert re.fullmatch(r"pay_\d{4}", known.alike("none", "pay_1000"))
    assert re.fullmatch(r"pay_\d{4}", known.alike("unheard of", "pay_1000"))


def test_it_speaks_of_the_money_that_people_here_know(world: World) -> None:
    world.submit(payment_id="pay_10012", amount_minor=1600, currency="JPY")
    assert "JPY" in exercise(world).facts


def test_what_the_policy_would_not_bring_before_people_is_not_filed(world: World) -> None:
    turn_on(world)
    source = shipped().replace('facts.payment_status == "failed"', 'facts.payment_status != "failed"')
    world.put_in_force(source)
    with world.processes.acting_as("migrator"), pytest.raises(NoExercise):
        exercises.file(world.tenant)
    assert filed(world) == 0


def test_none_is_filed_where_a_rule_cannot_be_worked_out(world: World) -> None:
    """No letter can be written about one, so its announcement would fail, again and again."""
    turn_on(world)
    rule = 'facts.payment_status == "failed"'
    world.put_in_force(shipped().replace(rule, "1 / (facts.paid_minor - facts.paid_minor) > 0"))
    with world.processes.acting_as("migrator"), pytest.raises(NoExercise):
        exercises.file(world.tenant)
    assert filed(world) == 0


def test_one_that_was_filed_with_an_error_is_announced_all_the_same(world: World) -> None:
    request = exercise(world)
    with world.processes.acting_as("migrator"):
        broken = request.verdict | {"error": "Rule 'usual': division by zero"}
        ApprovalRequest.objects.filter(pk=request.pk).update(verdict=broken)
        row = Outbox.objects.get(request=request)
    with world.processes.acting_as("worker"):
        delivery.announce(row)
    assert "policy.error" not in world.events()


def test_none_is_filed_under_a_switch_of_its_tenant(world: World, operators: Operators) -> None:
    turn_on(world)
    with world.processes.acting_as("web"):
        switches.turn_on(tenant_id=world.other.pk, reason="An outage elsewhere.", by=world.reviewer("gus"))
    exercise(world)
    operators.stop(tool="request_refund", reason="The provider has an outage.")
    with world.processes.acting_as("migrator"), pytest.raises(SwitchedOff):
        exercises.file(world.tenant)
    assert filed(world) == 1


def test_none_is_filed_while_the_agent_whose_name_it_borrows_is_stopped(
    world: World, operators: Operators
) -> None:
    world.submit()
    exercise(world)
    operators.stop(agent_id=world.agent.agent_id, stops="everything", reason="It asks for odd things.")
    with world.processes.acting_as("migrator"), pytest.raises(SwitchedOff):
        exercises.file(world.tenant)
    assert filed(world) == 2


def test_another_companys_stop_keeps_none_from_being_filed(world: World) -> None:
    world.submit()
    exercise(world)
    with world.processes.acting_as("migrator"):
        Switch.objects.create(
            tenant=world.other,
            stops="everything",
            reason="Theirs asks for odd things.",
            turned_on_by=world.people["gus"],
        )
    exercise(world)
    assert filed(world) == 3


def test_the_owner_of_the_agent_whose_name_it_borrows_decides_on_it_as_little_as_on_a_real_one(
    world: World,
) -> None:
    real, made_up = world.submit(), exercise(world)
    said = []
    for request in (real, made_up):
        with pytest.raises(SelfApproval) as refusal:
            world.vote(request, "deny", "otto")
        said.append(str(refusal.value))
    assert said[0] == said[1]
    assert world.vote(made_up, "deny", "lena").status == "denied"


def test_it_costs_agents_none_of_their_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("LIMIT_TENANT_PENDING", "LIMIT_TENANT_REQUESTS_A_DAY"):
        monkeypatch.setattr(settings, limit, 2)
    exercise(world)
    exercise(world)
    world.submit()
    world.submit()
    with pytest.raises(LimitReached):
        world.submit()


def test_an_exercise_without_its_event_does_not_happen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    turn_on(world)
    break_the_trail(monkeypatch, exercises)
    with world.processes.acting_as("migrator"), pytest.raises(RuntimeError):
        exercises.file(world.tenant)
    assert filed(world) == 0


# --- turning them on and off -----------------------------------------------------------------------------


def test_turning_exercises_on_or_off_without_its_event_does_not_happen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        break_the_trail(patched, exercises)
        with pytest.raises(RuntimeError):
            turn_on(world)
    assert settings_of(world) == []
    turn_on(world)
    with monkeypatch.context() as patched:
        break_the_trail(patched, exercises)
        with pytest.raises(RuntimeError):
            turn_off(world)
    assert settings_of(world) == [True]
    turn_off(world)
    assert [kind for kind in world.events() if kind.startswith("canary")] == [
        "canary.turned_on",
        "canary.turned_off",
    ]


def test_nobody_can_come_as_the_agent_of_exercises(world: World) -> None:
    turn_on(world)
    with world.processes.acting_as("migrator"):
        agent = CanarySetting.objects.get(tenant=world.tenant).agent
        assert not agent.is_active
        with pytest.raises(AgentRemoved):
            renew_secret(agent)
        client = agent.application.client_id
    with world.processes.acting_as("door"), pytest.raises(CredentialRefused):
        requester_of_secret(client, "anything")


def test_what_waits_when_they_are_turned_off_ends_as_ever_and_no_more_comes(world: World) -> None:
    request = exercise(world)
    turn_off(world)
    with world.processes.acting_as("migrator"), pytest.raises(ExercisesOff):
        exercises.file(world.tenant)
    assert world.vote(request, "deny", "lena").status == "denied"


def test_turned_on_again_as_the_same_they_keep_their_agent(world: World) -> None:
    turn_on(world)
    turn_off(world)
    turn_on(world)
    turn_off(world)
    turn_on(world, name="Another bot")
    with world.processes.acting_as("migrator"):
        owned = Agent.objects.filter(tenant=world.tenant, owner=world.people["opal"]).order_by("created_at")
        assert [agent.name for agent in owned] == ["Support bot", "Another bot"]


def test_an_operator_answers_for_them(world: World) -> None:
    with pytest.raises(NoOperator):
        turn_on(world, owner=world.people["lena"])
    assert settings_of(world) == []


# --- the command -----------------------------------------------------------------------------------------


def test_the_command_turns_them_on_files_lists_and_turns_them_off(world: World) -> None:
    of = ("--tenant", world.tenant.slug)
    with world.processes.acting_as("migrator"):
        assert "Exercises are off" in said("list", *of)
        assert "Exercises are on" in said("on", *of, "--owner", world.people["opal"].email)
        told = said("file", *of)
        request = ApprovalRequest.objects.get(tenant=world.tenant)
        assert str(request.pk) in told
        assert request.clue in told
        assert "pending" in said("list", *of)
    world.vote(request, "approve", "lena")
    with world.processes.acting_as("migrator"):
        assert "missed" in said("list", *of)
        assert "Lena" not in said("list", *of)
        assert "Exercises are off" in said("off", *of)
        with pytest.raises(CommandError, match="Exercises are off"):
            said("file", *of)


def test_by_chance_one_comes_once_in_many_times(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    turn_on(world)
    asked: list[int] = []

    def chance(n: int) -> int:
        asked.append(n)
        return len(asked) % 2

    monkeypatch.setattr("approvals.management.commands.canary.secrets.randbelow", chance)
    with world.processes.acting_as("migrator"):
        assert "Not this time." in said("file", "--tenant", world.tenant.slug, "--one-in", "50")
        assert "Filed" in said("file", "--tenant", world.tenant.slug, "--one-in", "50")
        with pytest.raises(CommandError):
            said("file", "--tenant", world.tenant.slug, "--one-in", "0")
    assert asked == [50, 50]
    assert filed(world) == 1
