"""How long an approval holds: by the rule then and by the rule at its execution, the shorter of both."""

from datetime import timedelta

import pytest

from approvals import rejudge
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Execution
from policies.documents import shipped
from policies.verdicts import VALID_FOR
from tests.breaking import company, push
from tests.people.asking import HOUR, LEAD, asking
from tests.switches.conftest import fresh, operators
from tests.switches.stops import Operators, sweep
from tests.test_decide import CREDIT
from tests.test_execute import run
from tests.world import World, unguarded

__all__ = ["company", "fresh", "operators"]

USUAL = 'because: "Every refund is agreed to by a support lead."\n        then:\n'
MINUTE = timedelta(minutes=1)


def now_holds(world: World, valid_for: str) -> None:
    text = shipped().replace(USUAL, f"{USUAL}          valid_for: {valid_for}\n")
    assert text != shipped()
    world.put_in_force(text)


def ago(world: World, request: ApprovalRequest, by: timedelta) -> None:
    """Time passes: as seen from the approval, everything is longer ago."""
    with world.processes.cursor("admin") as shell, unguarded(shell):
        shell.execute(
            "UPDATE approval_request SET decided_at = decided_at - %(by)s, expires_at = expires_at - %(by)s,"
            " frozen_at = frozen_at - %(by)s WHERE id = %(id)s",
            {"by": by, "id": request.pk},
        )


def why(world: World, request: ApprovalRequest) -> str:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return Execution.objects.filter(request=request).latest("number").detail


def approved(world: World) -> ApprovalRequest:
    request = world.submit()
    assert world.vote(request, "approve", "lena").status == "approved"
    return request


def test_an_approval_that_is_older_than_the_policy_now_lets_it_be_is_not_carried_out(world: World) -> None:
    request = approved(world)
    ago(world, request, 2 * HOUR)
    now_holds(world, "10m")
    run(world, request)
    assert (world.status(request), world.ledger(request)) == ("stale", [])
    assert why(world, request) == "the approval is too old: by the policy now it holds for 10 minutes"


@pytest.mark.parametrize("valid_for", ["10m", "7d"])
def test_one_that_is_not_is_carried_out(world: World, valid_for: str) -> None:
    request = approved(world)
    ago(world, request, 9 * MINUTE)
    now_holds(world, valid_for)
    run(world, request)
    assert world.status(request) == "succeeded"


def test_a_policy_that_is_more_generous_now_gives_an_approval_no_more_time(world: World) -> None:
    request = asking(world, LEAD, valid_for=10 * MINUTE)
    world.vote(request, "approve", "lena")
    ago(world, request, 11 * MINUTE)
    run(world, request)
    assert (world.status(request), world.ledger(request)) == ("approved", [])  # the sweeper will expire it


@pytest.mark.parametrize(("ran", "status"), [(9, "succeeded"), (11, "stale")])
def test_the_time_for_which_a_switch_held_it_does_not_count(
    world: World, operators: Operators, ran: int, status: str
) -> None:
    request = approved(world)
    ago(world, request, ran * MINUTE)
    switch = operators.stop()
    sweep(world)
    ago(world, request, 100 * HOUR)
    operators.go_on(switch)
    now_holds(world, "10m")
    if status == "stale":  # where the sweeper has not set the clock on yet, it is the same
        sweep(world)
    run(world, request)
    assert world.status(request) == status


@pytest.mark.parametrize(("age", "status"), [(VALID_FOR - MINUTE, "succeeded"), (VALID_FOR, "approved")])
def test_what_a_rule_approved_holds_as_long_as_ever(world: World, age: timedelta, status: str) -> None:
    request = world.submit("issue_store_credit", **CREDIT)
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    ago(world, request, age)
    now_holds(world, "10m")  # of refunds
    run(world, request)
    assert world.status(request) == status


@pytest.mark.parametrize(("valid_for", "status"), [("10m", "succeeded"), ("2m", "stale")])
def test_a_broken_glass_holds_no_longer_than_an_approval_would_now(
    company: World, valid_for: str, status: str
) -> None:
    request = push(company, company.submit())
    ago(company, request, 3 * MINUTE)
    now_holds(company, valid_for)
    run(company, request)
    assert company.status(request) == status
