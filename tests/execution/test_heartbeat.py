"""A claim is its worker's for as long as the worker lives, and somebody else's soon after: no sooner, no later."""

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from approvals import execute, leases, outbox, outcomes
from approvals.database import tenant_scope
from approvals.management.children import Child
from approvals.models import ApprovalRequest, Execution, Outbox
from tests.test_execute import approved, attempts, reconcile, run
from tests.test_outbox import claimed, only_row, own_broker, ringer, rows, wait_for, worker
from tests.world import World

__all__ = ["own_broker", "ringer", "worker"]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases of two seconds, with four beats in them."""
    monkeypatch.setattr(settings, "EXECUTION_LEASE_SECONDS", 2)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def hearts() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def just_before_the_call(monkeypatch: pytest.MonkeyPatch, do: Callable[[execute.Claim], None]) -> None:
    real = execute._call

    def call(claim: execute.Claim, *rest: Any) -> None:
        do(claim)
        real(claim, *rest)

    monkeypatch.setattr(execute, "_call", call)


def first_lease_over(claim: execute.Claim) -> None:
    until(lambda: timezone.now() > claim.execution.lease_until)


def test_a_worker_that_is_merely_slow_keeps_its_claim_past_the_length_of_a_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)

    def somebody_else_tries(claim: execute.Claim) -> None:
        first_lease_over(claim)
        with pytest.raises(outbox.Postponed, match="another worker holds the lease"):
            execute.run(request.pk, request.tenant_id)

    just_before_the_call(monkeypatch, somebody_else_tries)
    run(world, request)
    assert attempts(world, request) == ["succeeded"]
    assert len(world.ledger(request)) == 1


def test_the_row_of_work_that_is_merely_slow_is_given_to_nobody_else(world: World) -> None:
    world.submit()
    row = only_row(world)
    with world.processes.acting_as("worker"), claimed(row.pk, row.tenant_id) as mine:
        lease = lease_now(mine)
        until(lambda: timezone.now() > lease)
        with claimed(row.pk, row.tenant_id) as second:
            assert second is None
    done = only_row(world)
    assert (done.done_at is not None, done.attempts) == (True, 1)


def test_a_worker_whose_heart_stands_still_loses_its_claim_and_sends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    monkeypatch.setattr(leases, "_beat_until", lambda *_: None)

    def somebody_else_takes_over(claim: execute.Claim) -> None:
        monkeypatch.setattr(execute, "_call", real)
        first_lease_over(claim)
        execute.run(request.pk, request.tenant_id)

    real = execute._call
    just_before_the_call(monkeypatch, somebody_else_takes_over)
    with pytest.raises(outcomes.LeaseLost):
        run(world, request)
    assert world.status(request) == "succeeded"
    assert attempts(world, request) == ["abandoned", "succeeded"]
    assert world.events(request).count("execution.sent") == 1
    assert len(world.ledger(request)) == 1


def test_a_worker_that_hangs_loses_its_claim_at_the_hard_time_limit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(world)
    monkeypatch.setattr(settings, "CELERY_TASK_TIME_LIMIT", 1.5)

    def hangs(claim: execute.Claim) -> None:
        monkeypatch.setattr(execute, "_call", real)
        until(lambda: not hearts())
        until(lambda: lease_of(world, request) < timezone.now())
        execute.run(request.pk, request.tenant_id)

    real = execute._call
    just_before_the_call(monkeypatch, hangs)
    with pytest.raises(outcomes.LeaseLost):
        run(world, request)
    assert attempts(world, request) == ["abandoned", "succeeded"]


def lease_of(world: World, request: ApprovalRequest) -> Any:
    with tenant_scope(world.tenant.pk):
        return Execution.objects.get(request=request).lease_until


@pytest.mark.parametrize("end", ["the work is done", "somebody else took it over", "the work fails"])
def test_a_heart_stops_when_the_claim_has_ended(world: World, end: str) -> None:
    world.submit()
    row = only_row(world)
    with world.processes.acting_as("worker"), claimed(row.pk, row.tenant_id):
        until(lambda: len(hearts()) == 1)
        if end == "somebody else took it over":
            with tenant_scope(row.tenant_id):
                Outbox.objects.filter(pk=row.pk).update(token=row.pk)
            until(lambda: not hearts())
        if end == "the work fails":
            raise outbox.Postponed(5, "later")
    until(lambda: not hearts())


def test_a_beat_that_the_database_refuses_costs_no_claim(world: World) -> None:
    """Too many connections of its role: the tasks themselves have them all."""
    world.submit()
    row = only_row(world)
    with world.processes.acting_as("worker"), claimed(row.pk, row.tenant_id) as mine:
        lease = lease_now(mine)
        world.processes.allow_connections("worker", 0)
        try:
            until(lambda: timezone.now() > lease - timedelta(seconds=0.3))
        finally:
            world.processes.allow_connections("worker", 12)
        lease = renewed(row)  # a beat may have come before they were all taken
        until(lambda: renewed(row) > lease)


def lease_now(mine: Outbox | None) -> datetime:
    assert mine is not None
    assert mine.lease_until is not None
    return mine.lease_until


def renewed(row: Outbox) -> Any:
    with tenant_scope(row.tenant_id):
        return Outbox.objects.get(pk=row.pk).lease_until


def test_a_heart_keeps_no_connection_between_beats(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The role has twelve, for ten tasks."""
    world.submit()
    row, beaten = only_row(world), threading.Event()
    real = leases._beat

    def beat(claim: QuerySet[Any], tenant_id: Any) -> bool:
        try:
            return real(claim, tenant_id)
        finally:
            beaten.set()

    monkeypatch.setattr(leases, "_beat", beat)
    with world.processes.acting_as("worker"), claimed(row.pk, row.tenant_id):
        assert beaten.wait(30)
        monkeypatch.setattr(settings, "EXECUTION_LEASE_SECONDS", 3600)  # no other beat comes in between
        until(lambda: connections(world) == 1)


