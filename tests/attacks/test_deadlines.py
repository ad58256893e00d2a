"""With a shell as the sweeper's role: a deadline is held and moves on as the switches say, and in no other way."""

from typing import Any

import psycopg
import pytest

from approvals.models import ApprovalRequest, Switch
from tests import courses
from tests.attacks.test_roles import scoped
from tests.switches.conftest import fresh, operators
from tests.switches.stops import Operators, row, sweep
from tests.versions import LAXER, asked
from tests.world import World

__all__ = ["fresh", "operators"]

HOLD = "UPDATE approval_request SET frozen_at = now() WHERE id = %s"
GO_ON = "UPDATE approval_request SET frozen_at = NULL, expires_at = expires_at + (now() - frozen_at) WHERE id = %s"
EXPIRE = "UPDATE approval_request SET status = 'expired' WHERE id = %s"
NOT_YET = "a request expires when its time is up and no switch holds it"
NOT_SO = "a deadline is held while a switch is over its request, and moves on by that time"


def moved(world: World, request: ApprovalRequest, statement: str) -> int:
    """Rows that the sweeper's role can change by it, rolled back."""
    with world.processes.cursor("sweeper") as shell:
        scoped(shell, world)
        shell.execute(statement, (request.pk,))
        return shell.rowcount


def refused(world: World, request: ApprovalRequest, statement: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_SO):
        moved(world, request, statement)


def held(world: World, operators: Operators) -> tuple[ApprovalRequest, Switch]:
    request, switch = world.submit(), operators.stop()
    sweep(world)
    assert row(world, request).frozen_at
    return request, switch


@pytest.mark.parametrize(
    "stop",
    [
        None,
        {"tool": "request_store_credit"},
        {"tool": "get_request_status"},
        {"by": "gus"},
        {"agent_id": "another"},
        {"off": True},
    ],
)
def test_no_clock_stops_that_no_switch_is_over(
    world: World, operators: Operators, stop: dict[str, Any] | None
) -> None:
    request, how = world.submit(), dict(stop or {})
    if how.get("agent_id"):
        how["agent_id"] = world.another_agent().agent_id
    is_off = how.pop("off", False)
    if stop is not None:
        switch = operators.stop(**how)
        if is_off:
            operators.go_on(switch)
    refused(world, request, HOLD)


@pytest.mark.parametrize(
    "stop", [{}, {"tool": "request_refund"}, {"agent_id": "mine"}, {"by": "mara", "everybody": True}]
)
def test_a_clock_stops_under_each_kind_of_switch(
    world: World, operators: Operators, stop: dict[str, Any]
) -> None:
    request = world.submit()
    operators.stop(**stop | ({"agent_id": world.agent.agent_id} if "agent_id" in stop else {}))
    assert moved(world, request, HOLD) == 1


@pytest.mark.parametrize(
    "change",
    [
        "frozen_at = now() - interval '1 second'",
        "frozen_at = now() + interval '1 second'",
        "frozen_at = now(), expires_at = expires_at + interval '1 second'",
        "expires_at = expires_at + interval '1 second'",
    ],
)
def test_under_a_switch_a_clock_stops_now_and_nothing_else(
    world: World, operators: Operators, change: str
) -> None:
    request = world.submit()
    operators.stop()
    refused(world, request, f"UPDATE approval_request SET {change} WHERE id = %s")


def test_no_clock_goes_on_while_a_switch_is_over_it(world: World, operators: Operators) -> None:
    request, switch = held(world, operators)
    operators.stop(tool="request_refund")
    operators.go_on(switch)
    refused(world, request, GO_ON)


@pytest.mark.parametrize(
    "expires_at",
    [
        "expires_at",
        "expires_at + (now() - frozen_at) + interval '1 microsecond'",
        "expires_at + (now() - frozen_at) - interval '1 microsecond'",
        "expires_at + interval '1 day'",
    ],
)
def test_a_deadline_moves_on_by_exactly_the_time_that_its_clock_stood(
    world: World, operators: Operators, expires_at: str
) -> None:
    request, switch = held(world, operators)
    operators.go_on(switch)
    refused(
        world,
        request,
        f"UPDATE approval_request SET frozen_at = NULL, expires_at = {expires_at} WHERE id = %s",
    )
    refused(world, request, f"UPDATE approval_request SET expires_at = {expires_at} + '1 s' WHERE id = %s")
    assert moved(world, request, GO_ON) == 1


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_no_time_zone_makes_a_day_longer(world: World, operators: Operators, zone: str) -> None:
    """The day on which clocks are put back has 25 hours where the session says that it is there."""
    request, switch = held(world, operators)
    operators.go_on(switch)
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET frozen_at = now() - interval '10 days', "
            "expires_at = '2026-10-31 12:00+00' WHERE id = %s",
            (request.pk,),
        )
    with world.processes.cursor("sweeper") as shell:
        scoped(shell, world)
        shell.execute("SELECT set_config('timezone', %s, true)", (zone,))
        if zone == "UTC":
            shell.execute(GO_ON, (request.pk,))
        else:
            with pytest.raises(psycopg.errors.CheckViolation, match=NOT_SO):
                shell.execute(GO_ON, (request.pk,))


def test_a_transaction_that_was_open_before_the_stop_stops_no_clock_since_then(
    world: World, operators: Operators
) -> None:
    request = world.submit()
    with world.processes.cursor("sweeper") as shell:
        scoped(shell, world)  # its `now()` is from here on
        operators.stop()
        with pytest.raises(psycopg.errors.CheckViolation, match=NOT_SO):
            shell.execute(HOLD, (request.pk,))


