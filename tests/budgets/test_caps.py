"""A cap holds: against fifty workers at once, against people, against a newer policy, and against splitting."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from approvals import decide, execute, judge, outbox, rejudge, submit
from approvals.audit.models import Event
from approvals.audit.queries import trail
from approvals.database import tenant_scope
from approvals.errors import BudgetExceeded, BudgetsBusy, BudgetsUnknown, Refusal
from approvals.identity.requester import reviewer
from approvals.models import ApprovalRequest, Reservation
from tests import courses
from tests.budgets.conftest import CREDIT, SetPolicy, file_as, reservations, states, usage
from tests.world import REFUND, TRACE, World, break_the_trail

AT_ONCE = 50
CAP = 5000
FIT = CAP // CREDIT["amount_minor"]
GESTURES = usage("gestures", of="issue_store_credit", per="tenant", cap=f"{{ USD: {CAP} }}")


def at_once(
    world: World, process: str, work: Callable[[ApprovalRequest], object], all_of: list[ApprovalRequest]
) -> list[object]:
    """Each request is worked on by a thread of its own, all at the same moment: what they return, or the refusal."""
    start = threading.Barrier(len(all_of))

    def one(request: ApprovalRequest) -> object:
        start.wait()
        try:
            return work(request)
        except Refusal as refusal:
            return refusal
        finally:
            connection.close()

    with world.processes.acting_as(process), ThreadPoolExecutor(len(all_of)) as pool:
        return list(pool.map(one, all_of))


def gestures(world: World, **changes: Any) -> list[ApprovalRequest]:
    return [file_as(world, world.agent, "issue_store_credit", **changes) for _ in range(AT_ONCE)]


def reserved(world: World) -> int:
    return sum(one.amount_minor for one in reservations(world) if one.released_at is None)


def in_status(world: World, status: str) -> int:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return ApprovalRequest.objects.filter(status=status).count()


def paid_out(world: World) -> int:
    """What the shop really did, by its own ledger."""
    entries = world.shop.control("GET", "/v1/ledger").json()["entries"]
    return sum(entry["amount_minor"] for entry in entries if entry["kind"] == "store_credit")


# --- fifty at once ----------------------------------------------------------------------------------------


def test_fifty_workers_at_once_approve_by_rule_exactly_what_the_cap_leaves(
    world: World, set_policy: SetPolicy, many: None
) -> None:
    set_policy(GESTURES)
    requests = gestures(world)
    at_once(world, "worker", lambda request: rejudge.approve_by_rule(request.pk, request.tenant_id), requests)
    assert in_status(world, "approved") == FIT
    assert reserved(world) == CAP
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        rest = ApprovalRequest.objects.filter(status="pending")
        assert {(one.revision, one.verdict["kind"], one.verdict["rule"]) for one in rest} == {
            (2, "require", "budget")
        }
        assert {one.usage["gestures"] for one in rest} == {CAP}


def test_fifty_people_at_once_approve_exactly_what_the_cap_leaves(
    world: World, set_policy: SetPolicy, many: None
) -> None:
    set_policy(GESTURES.replace(str(CAP), "25000"))
    requests = gestures(world, amount_minor=2500)
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        lena = reviewer(world.people["lena"], world.tenant.pk)

    def vote(request: ApprovalRequest) -> object:
        return decide.vote(request.pk, "approve", by=lena, seen=judge.seen(request), trace_id=TRACE)

    answers = at_once(world, "web", vote, requests)
    refused = [one for one in answers if isinstance(one, Refusal)]
    assert {type(one) for one in refused} == {BudgetExceeded}
    assert in_status(world, "approved") == AT_ONCE - len(refused) == 10
    assert reserved(world) == 25000


def test_fifty_workers_that_approve_carry_out_and_judge_anew_never_pay_out_more_than_the_cap(
    world: World, set_policy: SetPolicy, many: None
) -> None:
    """Every credit that is paid makes the others stale, which gives their reservations back and takes new ones."""
    set_policy(GESTURES)
    requests = gestures(world)

    def turn(request: ApprovalRequest) -> None:
        rejudge.approve_by_rule(request.pk, request.tenant_id)
        try:
            execute.run(request.pk, request.tenant_id)
        except outbox.Postponed:
            return
        rejudge.reopen(request.pk, request.tenant_id)

    def turns(request: ApprovalRequest) -> None:
        for _ in range(4):
            turn(request)

    at_once(world, "worker", turns, requests)
    assert paid_out(world) <= reserved(world) <= CAP
    for request in requests:
        with world.processes.acting_as("worker"):
            turn(request)
            turn(request)
    assert paid_out(world) == sum(one.amount_minor for one in reservations(world) if one.committed_at)
    assert paid_out(world) <= CAP


# --- people -----------------------------------------------------------------------------------------------


def test_a_person_is_told_what_is_left_and_neither_vote_nor_approval_is_taken(
    world: World, set_policy: SetPolicy
) -> None:
    set_policy(usage("refunds", per="customer", cap="{ USD: 10000 }"))
    world.vote(world.submit(amount_minor=6000), "approve", "lena")
    second = world.submit(amount_minor=5000)
    with pytest.raises(BudgetExceeded) as caught:
        world.vote(second, "approve", "lena")
    assert str(caught.value).startswith(
        "The budget “refunds” has 40.00 USD left of 100.00 USD in 24 hours, and this takes 50.00 USD."
    )
    assert world.status(second) == "pending"
    assert world.events(second) == ["request.created", "vote.refused"]
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        assert second.votes.count() == 0
        event = Event.objects.get(request_id=second.pk, kind="vote.refused")
        assert '"code":"budget_exceeded"' in event.text
    assert states(world, second) == []
    assert world.vote(second, "deny", "lena", comment="Too much today.").status == "denied"


def test_what_is_released_makes_room(world: World, set_policy: SetPolicy) -> None:
    set_policy(usage("refunds", per="agent", cap="{ USD: 10000 }"))
    first = world.vote(world.submit(amount_minor=6000), "approve", "lena")
    second = world.submit(amount_minor=6000)
    with pytest.raises(BudgetExceeded):
        world.vote(second, "approve", "lena")
    courses.withdraw(world, first)
    assert world.vote(second, "approve", "lena").status == "approved"


def test_currencies_do_not_mix_and_one_without_a_cap_has_no_budget(
    world: World, set_policy: SetPolicy
) -> None:
    set_policy(usage("all", of="", per="tenant", cap="{ USD: 10000, EUR: 10000 }"))
    world.vote(world.submit(amount_minor=10000), "approve", "lena")
    in_euro = file_as(
        world, world.agent, "issue_store_credit", customer_id="cus_1002", amount_minor=9000, currency="EUR"
    )
    assert in_euro.usage == {"all": 0}
    assert world.vote(in_euro, "approve", "lena").status == "approved"
    in_yen = file_as(
        world, world.agent, "issue_store_credit", customer_id="cus_1004", amount_minor=900, currency="JPY"
    )
    with pytest.raises(BudgetExceeded, match="allows nothing in JPY"):
        world.vote(in_yen, "approve", "lena")


def test_requests_are_counted_too(world: World, set_policy: SetPolicy) -> None:
    set_policy(usage("asked", of="", per="principal", cap="2", sums="requests"))
    for _ in range(2):
        world.vote(world.submit(amount_minor=100), "approve", "lena")
    third = file_as(world, world.another_agent(), amount_minor=100)  # of the same owner
    assert third.usage == {"asked": 2}
    with pytest.raises(BudgetExceeded, match="0 requests left of 2 requests in 24 hours"):
        world.vote(third, "approve", "lena")


def test_whoever_waits_too_long_for_a_turn_decides_nothing(world: World, set_policy: SetPolicy) -> None:
    set_policy(usage("all", of="", per="tenant", cap="{ USD: 20000 }"))
    request = world.submit()
    key = f"budget:{world.tenant.pk}:tenant={world.tenant.pk}:USD"
    with world.processes.cursor("web") as shell:
        shell.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
        with pytest.raises(BudgetsBusy):
            world.vote(request, "approve", "lena")
    assert world.status(request) == "pending"
    assert world.vote(request, "approve", "lena").status == "approved"


# --- rules ------------------------------------------------------------------------------------------------


def test_a_rule_that_would_pass_a_cap_asks_people_already_when_it_is_filed(
    world: World, set_policy: SetPolicy
) -> None:
    set_policy(GESTURES.replace(str(CAP), "900"))
    first = file_as(world, world.agent, "issue_store_credit")
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(first.pk, first.tenant_id)
    second = file_as(world, world.agent, "issue_store_credit")
    assert second.verdict["rule"] == "budget"
    assert second.verdict["stages"] == [{"role": "support_lead", "count": 1, "step": 1}]
    assert "4.00 USD left of 9.00 USD" in second.verdict["because"]
    assert second.usage == {"gestures": 500}


def test_a_cap_that_is_reached_before_the_rule_approves_means_that_people_decide(
    world: World, set_policy: SetPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_policy(GESTURES.replace(str(CAP), "900"))
    first, second = (file_as(world, world.agent, "issue_store_credit") for _ in range(2))
    assert second.verdict["kind"] == "auto_approve"
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(first.pk, first.tenant_id)
    with monkeypatch.context() as broken:
        break_the_trail(broken, rejudge)
        with world.processes.acting_as("worker"), pytest.raises(RuntimeError, match="trail"):
            rejudge.approve_by_rule(second.pk, second.tenant_id)
    assert world.reload_as("web", second).verdict["kind"] == "auto_approve"
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(second.pk, second.tenant_id)
    again = world.reload_as("web", second)
    assert (again.status, again.revision, again.verdict["rule"]) == ("pending", 2, "budget")
    assert again.usage == {"gestures": 500}
    assert world.events(second) == ["request.created", "request.rejudged"]


# --- splitting --------------------------------------------------------------------------------------------

ADDS_UP = "usage.refunds + args.amount_minor > 10000"


def two_that_add_up(world: World) -> tuple[ApprovalRequest, ApprovalRequest]:
    """Two refunds to one customer, of two orders, by two agents, each small."""
    return (
        file_as(world, world.agent, payment_id="pay_10001", amount_minor=8000),
        file_as(world, world.another_agent(), payment_id="pay_10002", amount_minor=4000),
    )


def roles_asked(request: ApprovalRequest) -> set[str]:
    return {stage["role"] for stage in request.verdict["stages"]}


def test_what_is_split_over_two_agents_and_two_orders_of_one_customer_adds_up(
    world: World, set_policy: SetPolicy
) -> None:
    set_policy(usage("refunds", per="customer"), refund_payment=ADDS_UP)
    first = file_as(world, world.agent, payment_id="pay_10001", amount_minor=8000)
    assert roles_asked(first) == {"support_lead"}
    world.vote(first, "approve", "lena")
    second = file_as(world, world.another_agent(), payment_id="pay_10002", amount_minor=4000)
    assert (second.usage, roles_asked(second)) == ({"refunds": 8000}, {"support_lead", "finance"})
    elsewhere = file_as(world, world.agent, payment_id="pay_10008", amount_minor=1000)
    assert elsewhere.usage == {"refunds": 0}


@pytest.mark.parametrize(("per", "adds_up"), [("order", True), ("agent", False), ("customer, agent", False)])
def test_a_document_says_across_what_it_adds_up(
    world: World, set_policy: SetPolicy, per: str, adds_up: bool
) -> None:
    set_policy(usage("refunds", per=per), refund_payment=ADDS_UP.replace("10000", "12000"))
    world.vote(file_as(world, world.agent, amount_minor=6500), "approve", "lena")
    second = file_as(world, world.another_agent(), amount_minor=6400)
    assert roles_asked(second) == ({"support_lead", "finance"} if adds_up else {"support_lead"})


def test_of_two_that_were_asked_for_together_the_second_goes_back_and_the_first_is_carried_out(
    world: World, set_policy: SetPolicy
) -> None:
    set_policy(usage("refunds", per="customer"), refund_payment=ADDS_UP)
    first, second = two_that_add_up(world)
    assert roles_asked(first) == roles_asked(second) == {"support_lead"}
    for request in (first, second):
        world.vote(request, "approve", "lena")
    for request in (second, first):
        courses.run(world, request)
    assert (world.status(first), world.status(second)) == ("succeeded", "stale")
    again = world.reload_as("web", courses.reopen(world, second))
    assert roles_asked(again) == {"support_lead", "finance"}
    assert again.usage == {"refunds": 8000}


# --- a newer policy ---------------------------------------------------------------------------------------


def test_a_cap_that_came_after_the_approval_is_kept_too(world: World, set_policy: SetPolicy) -> None:
    first, second = (world.vote(world.submit(amount_minor=5000), "approve", "lena") for _ in range(2))
    set_policy(usage("newer", per="customer", cap="{ USD: 9000 }"))
    courses.run(world, second)
    assert (world.status(second), states(world, second)) == ("stale", ["released"])
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        (event,) = trail(second.tenant_id, second.pk, kind="request.stale")
        assert "The budget “newer” has 40.00 USD left of 90.00 USD in 24 hours" in str(event.personal)
    courses.run(world, first)
    assert world.status(first) == "succeeded"


def test_a_new_sum_counts_what_was_approved_before_it_was_written(
    world: World, set_policy: SetPolicy
) -> None:
    courses.succeeded(world)
    set_policy(usage("newer", per="agent", cap="{ USD: 9000 }"))
    assert world.submit(amount_minor=100).usage == {"newer": 5000}


def test_nothing_is_approved_or_carried_out_under_budgets_that_cannot_be_read(world: World) -> None:
    before, request = courses.approved(world), world.submit(amount_minor=100)
    world.put_in_force("policy: 99\nusage: []\n")
    with pytest.raises(BudgetsUnknown):
        world.vote(request, "approve", "lena")
    courses.run(world, before)
    assert (world.status(request), world.status(before)) == ("pending", "stale")
    assert world.ledger(before) == []


# --- what it costs ----------------------------------------------------------------------------------------


def test_a_policy_without_usage_costs_a_filing_no_statement_and_one_with_it_one(
    world: World, set_policy: SetPolicy
) -> None:
    sent: list[str] = []

    def noted(execute: Callable[..., object], sql: str, *rest: object) -> object:
        sent.append(str(sql))
        return execute(sql, *rest)

    def statements(*usages: str) -> list[str]:
        set_policy(*usages)
        with world.processes.acting_as("door"):
            for _ in range(2):  # what is remembered from the first time is not asked again
                sent.clear()
                with connection.execute_wrapper(noted):
                    submit.submit("refund_payment", REFUND, by=world.agent, trace_id=TRACE)
        return list(sent)

    without = statements()
    one_more = statements(
        usage("refunds", per="customer", cap="{ USD: 99999999 }"),
        usage("asked", of="", per="agent", cap="99", sums="requests"),
    )
    assert len([sql for sql in one_more if "reservation_use" in sql]) == 1
    assert not any("reservation" in sql for sql in without)


def test_a_request_is_not_what_was_filed_when_it_is_about_somebody_else(world: World) -> None:
    request = world.submit()
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET subjects = '{}', revision = revision + 1 WHERE id = %s", [request.pk]
        )
    with pytest.raises(Refusal, match="whom it is about does not fit its arguments"):
        world.vote(request, "approve", "lena")
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        assert not Reservation.objects.exists()