def connections(world: World) -> int:
    with world.processes.cursor("admin") as shell:
        name = f"{world.processes.prefix}_worker"
        shell.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", (name,))
        (found,) = shell.fetchone() or (0,)
        return int(found)


def test_a_beat_in_the_last_moment_is_not_taken_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between reading that a lease has lapsed and taking it over, its heart beats."""
    request = approved(world)
    monkeypatch.setattr(leases, "_beat_until", lambda *_: None)
    with world.processes.acting_as("worker"):
        assert execute._claim(request.pk, request.tenant_id) is not None
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        read = Execution.objects.get(request=request)
        until(lambda: read.lease_until < timezone.now())
        Execution.objects.filter(pk=read.pk).update(lease_until=leases.until())
        with pytest.raises(outbox.Postponed, match="thought dead"):
            execute._take_over(world.reload(request), read)
    assert attempts(world, request) == ["open"]


def test_a_frozen_worker_is_taken_over_and_what_it_records_late_is_not_believed(
    world: World, worker: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one, stopped by the kernel while the company's system works, and woken when it has been taken for dead."""
    world.shop.arm("latency", method="POST", seconds=2)
    request = approved(world)
    wait_for(lambda: "execution.sent" in world.events(request), worker)
    freeze(worker, signal.SIGSTOP)
    try:
        until(lambda: bool(world.ledger(request)))
        with world.processes.acting_as("worker"):
            until(lambda: taken_over(request))
    finally:
        freeze(worker, signal.SIGCONT)
    wait_for(lambda: all(row.token is None for row in rows(world, topic=outbox.EXECUTE)), worker)
    assert (world.status(request), attempts(world, request)) == ("uncertain", ["uncertain"])
    reconcile(world, request)
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1


def taken_over(request: ApprovalRequest) -> bool:
    try:
        execute.run(request.pk, request.tenant_id)
    except outbox.Postponed:
        return False
    return True


def freeze(worker: Child, how: signal.Signals) -> None:
    os.killpg(os.getpgid(worker.pid), how)
