"""A switch over what people have approved: it waits, it is carried out once, and what was sent is settled as ever."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from approvals import execute, judge, outbox, outcomes, rejudge, switches
from approvals import reconcile as reconciling
from approvals.audit.events import record
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Execution
from approvals.switches import turning
from approvals.switches.reach import LOCK
from tests.switches.stops import WHY, Operators, row
from tests.world import World

CREDIT: dict[str, Any] = {
    "customer_id": "cus_1001",
    "amount_minor": 500,
    "currency": "USD",
    "reason": "An apology for the late parcel.",
}


def approved(world: World) -> ApprovalRequest:
    return world.vote(world.submit(), "approve", "lena")


def run(world: World, request: ApprovalRequest) -> bool:
    """A worker's turn; False when the row has to come again."""
    with world.processes.acting_as("worker"):
        try:
            execute.run(request.pk, request.tenant_id)
        except outbox.Postponed:
            return False
    return True


def attempts(world: World, request: ApprovalRequest) -> list[str]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        found = Execution.objects.filter(request=request).order_by("number")
        return [execution.outcome or "open" for execution in found]


@pytest.mark.parametrize(
    "stop", [{}, {"tool": "request_refund"}, {"stops": "everything"}, {"by": "mara", "everybody": True}]
)
def test_what_was_approved_waits_while_a_switch_is_on_and_is_carried_out_once_after(
    world: World, operators: Operators, stop: dict[str, Any]
) -> None:
    request = approved(world)
    switch = operators.stop(**stop)
    assert [run(world, request) for _ in range(3)] == [False, False, False]
    assert row(world, request).status == "approved"
    assert world.ledger(request) == []
    operators.go_on(switch, by=stop.get("by", "opal"))
    assert run(world, request)
    assert row(world, request).status == "succeeded"
    assert len(world.ledger(request)) == 1


@pytest.mark.parametrize("stop", [{"tool": "request_store_credit"}, {"tool": "lookup_order"}])
def test_a_switch_over_something_else_holds_nothing(
    world: World, operators: Operators, stop: dict[str, Any]
) -> None:
    request = approved(world)
    operators.stop(**stop)
    assert run(world, request)
    assert len(world.ledger(request)) == 1


def test_a_long_stop_leaves_one_event_a_switch_and_not_one_a_turn(world: World, operators: Operators) -> None:
    request = approved(world)
    first = operators.stop()
    for _ in range(3):
        run(world, request)
    operators.stop(tool="request_refund")
    operators.go_on(first)
    for _ in range(3):
        run(world, request)
    told = world.events(request)
    assert told.count("execution.held") == 2
    assert told.count("execution.claimed") == 2
    assert attempts(world, request) == ["held", "held"]


