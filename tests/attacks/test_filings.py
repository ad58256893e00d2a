"""Nothing is filed after a stop, however a filing waited, and whatever the door's role does about it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

from approvals import submit
from approvals.errors import SwitchedOff
from approvals.models import ApprovalRequest
from tests.attacks.test_roles import COPY, scoped
from tests.switches.conftest import fresh, operators
from tests.switches.stops import WHY, Operators, events
from tests.world import REFUND, TRACE, World

__all__ = ["fresh", "operators"]

KEY = "the-same-key"
NOT_FILED = "no request is filed under a switch"
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO "approval_request"%'
"""


@contextmanager
def filing(world: World, like: ApprovalRequest, key: str = "") -> Iterator[psycopg.Cursor[Any]]:
    """With a shell as the door's role: one request more is written, and not committed."""
    with world.processes.cursor("door") as shell:
        write(shell, world, like, key)
        yield shell


def write(shell: psycopg.Cursor[Any], world: World, like: ApprovalRequest, key: str = "") -> None:
    scoped(shell, world)
    shell.execute(COPY, (f'{{"id": "{uuid4()}", "idempotency_key": "{key or uuid4()}"}}', like.pk))
    assert shell.rowcount == 1


def filed(world: World) -> int:
    with world.processes.cursor("admin") as shell:
        shell.execute("SELECT count(*) FROM approval_request WHERE tenant_id = %s", (world.tenant.pk,))
        return int((shell.fetchone() or (0,))[0])


def until_it_waits(world: World) -> None:
    ends = monotonic() + 5
    with world.processes.cursor("admin") as shell:
        while monotonic() < ends:
            shell.execute(WAITING)
            if shell.fetchone() == (1,):
                return
            shell.connection.rollback()  # within a transaction, pg_stat_activity shows the same moment
            sleep(0.01)
    raise AssertionError("the filing does not wait")


def test_a_filing_that_waited_on_its_key_over_a_stop_is_refused(world: World, operators: Operators) -> None:
    """The one in front of it rolls back after the stop: then it is the first under this key, and too late."""
    like = world.submit()

    def file() -> None:
        try:
            submit.submit("refund_payment", REFUND, by=world.agent, key=KEY, trace_id=TRACE)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, world.processes.acting_as("door"):
        with filing(world, like, key=KEY) as first:
            second = pool.submit(file)
            until_it_waits(world)
            switch = operators.stop()
            first.connection.rollback()
        with pytest.raises(SwitchedOff) as refused:
            second.result()
    assert WHY in str(refused.value)
    assert refused.value.details["switch"] == switch.pk
    assert filed(world) == 1
    assert "switched_off" in events(world, world.tenant.pk, "request.refused")[-1].text


def test_a_filing_that_waited_on_its_key_and_no_stop_came_is_filed(world: World) -> None:
    like = world.submit()

    def file() -> ApprovalRequest:
        try:
            return submit.submit("refund_payment", REFUND, by=world.agent, key=KEY, trace_id=TRACE).request
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, world.processes.acting_as("door"):
        with filing(world, like, key=KEY) as first:
            second = pool.submit(file)
            until_it_waits(world)
            first.connection.rollback()
        assert second.result().status == "pending"
    assert filed(world) == 2


@pytest.mark.parametrize(
    "stop", [{}, {"tool": "request_refund"}, {"agent_id": "mine"}, {"by": "mara", "everybody": True}]
)
def test_what_is_written_before_a_stop_is_not_committed_after_it(
    world: World, operators: Operators, stop: dict[str, Any]
) -> None:
    with filing(world, world.submit()) as shell:
        operators.stop(**stop | ({"agent_id": world.agent.agent_id} if "agent_id" in stop else {}))
        with pytest.raises(psycopg.errors.CheckViolation, match=NOT_FILED):
            shell.connection.commit()
    assert filed(world) == 1


@pytest.mark.parametrize(
    "stop",
    [
        {"tool": "request_store_credit"},
        {"tool": "get_request_status"},
        {"by": "gus"},
        {"agent_id": "another"},
        {"off": True},
    ],
)
def test_a_switch_that_is_not_over_it_stops_no_filing(
    world: World, operators: Operators, stop: dict[str, Any]
) -> None:
    how, like = dict(stop), world.submit()
    if how.get("agent_id"):
        how["agent_id"] = world.another_agent().agent_id
    is_off = how.pop("off", False)
    with filing(world, like) as shell:
        switch = operators.stop(**how)
        if is_off:
            operators.go_on(switch)
        shell.connection.commit()
    assert filed(world) == 2


def another_scope(shell: psycopg.Cursor[Any], world: World) -> None:
    scoped(shell, world, other=True)


def no_scope(shell: psycopg.Cursor[Any], _: World) -> None:
    shell.execute("SELECT set_config('countersign.tenant', '', true)")


def another_table(shell: psycopg.Cursor[Any], _: World) -> None:
    shell.execute("SET LOCAL search_path = pg_temp, public")


@pytest.mark.parametrize("way_around", [another_scope, no_scope, another_table])
def test_a_door_taken_over_whole_hides_no_switch_from_the_database(
    world: World, operators: Operators, way_around: Callable[[psycopg.Cursor[Any], World], None]
) -> None:
    with filing(world, world.submit()) as shell:
        operators.stop()
        way_around(shell, world)
        with pytest.raises(psycopg.errors.CheckViolation, match=NOT_FILED):
            shell.connection.commit()


@pytest.mark.parametrize("level", ["REPEATABLE_READ", "SERIALIZABLE"])
def test_a_door_that_looks_at_an_older_moment_files_nothing(world: World, level: str) -> None:
    like = world.submit()
    with world.processes.cursor("door") as shell:
        shell.connection.isolation_level = psycopg.IsolationLevel[level]
        write(shell, world, like)
        with pytest.raises(psycopg.errors.CheckViolation, match="sees what others commit"):
            shell.connection.commit()
