"""A draft that counts otherwise is tried on what it would have counted then, from the account of the approvals."""

from datetime import UTC, datetime, timedelta

import pytest

from approvals import judge
from approvals.errors import TooMuchToCount
from approvals.models import ApprovalRequest
from approvals.queries import history
from policies.documents import Document, load, shipped
from policies.simulation import Change, Changed, Decided, NotReproduced, backtest
from tests import courses
from tests.budgets.conftest import SetPolicy, file_as, set_policy, usage
from tests.exercising import exercise
from tests.world import World

__all__ = ["set_policy"]
SINCE = datetime.now(UTC) - timedelta(hours=1)
CUSTOMER, ORDER = usage("of_a_customer", per="customer"), usage("of_an_order", per="order", sums="requests")
ADDS_UP = (
    "  refund_payment:\n    rules:\n      - name: adds-up\n        when: {when}\n        because: It adds up.\n"
    "        then: {{ require: [{{ role: finance, count: 1 }}, {{ role: support_lead, count: 1 }}] }}\n"
)


def draft(*usages: str, when: str) -> Document:
    source = shipped().replace("actions:\n", f"usage:\n{''.join(usages)}actions:\n")
    source = source.replace("  refund_payment:\n    rules:\n", ADDS_UP.format(when=when))
    return load(source, judge.signatures())


def refund(world: World, amount: int, ends: str = "succeeded") -> ApprovalRequest:
    request = file_as(world, world.agent, amount_minor=amount)
    if ends == "denied":
        return world.vote(request, "deny", "lena")
    courses.approve(world, request)
    if ends == "succeeded":
        courses.run(world, request)
    if ends == "revoked":
        courses.withdraw(world, request)
    return request


def tried(world: World, document: Document, process: str = "web") -> tuple[list[Changed], list[Decided]]:
    """What it judges otherwise; and every request with what the draft counts of it. Nothing goes unexplained."""
    with world.processes.acting_as(process):
        current = judge.document_of(history.in_force(world.tenant.pk))
        every = list(history.requests_decided_since(world.tenant.pk, SINCE, document, current))
    requests = [each for each in every if isinstance(each, Decided)]
    findings = list(backtest(document, current, requests))
    assert not [each for each in findings if isinstance(each, NotReproduced)]
    return [each for each in findings if isinstance(each, Changed)], requests


def counted(document: Document, requests: list[Decided]) -> list[dict[str, int]]:
    return [dict(each.usage[document.digest]) for each in requests]


@pytest.mark.parametrize("process", ["web", "migrator"])
def test_a_new_sum_is_worked_out_for_each_moment_of_the_past(world: World, process: str) -> None:
    document = draft(
        CUSTOMER, ORDER, when="usage.of_a_customer + args.amount_minor > 700 || usage.of_an_order > 9"
    )
    first, _denied, _third, last = (
        refund(world, 300),
        refund(world, 5000, "denied"),
        refund(world, 400, "approved"),
        refund(world, 1),
    )
    changed, requests = tried(world, document, process)
    assert counted(document, requests) == [
        {"of_a_customer": of_customer, "of_an_order": of_order}
        for of_customer, of_order in ((0, 0), (300, 1), (300, 1), (700, 2))
    ]
    assert [(each.request.amount_minor, each.change) for each in changed] == [
        (5000, Change.ASKS_MORE),
        (1, Change.ASKS_MORE),
    ]
    assert {str(first.pk), str(last.pk)} < {each.id for each in requests}


def test_what_was_taken_back_counts_for_as_long_as_it_stood(world: World) -> None:
    document = draft(CUSTOMER, when="usage.of_a_customer > 100")
    one = refund(world, 500, "approved")
    refund(world, 10)
    courses.withdraw(world, one)
    refund(world, 20)
    _, requests = tried(world, document)
    # The one that was withdrawn was decided too, and is not counted for itself.
    assert [each["of_a_customer"] for each in counted(document, requests)] == [0, 500, 10]


