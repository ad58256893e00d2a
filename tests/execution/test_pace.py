"""How many attempts at one action are under way at once, and begin within a minute: exact, however many workers ask."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import cycle
from threading import Barrier
from typing import TypeVar

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from approvals import actions, execute, outbox, pace, submit
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Execution
from approvals.pace import Pace
from tests.test_execute import approved, attempts, change_execution, crash_at, run
from tests.world import REFUND, TRACE, World

T = TypeVar("T")
NONE = Pace(None, None)


def limited(monkeypatch: pytest.MonkeyPatch, at_once: int | None, a_minute: int | None) -> None:
    monkeypatch.setattr(settings, "EXECUTION_LIMITS", {"refund_payment": (at_once, a_minute)})


def several(world: World, number: int) -> list[ApprovalRequest]:
    """Of three payments in turn: carrying one out changes nothing for the next two."""
    paid = (("pay_10001", "USD"), ("pay_10003", "EUR"), ("pay_10005", "GBP"))
    return [
        approved(world, payment_id=payment, currency=currency, amount_minor=100 + each)
        for each, (payment, currency) in zip(range(number), cycle(paid), strict=False)
    ]


def together(world: World, do: Callable[[ApprovalRequest], T], requests: list[ApprovalRequest]) -> list[T]:
    """In threads with connections of their own, all at the same instant."""
    start = Barrier(len(requests))

    def one(request: ApprovalRequest) -> T:
        try:
            connection.ensure_connection()
            start.wait()
            return do(request)
        finally:
            connection.close()

    with world.processes.acting_as("worker"), ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(one, requests))


def claims(request: ApprovalRequest) -> outbox.Postponed | None:
    try:
        assert execute._claim(request.pk, request.tenant_id) is not None
    except outbox.Postponed as postponed:
        return postponed
    return None


def begun(world: World) -> int:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        return Execution.objects.count()


@pytest.mark.parametrize(("at_once", "a_minute"), [(2, None), (None, 2), (2, 5), (5, 2)])
def test_of_many_workers_that_claim_at_the_same_instant_so_many_get_a_turn(
    world: World, monkeypatch: pytest.MonkeyPatch, at_once: int | None, a_minute: int | None
) -> None:
    limited(monkeypatch, at_once, a_minute)
    told = together(world, claims, several(world, 7))
    assert told.count(None) == begun(world) == 2


def test_without_a_limit_all_of_them_do(world: World) -> None:
    assert together(world, claims, several(world, 4)) == [None] * 4


def test_who_has_to_wait_leaves_no_trace_and_is_carried_out_when_another_one_has_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, 1, None)
    first, second = several(world, 2)
    crash_at(world, monkeypatch, first, "_call")
    before = world.events(second)
    with pytest.raises(
        outbox.Postponed, match="as many as may be carried out at once are under way: 1"
    ) as wait:
        run(world, second)
    assert pace.BUSY_SECONDS <= wait.value.seconds <= pace.BUSY_SECONDS * 1.25
    assert (world.status(second), world.events(second), attempts(world, second)) == ("approved", before, [])
    change_execution(world, first, lease_until=timezone.now() - timedelta(seconds=1))
    run(world, first)
    run(world, second)
    assert (world.status(first), world.status(second)) == ("succeeded", "succeeded")


def test_over_the_rate_it_waits_until_the_oldest_of_a_minute_is_a_minute_old(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, None, 2)
    first, second, third = several(world, 3)
    run(world, first)
    change_execution(world, first, started_at=timezone.now() - timedelta(seconds=20))
    run(world, second)
    with pytest.raises(outbox.Postponed, match="as many as may begin in a minute have: 2") as wait:
        run(world, third)
    assert 30 < wait.value.seconds <= 40 * 1.25
    change_execution(world, first, started_at=timezone.now() - timedelta(seconds=61))
    run(world, third)
    assert world.status(third) == "succeeded"


def test_an_attempt_again_counts_as_one_that_began(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, None, 1)
    request = approved(world)
    world.shop.arm("rate_limited", method="POST")
    with pytest.raises(outbox.Postponed, match="asks to wait"):
        run(world, request)
    with pytest.raises(outbox.Postponed, match="may begin in a minute"):
        run(world, request)
    assert attempts(world, request) == ["retry"]


def test_what_was_taken_over_holds_nobody_else_up_while_it_waits_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, None, 1)
    request = approved(world)
    crash_at(world, monkeypatch, request, "_call")
    change_execution(world, request, lease_until=timezone.now() - timedelta(seconds=1))
    with pytest.raises(outbox.Postponed, match="may begin in a minute"):
        run(world, request)
    assert attempts(world, request) == ["abandoned"]


def test_each_action_and_each_company_is_counted_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, 1, 1)
    first, second = several(world, 2)
    crash_at(world, monkeypatch, first, "_call")
    with pytest.raises(outbox.Postponed):
        run(world, second)
    with world.processes.acting_as("door"):
        arguments = {**REFUND, "payment_id": "pay_20001", "amount_minor": 100}
        theirs = submit.submit("refund_payment", arguments, by=world.other_agent, trace_id=TRACE).request
    other = world.submit("cancel_order", order_id="ord_10001", reason="The customer changed their mind.")
    for request in (theirs, other):
        world.force_status(request, "approved")
        with world.processes.acting_as("worker"):
            assert execute._claim(request.pk, request.tenant_id) is not None


def test_what_is_set_holds_in_place_of_what_the_action_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    refund = actions.get("refund_payment")
    assert pace.of(refund) == NONE
    monkeypatch.setattr(type(refund), "at_once", 3)
    monkeypatch.setattr(type(refund), "a_minute", 10)
    assert pace.of(refund) == Pace(3, 10)
    limited(monkeypatch, None, 5)
    assert pace.of(refund) == Pace(None, 5)


def test_who_waits_too_long_for_others_that_claim_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, 1, None)
    request = approved(world)
    with world.processes.cursor("admin") as shell:
        key = f"pace:{request.tenant_id}:{request.action}"
        shell.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (key,))
        with world.processes.acting_as("worker"):
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '100ms'")
            with pytest.raises(outbox.Postponed, match="others were claiming"):
                execute.run(request.pk, request.tenant_id)
    assert (world.status(request), attempts(world, request)) == ("approved", [])
