"""Settled by hand under four eyes: who asks, who agrees, and what becomes of the request in doubt."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from approvals import actions, execute, judge, outbox, outcomes, rejudge, submit
from approvals import reconcile as reconciling
from approvals.actions import settle_execution
from approvals.actions.refund_payment import RefundArguments, RefundPayment
from approvals.audit.events import record
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import (
    BecauseMissing,
    CredentialNotTaken,
    Doomed,
    FindingMissing,
    FourEyesAlways,
    NoAnswer,
    NotEntitled,
    NotFound,
    NothingInDoubt,
    NotReached,
    OperatorsSettle,
    PartOfIt,
    PolicyForbids,
    ReferenceWrong,
    SelfApproval,
    TryLater,
)
from approvals.glass import never_because
from approvals.identity.models import Membership
from approvals.models import ApprovalRequest, Settlement
from policies.documents import shipped
from tests.budgets.conftest import states
from tests.execution.test_retries import fails
from tests.uncertain.doubts import (
    FOUND,
    agreed,
    approved,
    ask,
    attempts,
    change,
    earlier,
    in_doubt,
    reconcile,
    rows,
    run,
    sent,
)
from tests.world import World, break_the_trail

LONG_AGO = timedelta(days=2)
BY_NOBODY = """
  settle_execution:
    rules:
      - { name: quick, when: "true", because: "Nobody has to look.", then: auto_approve }