def test_a_name_that_counts_something_else_now_is_counted_anew(world: World, set_policy: SetPolicy) -> None:
    """What was recorded under it is another sum: with that the draft would seem to change nothing."""
    set_policy(usage("so_far", per="order"), refund_payment="usage.so_far > 100000")
    refund(world, 300)
    refund(world, 400)
    document = draft(
        usage("so_far", per="customer", sums="requests"), when="usage.so_far >= 1 && args.amount_minor > 5"
    )
    changed, requests = tried(world, document)
    assert [each["so_far"] for each in counted(document, requests)] == [0, 1]
    assert [each.change for each in changed] == [Change.ASKS_MORE]


def test_what_was_recorded_of_the_same_sum_is_taken_as_it_stands(world: World, set_policy: SetPolicy) -> None:
    set_policy(CUSTOMER, refund_payment="usage.of_a_customer > 100000")
    request = refund(world, 300)
    with world.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(usage={"of_a_customer": 77}, revision=2)
    capped = CUSTOMER + "    cap: { USD: 100 }\n"
    _, requests = tried(world, draft(capped, when="usage.of_a_customer > 100000"))
    assert [(each.context.usage, each.usage) for each in requests] == [({"of_a_customer": 77}, {})]


def test_the_account_says_again_what_every_request_was_told(world: World, set_policy: SetPolicy) -> None:
    set_policy(CUSTOMER, ORDER, refund_payment="usage.of_a_customer > 100000 || usage.of_an_order > 900")
    for amount, ends in (
        (300, "succeeded"),
        (5, "approved"),
        (9, "revoked"),
        (7, "denied"),
        (11, "succeeded"),
    ):
        refund(world, amount, ends)
    # By other names, so that nothing of what was recorded is taken.
    same = draft(
        CUSTOMER.replace("of_a_customer", "a"), ORDER.replace("of_an_order", "b"), when="usage.a > usage.b"
    )
    _, requests = tried(world, same)
    assert [tuple(each.values()) for each in counted(same, requests)] == [
        (each.context.usage["of_a_customer"], each.context.usage["of_an_order"]) for each in requests
    ]


def test_another_tenants_approvals_are_not_counted(world: World) -> None:
    document = draft(usage("all_of_it", of="", per="tenant"), when="usage.all_of_it > 100")
    refund(world, 300)
    with world.processes.acting_as("web"):
        assert list(history.requests_decided_since(world.other.pk, SINCE, document)) == []
    _, requests = tried(world, document)
    assert counted(document, requests) == [{"all_of_it": 0}]


def test_a_page_does_not_read_more_approvals_than_it_can_keep(world: World) -> None:
    document = draft(CUSTOMER, when="usage.of_a_customer > 100")
    for _ in range(2):
        refund(world, 300)
    with world.processes.acting_as("web"):
        assert len(list(history.requests_decided_since(world.tenant.pk, SINCE, document, most=2))) == 2
        with pytest.raises(TooMuchToCount, match="more than 1 approvals"):
            list(history.requests_decided_since(world.tenant.pk, SINCE, document, most=1))
        # What was counted before needs none.
        assert len(list(history.requests_decided_since(world.tenant.pk, SINCE, most=1))) == 2


def test_a_day_before_all_days_is_one_too(world: World) -> None:
    document = draft(CUSTOMER, when="usage.of_a_customer > 100")
    refund(world, 300)
    with world.processes.acting_as("web"):
        since = datetime(1, 1, 1, tzinfo=UTC)
        assert len(list(history.requests_decided_since(world.tenant.pk, since, document))) == 1


def test_an_exercise_is_no_history(world: World) -> None:
    world.vote(exercise(world), "deny", "lena")
    refund(world, 300)
    _, requests = tried(world, draft(CUSTOMER, when="usage.of_a_customer > 100"))
    assert [each.amount_minor for each in requests] == [300]
    with world.processes.acting_as("web"):
        assert history.decided_since(world.tenant.pk, SINCE) == 1