def test_a_transaction_that_was_open_during_the_stop_sets_no_clock_on_from_then(
    world: World, operators: Operators
) -> None:
    request, switch = held(world, operators)
    with world.processes.cursor("sweeper") as shell:
        scoped(shell, world)
        operators.go_on(switch)
        with pytest.raises(psycopg.errors.CheckViolation, match=NOT_SO):
            shell.execute(GO_ON, (request.pk,))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO switch (id, stops, reason, turned_on_at) VALUES (gen_random_uuid(), 'requests', 'x', now())",
        "UPDATE switch SET turned_on_at = now()",
        "UPDATE switch SET turned_off_at = NULL",
        "UPDATE switch SET action = 'refund_payment'",
        "UPDATE approval_request SET agent_id = NULL",
        "UPDATE approval_request SET action = 'x'",
    ],
)
def test_a_sweeper_makes_no_switch_of_its_own(world: World, operators: Operators, statement: str) -> None:
    operators.go_on(operators.stop(tool="request_store_credit"))
    with world.processes.cursor("sweeper") as shell:
        scoped(shell, world)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shell.execute(statement)


def test_a_table_of_its_own_does_not_stand_for_the_switches(world: World, operators: Operators) -> None:
    request = world.submit()
    with world.processes.cursor("sweeper") as shell:
        scoped(shell, world)
        try:
            with shell.connection.transaction():
                shell.execute("CREATE TEMPORARY TABLE switch AS SELECT * FROM public.switch WITH NO DATA")
                shell.execute(
                    "INSERT INTO pg_temp.switch (id, tool, stops, reason, turned_on_at) "
                    "VALUES (gen_random_uuid(), '', 'requests', 'x', now())"
                )
        except psycopg.errors.InsufficientPrivilege:
            return
        with pytest.raises(psycopg.errors.CheckViolation, match=NOT_SO):
            shell.execute(HOLD, (request.pk,))


def on_since(world: World, switch: Switch, ago: str) -> str:
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE switch SET turned_on_at = now() - %s::interval WHERE id = %s RETURNING turned_on_at",
            (ago, switch.pk),
        )
        (since,) = shell.fetchone() or (None,)
    assert since
    return str(since.isoformat())


def late(world: World, request: ApprovalRequest) -> ApprovalRequest:
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET expires_at = now() - interval '1 second' WHERE id = %s",
            (request.pk,),
        )
    return request


@pytest.mark.parametrize(
    "course", [courses.pending, courses.approved, courses.stale, courses.changes_requested]
)
def test_a_sweeper_expires_nothing_before_its_time(world: World, course: courses.Course) -> None:
    request = course(world)
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_YET):
        moved(world, request, EXPIRE)
    assert moved(world, late(world, request), EXPIRE) == 1


def test_a_sweeper_expires_nothing_that_a_switch_is_over(world: World, operators: Operators) -> None:
    request, switch = world.submit(), operators.stop()
    on_since(world, switch, "10 seconds")
    late(world, request)
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_YET):
        moved(world, request, EXPIRE)


def test_a_switch_that_came_after_the_deadline_stops_no_clock_and_no_expiry(
    world: World, operators: Operators
) -> None:
    request = late(world, world.submit())
    switch = operators.stop()
    refused(world, request, HOLD)
    refused(world, request, HOLD.replace("now()", f"'{switch.turned_on_at.isoformat()}'"))
    assert moved(world, request, EXPIRE) == 1


def test_after_the_deadline_a_clock_stands_since_the_switch_came_on_and_since_no_other_time(
    world: World, operators: Operators
) -> None:
    request, switch = world.submit(), operators.stop()
    since = on_since(world, switch, "10 seconds")
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET facts_read_at = now() - interval '1 day' WHERE id = %s",
            (request.pk,),
        )
    late(world, request)
    refused(world, request, HOLD)
    refused(world, request, HOLD.replace("now()", f"'{since}'::timestamptz - interval '1 microsecond'"))
    refused(world, request, HOLD.replace("now()", f"'{since}'::timestamptz + interval '1 microsecond'"))
    assert moved(world, request, HOLD.replace("now()", f"'{since}'")) == 1


def test_what_a_person_asked_for_expires_under_a_stop(world: World, operators: Operators) -> None:
    request, switch = asked(world, LAXER), operators.stop()
    on_since(world, switch, "10 seconds")
    late(world, request)
    refused(world, request, HOLD)
    assert moved(world, request, EXPIRE) == 1


def test_a_sweeper_expires_nothing_whose_clock_stands(world: World, operators: Operators) -> None:
    request, switch = held(world, operators)
    operators.go_on(switch)
    late(world, request)
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_YET):
        moved(world, request, EXPIRE)


def test_a_deadline_that_moves_on_is_not_over_in_the_same_statement(
    world: World, operators: Operators
) -> None:
    request, switch = held(world, operators)
    operators.go_on(switch)
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_YET):
        moved(world, request, GO_ON.replace("SET ", "SET status = 'expired', "))


def test_a_transaction_that_was_open_when_the_time_ran_out_came_too_early(world: World) -> None:
    request = world.submit()
    with world.processes.cursor("sweeper") as shell:
        scoped(shell, world)  # its `now()` is from here on
        with world.processes.cursor("admin") as clock:
            clock.execute("UPDATE approval_request SET expires_at = now() WHERE id = %s", (request.pk,))
        with pytest.raises(psycopg.errors.CheckViolation, match=NOT_YET):
            shell.execute(EXPIRE, (request.pk,))