"""


@pytest.fixture
def request_in_doubt(world: World) -> ApprovalRequest:
    """It never happened, and its key is forgotten by now."""
    request = in_doubt(world)
    earlier(world, request, LONG_AGO)
    reconcile(world, request)
    return request


def make_operator(world: World, name: str) -> None:
    with world.processes.acting_as("migrator"):
        Membership.objects.create(tenant=world.tenant, person=world.people[name], role="operator")


def events(world: World, request: ApprovalRequest, kind: str) -> list[dict[str, object]]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        found = Event.objects.filter(request_id=request.pk, kind=kind).order_by("at")
        return [json.loads(event.text)["data"] for event in found]


# --- what becomes of it -----------------------------------------------------------------------------------


def test_what_never_happened_fails_and_is_never_tried_again(
    world: World, request_in_doubt: ApprovalRequest
) -> None:
    settling = agreed(world, request_in_doubt)
    assert world.status(request_in_doubt) == "uncertain"
    assert run(world, settling) == "succeeded"
    done = world.reload_as("web", request_in_doubt)
    assert (done.status, done.backing_reference) == ("failed", "")
    assert done.outcome == "It never happened: two people looked it up, and settled it by hand."
    assert done.finished_at
    assert world.events(request_in_doubt)[-2:] == ["execution.settled", "execution.failed"]
    assert "announce" in rows(world, request_in_doubt, kind="request.failed")
    run(world, request_in_doubt)
    assert reconcile(world, request_in_doubt) is None
    assert sent(world, request_in_doubt) == 1
    assert world.ledger(request_in_doubt) == []


def test_what_happened_succeeds_with_the_providers_reference(
    world: World, request_in_doubt: ApprovalRequest
) -> None:
    settling = agreed(world, request_in_doubt, happened=True, reference="re_4711")
    assert run(world, settling) == "succeeded"
    done = world.reload_as("web", request_in_doubt)
    assert (done.status, done.backing_reference) == ("succeeded", "re_4711")
    assert "settled it by hand" in done.outcome
    (told,) = events(world, request_in_doubt, "execution.settled")
    assert told == {"happened": True, "reference": "re_4711", "settlement": str(settling.pk)}
    assert "announce" in rows(world, request_in_doubt, kind="request.succeeded")
    assert world.events(settling)[-1] == "execution.succeeded"


@pytest.mark.parametrize("happened", [True, False])
def test_budgets_follow_the_end(world: World, happened: bool) -> None:
    """As for every end: what was done counts, and what failed gives its room back."""
    request = in_doubt(world)
    earlier(world, request, LONG_AGO)
    run(world, agreed(world, request, happened=happened, reference="re_1" if happened else ""))
    assert states(world, request) == ["committed" if happened else "released"]


def test_a_settlement_without_its_event_does_not_happen(
    world: World, request_in_doubt: ApprovalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settling = agreed(world, request_in_doubt)
    real = record

    def broken(kind: str, **about: object) -> None:
        if kind == "execution.settled":
            raise RuntimeError("the trail is full")
        real(kind, **about)  # type: ignore[arg-type]

    with monkeypatch.context() as full:
        full.setattr(outcomes, "record", broken)
        assert run(world, settling) == "uncertain"
    assert world.status(request_in_doubt) == "uncertain"
    assert "request.failed" not in rows(world, request_in_doubt)
    # Our own database knows that it never happened, and it is carried out after all.
    reconcile(world, settling)
    earlier(world, settling, timedelta(minutes=2))
    reconcile(world, settling)
    assert run(world, settling) == "succeeded"
    assert world.status(request_in_doubt) == "failed"


def test_what_was_settled_and_not_recorded_is_found_and_settled_once(
    world: World, request_in_doubt: ApprovalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settling = agreed(world, request_in_doubt)
    real = settle_execution.SettleExecution.execute

    def dies(*args: object, **kwargs: object) -> None:
        real(*args, **kwargs)  # type: ignore[arg-type]
        raise ConnectionError

    monkeypatch.setattr(settle_execution.SettleExecution, "execute", dies)
    assert run(world, settling) == "uncertain"
    assert world.status(request_in_doubt) == "failed"
    reconcile(world, settling)
    assert world.status(settling) == "succeeded"
    assert world.events(request_in_doubt).count("execution.settled") == 1


def test_it_never_happened_is_not_believed_while_it_may_be_under_way(world: World) -> None:
    request = in_doubt(world)
    change(world, request, backing_status=None)
    settling = agreed(world, request)
    assert run(world, settling) == "executing"
    assert world.status(request) == "uncertain"
    change(world, request, sent_at=timezone.now() - timedelta(minutes=2))
    assert run(world, settling) == "succeeded"
    assert world.status(request) == "failed"


# --- what wins --------------------------------------------------------------------------------------------


def test_the_providers_record_wins_over_what_people_found(world: World) -> None:
    """The look-up had not come by yet, so it is asked in the last moment."""
    request = in_doubt(world, "drop_after_commit")
    earlier(world, request, LONG_AGO)
    settling = agreed(world, request)
    assert run(world, settling) == "failed"
    assert "on record by now" in world.reload_as("web", settling).outcome
    assert world.status(request) == "uncertain"
    assert rows(world, request, kind="")[-1] == "reconcile"
    reconcile(world, request)
    assert world.status(request) == "succeeded"
    assert "execution.settled" not in world.events(request)


@pytest.mark.parametrize(
    "silence", [NoAnswer(), NotReached(), KeyError("operations"), CredentialNotTaken(setting="X")]
)
def test_where_the_provider_gives_no_answer_for_half_a_minute_what_people_found_stands(
    world: World, request_in_doubt: ApprovalRequest, monkeypatch: pytest.MonkeyPatch, silence: Exception
) -> None:
    settling = agreed(world, request_in_doubt)
    monkeypatch.setattr(type(actions.get("refund_payment")), "reconcile", fails(silence))
    for _ in range(settle_execution.TURNS - 1):
        assert run(world, settling) == "executing"
        assert world.status(request_in_doubt) == "uncertain"
    assert run(world, settling) == "succeeded"
    assert attempts(world, settling) == ["retry"] * (settle_execution.TURNS - 1) + ["succeeded"]
    assert world.status(request_in_doubt) == "failed"


@pytest.mark.parametrize("fault", ["rate_limited", "error_500"])
def test_a_record_wins_that_the_provider_does_not_tell_at_once(world: World, fault: str) -> None:
    """It is asked once more: what it says then is worth more than what people found."""
    request = in_doubt(world, "drop_after_commit")
    earlier(world, request, LONG_AGO)
    settling = agreed(world, request)
    world.shop.arm(fault, method="GET")
    assert run(world, settling) == "executing"
    assert world.status(request) == "uncertain"
    assert run(world, settling) == "failed"
    assert "on record by now" in world.reload_as("web", settling).outcome
    reconcile(world, request)
    assert world.status(request) == "succeeded"


def test_who_asks_to_wait_is_waited_for_however_often(
    world: World, request_in_doubt: ApprovalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settling = agreed(world, request_in_doubt)
    monkeypatch.setattr(type(actions.get("refund_payment")), "reconcile", fails(TryLater(seconds=1)))
    for _ in range(settle_execution.TURNS + 1):
        assert run(world, settling) == "executing"
    assert world.status(request_in_doubt) == "uncertain"


def test_an_attempt_that_is_under_way_is_waited_for(world: World) -> None:
    """The provider had no record of it and it is tried once more: what people settle meanwhile is not thrown away."""
    request = in_doubt(world)
    settling = agreed(world, request)
    reconcile(world, request)
    assert world.status(request) == "executing"
    assert (run(world, settling), attempts(world, settling)) == ("executing", ["retry"])
    assert run(world, request) == "succeeded"
    assert run(world, settling) == "stale"
    assert "execution.settled" not in world.events(request)


def test_what_ended_by_itself_meanwhile_is_settled_by_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = in_doubt(world, "drop_after_commit")
    earlier(world, request, LONG_AGO)
    settling = agreed(world, request)
    reconcile(world, request)
    assert run(world, settling) == "stale"
    with world.processes.acting_as("worker"):
        rejudge.reopen(settling.pk, settling.tenant_id)
    with pytest.raises(PolicyForbids, match="no longer in doubt"):
        world.vote(settling, "approve", "olga")
    assert world.status(request) == "succeeded"


def test_nor_what_ends_in_the_same_moment(
    world: World, request_in_doubt: ApprovalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settling, other = agreed(world, request_in_doubt), agreed(world, request_in_doubt)
    real = settle_execution._check_not_on_record

    def other_first(*args: object) -> None:
        monkeypatch.setattr(settle_execution, "_check_not_on_record", real)
        execute.run(other.pk, other.tenant_id)

    monkeypatch.setattr(settle_execution, "_check_not_on_record", other_first)
    assert run(world, settling) == "failed"
    assert "has failed meanwhile" in world.reload_as("web", settling).outcome
    assert world.events(request_in_doubt).count("execution.settled") == 1


def test_a_look_up_that_comes_back_after_the_settlement_changes_nothing(
    world: World, request_in_doubt: ApprovalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settling = agreed(world, request_in_doubt)
    action = type(actions.get("refund_payment"))
    real = action.reconcile

    def slow(*args: object, **kwargs: object) -> object:
        monkeypatch.setattr(action, "reconcile", real)
        execute.run(settling.pk, settling.tenant_id)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(action, "reconcile", slow)
    assert reconcile(world, request_in_doubt) is None
    assert world.status(request_in_doubt) == "failed"
    assert world.events(request_in_doubt)[-1] == "execution.failed"


# --- four eyes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("voter", "refusal"), [("opal", SelfApproval), ("lena", NotEntitled), ("ada", NotEntitled)]
)
def test_another_operator_has_to_agree(
    world: World, request_in_doubt: ApprovalRequest, voter: str, refusal: type[Exception]
) -> None:
    settling = ask(world, request_in_doubt)
    assert [stage["role"] for stage in settling.verdict["stages"]] == ["operator"]
    with pytest.raises(refusal):
        world.vote(settling, "approve", voter)
    run(world, settling)
    assert world.status(request_in_doubt) == "uncertain"


def test_who_answers_for_the_agent_neither_asks_nor_agrees(
    world: World, request_in_doubt: ApprovalRequest
) -> None:
    make_operator(world, "otto")
    with pytest.raises(PartOfIt, match="you own the agent"):
        ask(world, request_in_doubt, by="otto")
    settling = ask(world, request_in_doubt)
    with pytest.raises(SelfApproval, match="you are part of"):
        world.vote(settling, "approve", "otto")
    assert world.vote(settling, "approve", "olga").status == "approved"


def test_nor_does_the_person_on_whose_behalf_it_asked(world: World) -> None:
    facts = settle_execution.SettleFacts(
        status="uncertain",
        what="",
        in_doubt_since="",
        times_sent=1,
        last_answer="",
        no_record_since="",
        owner_id=str(world.people["otto"].pk),
        on_behalf_of_id=str(world.people["mara"].pk),
    )
    parties = settle_execution.ACTION.parties(facts)
    assert parties == {world.people["otto"].pk, world.people["mara"].pk}


def test_no_policy_weakens_it(world: World, request_in_doubt: ApprovalRequest) -> None:
    world.put_in_force(shipped() + BY_NOBODY)
    settling = ask(world, request_in_doubt)
    assert settling.verdict["kind"] == "require"
    assert [stage["role"] for stage in settling.verdict["stages"]] == ["operator"]


def test_a_policy_can_ask_for_more(world: World, request_in_doubt: ApprovalRequest) -> None:
    more = BY_NOBODY.replace("then: auto_approve", "then: { require: [ { role: finance, count: 1 } ] }")
    world.put_in_force(shipped() + more)
    settling = ask(world, request_in_doubt)
    assert world.vote(settling, "approve", "olga").status == "pending"
    assert world.vote(settling, "approve", "felix").status == "approved"


def test_nobody_pushes_it_through_alone(world: World, request_in_doubt: ApprovalRequest) -> None:
    settling = ask(world, request_in_doubt)
    assert isinstance(never_because(settling), FourEyesAlways)


def test_a_denial_leaves_it_in_doubt(world: World, request_in_doubt: ApprovalRequest) -> None:
    settling = ask(world, request_in_doubt)
    world.vote(settling, "deny", "olga", comment="The dashboard shows it, on the second page.")
    assert world.status(request_in_doubt) == "uncertain"


# --- asking -----------------------------------------------------------------------------------------------


def test_what_people_decide_on_is_looked_up(world: World, request_in_doubt: ApprovalRequest) -> None:
    settling = ask(world, request_in_doubt)
    facts = json.loads(settling.facts)
    assert (facts["status"], facts["times_sent"]) == ("uncertain", 1)
    assert facts["what"] == request_in_doubt.headline
    assert "did not answer" in facts["last_answer"]
    assert "(500)" in facts["last_answer"]
    assert facts["in_doubt_since"]
    assert facts["no_record_since"]
    assert settling.headline.startswith("It never happened, to be settled by hand: Refund 129.00 USD")


@pytest.mark.parametrize("name", ["lena", "ada", "paul", "felix"])
def test_only_operators_ask(world: World, request_in_doubt: ApprovalRequest, name: str) -> None:
    with pytest.raises(OperatorsSettle):
        ask(world, request_in_doubt, by=name)
    assert world.events(request_in_doubt)[-1] == "request.refused"


def test_another_companys_request_is_not_there(world: World, request_in_doubt: ApprovalRequest) -> None:
    with world.processes.acting_as("migrator"):
        Membership.objects.create(tenant=world.other, person=world.people["gus"], role="operator")
    with pytest.raises(NotFound):
        ask(world, request_in_doubt, by="gus")


@pytest.mark.parametrize("course", ["pending", "succeeded"])
def test_only_what_is_in_doubt_is_settled(world: World, course: str) -> None:
    request = world.submit() if course == "pending" else approved(world)
    run(world, request)
    with pytest.raises(NothingInDoubt, match=course):
        ask(world, request)


@pytest.mark.parametrize(
    ("found", "refusal"),
    [
        ({"happened": None}, FindingMissing),
        ({"happened": True}, ReferenceWrong),
        ({"happened": True, "reference": "  "}, ReferenceWrong),
        ({"happened": True, "reference": "re_1\nre_2"}, ReferenceWrong),
        ({"happened": True, "reference": "r" * 201}, ReferenceWrong),
        ({"reference": "re_1"}, ReferenceWrong),
        ({"reason": "No."}, BecauseMissing),
        ({"reason": "x" * 501}, BecauseMissing),
    ],
)
def test_a_finding_is_whole(
    world: World, request_in_doubt: ApprovalRequest, found: dict[str, object], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        ask(world, request_in_doubt, **found)  # type: ignore[arg-type]


def test_asked_twice_under_one_key_it_is_the_same_request(
    world: World, request_in_doubt: ApprovalRequest
) -> None:
    assert ask(world, request_in_doubt, key="once").pk == ask(world, request_in_doubt, key="once").pk


def test_asking_without_its_event_does_not_happen(
    world: World, request_in_doubt: ApprovalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_the_trail(monkeypatch, submit)
    with pytest.raises(RuntimeError):
        ask(world, request_in_doubt)
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        assert not ApprovalRequest.objects.filter(action="settle_execution").exists()


def test_what_ended_while_it_was_asked_for_is_refused(
    world: World, request_in_doubt: ApprovalRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = submit.submit

    def late(*args: object, **kwargs: object) -> object:
        world.force_status(request_in_doubt, "failed")
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(submit, "submit", late)
    with pytest.raises(Doomed, match="no longer in doubt"):
        ask(world, request_in_doubt)


def test_agents_are_not_offered_it(world: World) -> None:
    assert "settle_execution" not in {action.name for action in actions.every()}
    with pytest.raises(NotFound):
        world.submit(
            "settle_execution",
            request_id=str(world.tenant.pk),
            happened=False,
            provider_reference="",
            reason=FOUND,
        )


def test_what_people_ask_for_is_settled_by_our_own_records(
    world: World, request_in_doubt: ApprovalRequest
) -> None:
    settling = agreed(world, request_in_doubt)
    world.force_status(settling, "uncertain")
    with pytest.raises(NothingInDoubt):
        ask(world, settling, by="olga")


def test_one_settlement_a_request(world: World, request_in_doubt: ApprovalRequest) -> None:
    run(world, agreed(world, request_in_doubt))
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        found = Settlement.objects.get(request=request_in_doubt)
        assert (found.happened, found.reference) == (False, "")
        assert judge.stored(ApprovalRequest.objects.get(pk=found.by_id))[1].happened is False  # type: ignore[attr-defined]
    assert attempts(world, request_in_doubt) == ["uncertain"]


def no_longer_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    real = actions.get

    def get(name: str) -> actions.AnyAction:
        if name == "refund_payment":
            raise NotFound(thing="action", id=name)
        return real(name)

    monkeypatch.setattr(actions, "get", get)


def of_another_form(monkeypatch: pytest.MonkeyPatch) -> None:
    class Another(RefundArguments):
        more: str

    monkeypatch.setattr(RefundPayment, "arguments", Another)


def of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RefundPayment, "version", 2)


@pytest.mark.parametrize("change", [no_longer_offered, of_another_form, of_another_version])
def test_what_nobody_can_ask_about_any_more_is_left_to_people_who_can_settle_it(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Another version may ask another provider: its "no record" would be no proof, and its attempt a second one."""
    request = in_doubt(world)
    earlier(world, request, timedelta(hours=30))
    settling = agreed(world, request, happened=False)
    change(monkeypatch)
    with world.processes.acting_as("worker"), pytest.raises(outbox.Postponed, match="people settle it"):
        reconciling.run(request.pk, request.tenant_id)
    assert world.status(request) == "uncertain"
    assert run(world, settling) == "succeeded"
    assert world.status(request) == "failed"


def test_an_attempt_after_doubt_is_not_made_by_another_version(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = in_doubt(world)
    world.force_status(request, "executing")
    of_another_version(monkeypatch)
    assert run(world, request) == "uncertain"
    assert len(world.ledger(request)) <= 1