def test_a_switch_that_is_turned_on_while_the_facts_are_read_again_holds_the_call(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    real = judge.look_up

    def meanwhile(*args: Any) -> Any:
        operators.stop()
        return real(*args)

    monkeypatch.setattr(judge, "look_up", meanwhile)
    assert not run(world, request)
    assert world.ledger(request) == []
    assert world.events(request)[-2:] == ["execution.claimed", "execution.held"]


def change_the_facts(world: World) -> None:
    world.refund_elsewhere("pay_10001", 3000)


def never(*_: Any) -> Any:
    raise AssertionError("looked up under a switch")


def test_what_was_approved_is_held_before_anything_is_looked_up(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    change_the_facts(world)
    switch = operators.stop()
    with monkeypatch.context() as stopped:
        stopped.setattr(judge, "look_up", never)
        assert [run(world, request) for _ in range(2)] == [False, False]
    assert row(world, request).status == "approved"
    assert world.events(request)[-2:] == ["execution.claimed", "execution.held"]
    operators.go_on(switch)
    assert run(world, request)
    assert row(world, request).status == "stale"


def test_a_switch_that_is_turned_on_while_changed_facts_are_read_holds_too(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, real = approved(world), judge.look_up
    change_the_facts(world)

    def meanwhile(*args: Any) -> Any:
        found = real(*args)
        operators.stop()
        return found

    monkeypatch.setattr(judge, "look_up", meanwhile)
    assert not run(world, request)
    assert row(world, request).status == "approved"
    assert attempts(world, request) == ["held"]


def test_an_attempt_that_was_held_names_its_switch(world: World, operators: Operators) -> None:
    request, switch = approved(world), operators.stop(reason="It ends like another (switch one).")
    run(world, request)
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        (execution,) = Execution.objects.filter(request=request)
    assert (execution.held_by, execution.detail) == (switch.pk, switch.reason)


@pytest.mark.parametrize("change", ["held_by = NULL", "outcome = 'retry'"])
def test_no_attempt_is_held_by_nothing(world: World, operators: Operators, change: str) -> None:
    request = approved(world)
    operators.stop()
    run(world, request)
    with world.processes.cursor("admin") as shell:
        with pytest.raises(psycopg.errors.CheckViolation):
            shell.execute(f"UPDATE execution SET {change} WHERE request_id = %s", (request.pk,))
        shell.connection.rollback()


def elsewhere(do: Callable[[], Any]) -> "Future[Any]":
    """Run it in a thread with a connection of its own."""

    def connected() -> Any:
        try:
            return do()
        finally:
            connection.close()

    pool = ThreadPoolExecutor(1)
    running = pool.submit(connected)
    pool.shutdown(wait=False)
    return running


def test_a_switch_that_is_about_to_be_on_is_waited_for_before_anything_is_sent(
    world: World, operators: Operators
) -> None:
    """Committed a moment later than the worker looked would be too late."""
    request = approved(world)
    with world.processes.acting_as("worker"), world.processes.cursor("admin") as operator:
        operator.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        operator.execute(
            "INSERT INTO switch (id, tenant_id, tool, stops, reason, turned_on_at) "
            "VALUES (%s, %s, '', 'requests', %s, now())",
            (uuid4(), world.tenant.pk, WHY),
        )
        running = elsewhere(lambda: execute.run(request.pk, request.tenant_id))
        waits_for_the_lock(operator)
        operator.connection.commit()
        with pytest.raises(outbox.Postponed):
            running.result(timeout=60)
    assert world.ledger(request) == []
    assert "execution.held" in world.events(request)


def waits_for_the_lock(shell: psycopg.Cursor[Any]) -> None:
    """Until somebody stands in line for the lock of senders and operators."""
    deadline = time.monotonic() + 30
    while True:
        shell.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted",
            (LOCK,),
        )
        (count,) = shell.fetchone() or (0,)
        if count:
            return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_stop_is_on_only_after_who_was_about_to_send_has_sent(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turning, "PATIENCE", 60_000)
    with world.processes.cursor("worker") as sender:
        sender.execute("SELECT pg_advisory_xact_lock_shared(%s)", (LOCK,))
        stopping = elsewhere(operators.stop)
        with world.processes.cursor("admin") as shell:
            waits_for_the_lock(shell)
        assert not stopping.done()
        sender.connection.commit()
        stopping.result(timeout=60)
    assert len(operators.on()) == 1


def test_a_worker_that_hangs_before_sending_does_not_hold_a_stop_up(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turning, "PATIENCE", 100)
    with world.processes.cursor("worker") as sender:
        sender.execute("SELECT pg_advisory_xact_lock_shared(%s)", (LOCK,))
        operators.stop()
    assert len(operators.on()) == 1


@pytest.mark.parametrize("fault", ["drop_after_commit", "error_500"])
def test_what_was_sent_before_is_settled_while_a_switch_is_on(
    world: World, operators: Operators, fault: str
) -> None:
    request = approved(world)
    world.shop.arm(fault, method="POST")
    run(world, request)
    assert row(world, request).status == "uncertain"
    switch = operators.stop()
    with world.processes.acting_as("worker"):
        reconciling.run(request.pk, request.tenant_id)
    if fault == "drop_after_commit":
        assert row(world, request).status == "succeeded"
    else:
        assert not run(world, request)
        assert row(world, request).status == "executing"  # it can not be withdrawn: it was in doubt once
        operators.go_on(switch)
        assert run(world, request)
    assert len(world.ledger(request)) == 1


def test_what_a_dead_worker_left_unsent_is_held_before_anything_is_looked_up(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)

    def die(*_: object) -> None:
        raise SystemExit("kill -9")

    with monkeypatch.context() as dying:
        dying.setattr(execute, "_call", die)
        with pytest.raises(SystemExit):
            run(world, request)
    switch = operators.stop()
    with world.processes.acting_as("migrator"):
        lapsed = timezone.now() - timedelta(seconds=1)
        Execution.objects.filter(request=request).update(lease_until=lapsed)
    with monkeypatch.context() as stopped:
        stopped.setattr(judge, "look_up", never)
        assert not run(world, request)
    assert attempts(world, request) == ["abandoned", "held"]
    operators.go_on(switch)
    assert run(world, request)
    assert len(world.ledger(request)) == 1


def test_nothing_is_held_without_its_event(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    operators.stop()

    def broken(kind: str, **about: Any) -> Any:
        if kind == "execution.held":
            raise RuntimeError("the trail is full")
        return record(kind, **about)

    monkeypatch.setattr(outcomes, "record", broken)
    with pytest.raises(RuntimeError):
        run(world, request)
    assert row(world, request).status == "executing"
    assert attempts(world, request) == ["open"]
    assert world.ledger(request) == []


def test_people_can_decide_while_a_switch_is_on(world: World, operators: Operators) -> None:
    request, denied = world.submit(), world.submit()
    operators.stop(stops="everything")
    assert world.vote(request, "approve", "lena").status == "approved"
    assert world.vote(denied, "deny", "lena").status == "denied"


def test_a_rule_approves_nothing_while_a_switch_is_on(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = world.submit("issue_store_credit", **CREDIT)
    switch = operators.stop()
    with world.processes.acting_as("worker"), pytest.raises(outbox.Postponed):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    assert row(world, request).status == "pending"
    operators.go_on(switch)
    real = judge.look_up

    def meanwhile(*args: Any) -> Any:
        operators.stop()
        return real(*args)

    monkeypatch.setattr(judge, "look_up", meanwhile)
    with world.processes.acting_as("worker"), pytest.raises(outbox.Postponed):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    assert row(world, request).status == "pending"
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        (again,) = switches.on()
    operators.go_on(again)
    monkeypatch.setattr(judge, "look_up", real)
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    assert row(world, request).status == "approved"
    assert world.events(request) == ["request.created", "request.approved"]
