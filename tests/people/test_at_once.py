"""Two at the same instant, each with a connection of its own: exactly one outcome, whoever was first."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from approvals import claims, clock, decide, delegate, judge, submit
from approvals.models import ApprovalRequest
from policies.verdicts import Stage
from tests.attacks.test_roles import scoped
from tests.people.asking import HOUR, asking, at_once, away, outcome_events, reload, shift, votes
from tests.world import TRACE, World

AGAIN = pytest.mark.parametrize("again", range(6))
Do = tuple[str, Callable[[], ApprovalRequest]]


def deciding(world: World, request: ApprovalRequest, name: str, decision: str) -> Do:
    with world.processes.acting_as("web"):
        by = world.reviewer(name)
    vote = partial(
        decide.vote, request.pk, decision, by=by, seen=judge.seen(request), comment="At once.", trace_id=TRACE
    )
    return "web", vote


@AGAIN
@pytest.mark.parametrize(("first", "second"), [("approve", "approve"), ("approve", "deny"), ("deny", "deny")])
def test_two_reviewers_at_the_same_instant_make_one_outcome(
    world: World, first: str, second: str, again: int
) -> None:
    request = world.submit()
    outcomes = at_once(
        world, deciding(world, request, "lena", first), deciding(world, request, "mara", second)
    )
    won = world.status(request)
    assert sorted(outcomes) == sorted([won, "move_refused"])
    assert won in {{"approve": "approved", "deny": "denied"}[one] for one in (first, second)}
    assert outcome_events(world, request) == [f"request.{won}"]
    assert len(votes(world, request)) == 1


@AGAIN
def test_two_of_whom_one_stands_in_for_the_other_count_once(world: World, again: int) -> None:
    request = asking(world, Stage("support_lead", 2))
    away(world, "lena", "mara")
    outcomes = at_once(
        world, deciding(world, request, "lena", "approve"), deciding(world, request, "mara", "approve")
    )
    assert sorted(outcomes) == ["counted_already", "pending"]
    assert world.status(request) == "pending"
    assert len(votes(world, request)) == 1


@AGAIN
def test_one_person_twice_counts_once(world: World, again: int) -> None:
    request = asking(world, Stage("support_lead", 2))
    outcomes = at_once(world, *(deciding(world, request, "lena", "approve") for _ in range(2)))
    assert sorted(outcomes) == ["already_voted", "pending"]
    assert len(votes(world, request)) == 1


@AGAIN
def test_two_last_places_are_filled_by_two(world: World, again: int) -> None:
    request = asking(world, Stage("support_lead", 2))
    outcomes = at_once(
        world, deciding(world, request, "lena", "approve"), deciding(world, request, "mara", "approve")
    )
    assert sorted(outcomes) == ["approved", "pending"]
    assert outcome_events(world, request) == ["request.approved"]


@AGAIN
@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_a_decision_and_the_clock_make_one_outcome(world: World, decision: str, again: int) -> None:
    request = world.submit()
    vote = deciding(world, request, "lena", decision)
    shift(world, request, expires_at=timezone.now() + timedelta(milliseconds=100 + 20 * again))
    voted, expired = at_once(world, vote, ("sweeper", lambda: wait_and_expire(request)))
    won = world.status(request)
    assert (voted, expired) in {("move_refused", "True"), (won, "False")}
    assert outcome_events(world, request) == [f"request.{won}"]
    assert won == "expired" if expired == "True" else won in {"approved", "denied"}


def wait_and_expire(request: ApprovalRequest) -> bool:
    """The clock asks until it expired, or there is nothing left to expire."""
    until = timezone.now() + timedelta(seconds=2)
    while timezone.now() < until:
        if clock.expire(request.pk, request.tenant_id):
            return True
    return False


@AGAIN
def test_an_approval_and_its_withdrawal_make_one_outcome(world: World, again: int) -> None:
    """An approved request may still be withdrawn: then both happened, one after the other."""
    request = world.submit()
    withdraw = partial(submit.withdraw, request.pk, by=world.agent, trace_id=TRACE)
    voted, taken_back = at_once(world, deciding(world, request, "lena", "approve"), ("door", withdraw))
    assert taken_back == world.status(request) == "withdrawn"
    told = outcome_events(world, request)
    assert told == (
        ["request.withdrawn"] if voted == "move_refused" else ["request.approved", "request.withdrawn"]
    )


@AGAIN
def test_a_denial_and_a_withdrawal_make_one_outcome(world: World, again: int) -> None:
    request = world.submit()
    withdraw = partial(submit.withdraw, request.pk, by=world.agent, trace_id=TRACE)
    outcomes = at_once(world, deciding(world, request, "lena", "deny"), ("door", withdraw))
    won = world.status(request)
    assert sorted(outcomes) == sorted(["move_refused", won])
    assert outcome_events(world, request) == [f"request.{won}"]


@AGAIN
def test_two_who_claim_it_at_the_same_instant_leave_one(world: World, again: int) -> None:
    request = world.submit()

    def claiming(name: str) -> Do:
        with world.processes.acting_as("web"):
            by = world.reviewer(name)

        def claim() -> ApprovalRequest:
            return claims.claim(request.pk, by=by).request

        return "web", claim

    assert sorted(at_once(world, claiming("lena"), claiming("mara"))) == ["looked_at", "pending"]
    assert reload(world, request).status == "pending"
    assert world.events(request).count("claim.taken") == 1


def test_whoever_leaves_waits_for_a_decision_on_what_they_look_at(world: World) -> None:
    """The decision has the request and is about to end the claim: whoever passes the claim on must not have it yet."""
    request = world.submit()
    with world.processes.acting_as("web"):
        claims.claim(request.pk, by=world.reviewer("lena"))
        lena = world.reviewer("lena")

    def leave() -> ApprovalRequest:
        delegate.delegate(world.people["mara"].pk, ends_at=timezone.now() + HOUR, by=lena)
        return reload(world, request)

    with world.processes.cursor("web") as deciding, ThreadPoolExecutor(1) as pool:
        scoped(deciding, world)
        deciding.execute("SELECT FROM approval_request WHERE id = %s FOR UPDATE", (request.pk,))
        leaving = pool.submit(at_once, world, ("web", leave))
        until = time.monotonic() + 10
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        with world.processes.cursor("admin") as shell:
            while shell.execute(waits).fetchone() == (0,) and time.monotonic() < until:
                time.sleep(0.05)
        deciding.execute("UPDATE claim SET released_at = now() WHERE request_id = %s", (request.pk,))
        deciding.connection.commit()
        assert leaving.result() == ["pending"]
