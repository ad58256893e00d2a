"""Deadlines under switches: who had two hours left when it was stopped has two hours left when it goes on."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals import clock, execute, outbox, queries, rejudge, submit, switches
from approvals.errors import MoveRefused
from approvals.models import ApprovalRequest, Switch
from approvals.switches import clocks
from approvals.switches.clocks import Clock
from policies.verdicts import VALID_FOR
from tests.switches.stops import Operators, events, row, sweep
from tests.switches.test_holding import CREDIT
from tests.world import TRACE, World, break_the_trail


@pytest.fixture(autouse=True)
def only_ours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test before has left requests open, and a stop of everybody would tend to thousands of them."""
    of_all = clocks._open
    monkeypatch.setattr(clocks, "_open", lambda: of_all().filter(tenant_id=world.tenant.pk))


HOUR = timedelta(hours=1)
SLACK = timedelta(minutes=5)  # what a test may take


def later(world: World, request: ApprovalRequest, by: timedelta) -> None:
    """Time passes: as seen from the request, everything in it is longer ago."""
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET expires_at = expires_at - %s, frozen_at = frozen_at - %s WHERE id = %s",
            (by, by, request.pk),
        )


def on_for(world: World, switch: Switch, by: timedelta) -> None:
    """Time passes, as seen from the switch."""
    with world.processes.acting_as("migrator"):
        Switch.objects.filter(pk=switch.pk).update(turned_on_at=switch.turned_on_at - by)


def given_ago(world: World, request: ApprovalRequest, by: timedelta) -> None:
    """Time passes, as seen from the request: its deadline, and when that was given."""
    later(world, request, by)
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET facts_read_at = facts_read_at - %(by)s, decided_at = decided_at - %(by)s"
            " WHERE id = %(id)s",
            {"by": by, "id": request.pk},
        )


def left(world: World, request: ApprovalRequest) -> timedelta:
    now = row(world, request)
    return switches.deadline(now) - timezone.now()


def test_a_deadline_moves_on_by_exactly_the_time_that_it_was_held(world: World, operators: Operators) -> None:
    request = world.submit()
    before = row(world, request).expires_at
    switch = operators.stop()
    sweep(world)
    since = row(world, request).frozen_at
    assert since is not None
    assert row(world, request).expires_at == before
    operators.go_on(switch)
    sweep(world)
    after = row(world, request)
    (extended,) = events(world, world.tenant.pk, "request.extended")
    told = json.loads(extended.text)["data"]
    assert told["held_since"] == since.isoformat()
    assert after.frozen_at is None
    assert after.expires_at == before + (datetime.fromisoformat(told["held_until"]) - since)
    assert told["expires_at"] == after.expires_at.isoformat()
    assert (extended.request_id, extended.trace_id, extended.actor_id) == (request.pk, TRACE, "sweeper")


def test_looking_again_changes_nothing(world: World, operators: Operators) -> None:
    request = world.submit()
    switch = operators.stop()
    sweep(world)
    held = row(world, request).frozen_at
    sweep(world)
    assert row(world, request).frozen_at == held
    operators.go_on(switch)
    sweep(world)
    moved = row(world, request).expires_at
    sweep(world)
    assert row(world, request).expires_at == moved
    assert len(events(world, world.tenant.pk, "request.extended")) == 1


def test_only_what_the_switch_covers_is_held(world: World, operators: Operators) -> None:
    refund, credit = world.submit(), world.submit("issue_store_credit", **CREDIT)
    with world.processes.acting_as("door"):
        theirs = submit.submit(
            "issue_store_credit",
            {**CREDIT, "customer_id": "cus_2001"},
            by=world.other_agent,
            trace_id=TRACE,
        ).request
    operators.stop(tool="request_store_credit")
    sweep(world)
    assert [row(world, one).frozen_at is not None for one in (refund, credit, theirs)] == [False, True, False]


@pytest.mark.parametrize("status", ["pending", "approved", "changes_requested", "stale"])
def test_every_status_that_can_run_out_of_time_is_held(
    world: World, operators: Operators, status: str
) -> None:
    request = world.submit()
    world.force_status(request, status)
    operators.stop()
    sweep(world)
    later(world, request, 1000 * HOUR)
    with world.processes.acting_as("sweeper"):
        assert (request.pk, request.tenant_id) not in clock.overdue(limit=10_000)
        assert not clock.expire(request.pk, request.tenant_id)
    assert row(world, request).status == status


def test_a_switch_that_the_sweeper_has_not_seen_yet_keeps_time_from_running_out(
    world: World, operators: Operators
) -> None:
    request, switch = world.submit(), operators.stop()
    given_ago(world, request, 1000 * HOUR)
    on_for(world, switch, 1000 * HOUR - SLACK)
    with world.processes.acting_as("sweeper"):
        assert not clock.expire(request.pk, request.tenant_id)
    assert world.vote(request, "approve", "lena").status == "approved"


def test_what_the_sweeper_sees_only_after_the_deadline_is_held_with_what_was_left_when_the_switch_came_on(
    world: World, operators: Operators
) -> None:
    request, switch = world.submit(), operators.stop()
    given_ago(world, request, 100 * HOUR)  # it had 72
    on_for(world, switch, 30 * HOUR)
    late = operators.stop(tool="request_refund")  # one that came after the deadline takes nothing away
    sweep(world)
    assert row(world, request).frozen_at == switch.turned_on_at - 30 * HOUR
    assert 2 * HOUR - SLACK < left(world, request) <= 2 * HOUR
    operators.go_on(late)
    operators.go_on(switch)
    sweep(world)
    assert 2 * HOUR - SLACK < left(world, request) <= 2 * HOUR
    assert world.vote(request, "approve", "lena").status == "approved"


def test_a_deadline_given_under_a_switch_is_held_with_no_more_than_its_whole_time(
    world: World, operators: Operators
) -> None:
    request, switch = world.submit(), operators.stop()
    on_for(world, switch, 30 * HOUR)
    world.vote(request, "approve", "lena")
    given_ago(world, request, 10 * HOUR)
    sweep(world)
    assert VALID_FOR - SLACK < left(world, request) <= VALID_FOR


@pytest.mark.parametrize("status", ["pending", "approved", "changes_requested", "stale"])
def test_a_stop_brings_nothing_back_whose_time_was_up(
    world: World, operators: Operators, status: str
) -> None:
    request, looking = world.submit(), switches.Clocks()
    world.force_status(request, status)
    given_ago(world, request, 1000 * HOUR)
    switch = operators.stop()
    with pytest.raises(MoveRefused):
        world.vote(request, "approve", "lena")
    assert sweep(world, looking) == 0
    assert row(world, request).frozen_at is None
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    assert row(world, request).status == status
    with world.processes.acting_as("sweeper"):
        # Whoever tends to it all the same, because time ran out in between, does not stop it either.
        switches.tend(clocks.Due(request.tenant_id, (request.pk,)))
        assert clock.expire(request.pk, request.tenant_id)
    operators.go_on(switch)
    sweep(world)
    after = row(world, request)
    assert (after.status, after.frozen_at) == ("expired", None)


def test_a_clock_that_stands_goes_on_standing_under_a_switch_that_comes_after_the_deadline(
    world: World, operators: Operators
) -> None:
    request, first = world.submit(), operators.stop()
    sweep(world)
    later(world, request, 1000 * HOUR)
    operators.stop(tool="request_refund")
    operators.go_on(first)
    sweep(world)
    assert row(world, request).frozen_at is not None
    assert world.vote(request, "approve", "lena").status == "approved"


def test_people_decide_while_the_deadline_is_held_and_not_after_it_ran_out(
    world: World, operators: Operators
) -> None:
    held, late = world.submit(), world.submit()
    later(world, late, 1000 * HOUR)
    operators.stop(tool="request_store_credit")
    with pytest.raises(MoveRefused):
        world.vote(late, "approve", "lena")
    operators.stop()
    sweep(world)
    later(world, held, 1000 * HOUR)
    assert world.vote(held, "approve", "lena").status == "approved"


def test_an_approval_under_a_switch_is_valid_for_its_whole_time_from_the_end_of_the_stop(
    world: World, operators: Operators
) -> None:
    request = world.submit()
    switch = operators.stop()
    sweep(world)
    later(world, request, 10 * HOUR)
    world.vote(request, "approve", "lena")
    later(world, request, 1000 * HOUR)
    with world.processes.acting_as("worker"), pytest.raises(outbox.Postponed):
        execute.run(request.pk, request.tenant_id)
    operators.go_on(switch)
    sweep(world)
    assert VALID_FOR - SLACK < left(world, request) <= VALID_FOR
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    assert row(world, request).status == "succeeded"


def test_a_new_revision_under_a_switch_has_its_whole_time_from_the_end_of_the_stop(
    world: World, operators: Operators
) -> None:
    request = world.submit(amount_minor=5000)
    given = request.expires_at - request.created_at
    world.vote(request, "approve", "lena")
    world.refund_elsewhere("pay_10001", 3000)
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    switch = operators.stop()
    sweep(world)
    later(world, request, 1000 * HOUR)
    with world.processes.acting_as("worker"):
        rejudge.reopen(request.pk, request.tenant_id)
    later(world, request, 1000 * HOUR)
    operators.go_on(switch)
    sweep(world)
    assert row(world, request).revision == 2
    assert given - SLACK < left(world, request) <= given


def test_no_deadline_moves_on_without_its_event(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = world.submit()
    switch = operators.stop()
    sweep(world)
    operators.go_on(switch)
    held = row(world, request)
    with monkeypatch.context() as broken:
        break_the_trail(broken, clocks)
        with pytest.raises(RuntimeError):
            sweep(world)
    again = row(world, request)
    assert (again.frozen_at, again.expires_at) == (held.frozen_at, held.expires_at)


def test_many_requests_are_held_and_set_on_over_several_rounds(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clocks, "BATCH", 2)
    requests = [world.submit() for _ in range(5)]
    nearest = [requests[3], requests[1]]
    for request in nearest:
        later(world, request, 2 * HOUR)
    looking = switches.Clocks()
    switch = operators.stop()
    assert sweep(world, looking) == 2
    assert all(row(world, request).frozen_at for request in nearest)
    assert [sweep(world, looking) for _ in range(3)] == [2, 1, 0]
    assert all(row(world, request).frozen_at for request in requests)
    operators.go_on(switch)
    assert [sweep(world, looking) for _ in range(4)] == [2, 2, 1, 0]
    assert not any(row(world, request).frozen_at for request in requests)


def test_a_long_stop_costs_the_sweeper_one_question_a_round(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clocks, "SETTLES", timedelta())
    request, looking = world.submit(), switches.Clocks()
    switch = operators.stop()
    while sweep(world, looking):
        pass
    with world.processes.acting_as("sweeper"), CaptureQueriesContext(connection) as asked:
        assert looking.due() == []
    assert len(asked) == 1
    operators.go_on(switch)
    sweep(world, looking)
    assert row(world, request).frozen_at is None


def test_what_is_filed_while_a_switch_is_young_is_held_too(world: World, operators: Operators) -> None:
    looking = switches.Clocks()
    switch = operators.stop()
    sweep(world, looking)
    operators.go_on(switch)
    request = world.submit()
    with world.processes.acting_as("migrator"):  # as for a process that has not heard of the switch yet
        Switch.objects.filter(pk=switch.pk).update(turned_off_at=None)
    sweep(world, looking)
    assert row(world, request).frozen_at is not None


def test_another_sweeper_sets_on_what_the_one_before_it_had_stopped(
    world: World, operators: Operators
) -> None:
    request = world.submit()
    switch = operators.stop()
    sweep(world, switches.Clocks())
    operators.go_on(switch)
    sweep(world, switches.Clocks())
    assert row(world, request).frozen_at is None


def test_a_row_that_somebody_works_on_has_its_turn_in_a_later_round(
    world: World, operators: Operators
) -> None:
    request, looking = world.submit(), switches.Clocks()
    switch = operators.stop()
    sweep(world, looking)
    operators.go_on(switch)
    with world.processes.cursor("admin") as somebody:
        somebody.execute("SELECT 1 FROM approval_request WHERE id = %s FOR UPDATE", (request.pk,))
        sweep(world, looking)
        assert row(world, request).frozen_at is not None
    sweep(world, looking)
    assert row(world, request).frozen_at is None


@pytest.mark.parametrize("is_held", [False, True])
def test_a_switch_that_is_turned_this_moment_costs_a_round_and_no_error(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch, *, is_held: bool
) -> None:
    request, switch, real = world.submit(), operators.stop(), clocks._at
    if is_held:
        sweep(world)
        operators.go_on(switch)

    def meanwhile(*args: Any, **how: Any) -> Clock:
        with world.processes.cursor("admin") as operator:
            at = "NULL" if is_held else "now()"
            operator.execute(f"UPDATE switch SET turned_off_at = {at} WHERE id = %s", (switch.pk,))
        return real(*args, **how)

    before = row(world, request)
    monkeypatch.setattr(clocks, "_at", meanwhile)
    sweep(world)
    after = row(world, request)
    assert (after.frozen_at, after.expires_at) == (before.frozen_at, before.expires_at)
    assert events(world, world.tenant.pk, "request.extended") == []


def test_what_has_ended_has_no_clock(world: World, operators: Operators) -> None:
    request = world.submit()
    switch = operators.stop()
    sweep(world)
    with world.processes.acting_as("door"):
        submit.withdraw(request.pk, by=world.agent, trace_id=TRACE)
    operators.go_on(switch)
    sweep(world)
    ended = row(world, request)
    assert ended.expires_at == request.expires_at
    assert switches.deadline(ended) == request.expires_at
    assert not switches.is_held(ended)


def test_the_agent_is_told_that_it_is_held_and_a_deadline_that_is_true(
    world: World, operators: Operators
) -> None:
    request = world.submit()
    given = request.expires_at - request.created_at
    switch = operators.stop()
    sweep(world)
    later(world, request, 1000 * HOUR)
    with world.processes.acting_as("door"):
        view = queries.request_of_agent(request.pk, world.agent, trace_id=TRACE)
    assert given - SLACK < view.expires_at - timezone.now() <= given
    assert view.sentence.startswith("Waiting for a decision.")
    assert view.sentence.endswith(queries.agent.HELD)
    world.vote(request, "approve", "lena")
    with world.processes.acting_as("door"):
        view = queries.request_of_agent(request.pk, world.agent, trace_id=TRACE)
    assert view.sentence == f"Approved. {queries.agent.HELD}"
    operators.go_on(switch)
    sweep(world)
    with world.processes.acting_as("door"):
        view = queries.request_of_agent(request.pk, world.agent, trace_id=TRACE)
    assert "operator" not in view.sentence


# --- properties ---------------------------------------------------------------------------------------------

START = datetime(2030, 1, 1, tzinfo=UTC)
MINUTES = st.integers(0, 500)


@given(
    stops=st.lists(st.tuples(MINUTES, MINUTES), max_size=6),
    looks=st.lists(MINUTES, min_size=1, max_size=40),
)
def test_a_deadline_moves_on_by_the_time_that_the_clock_stood_however_the_switches_overlap(
    stops: list[tuple[int, int]], looks: list[int]
) -> None:
    """Somebody looks at some minutes; a clock stands from a look that finds it covered to one that does not."""

    def covered(minute: int) -> bool:
        return any(on <= minute < on + length for on, length in stops)

    clock = Clock(START + 24 * HOUR, None)
    rounds = [*sorted(set(looks)), 2000]  # at the end nothing is on
    for minute in rounds:
        now = START + timedelta(minutes=minute)
        before = clock.goes_on_until(now) - now
        clock = clock.at(now, held=covered(minute))
        assert clock.goes_on_until(now) - now == before  # looking takes no time away and gives none
        assert (clock.frozen_at is not None) == covered(minute)
    stood = sum(later - earlier for earlier, later in pairwise(rounds) if covered(earlier))
    assert clock == Clock(START + 24 * HOUR + timedelta(minutes=stood), None)


SCOPES: dict[str, dict[str, Any]] = {
    "tenant": {},
    "tool": {"tool": "request_refund"},
    "everybody": {"by": "mara", "everybody": True},
    "another tool": {"tool": "request_store_credit"},
}
DEEDS = st.lists(st.sampled_from(["pass", "pass", *SCOPES]), max_size=14)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(deeds=DEEDS)
def test_time_runs_only_while_no_switch_covers_a_request(
    world: World, operators: Operators, deeds: list[str]
) -> None:
    """Switches come and go and hours pass, in any order; the sweeper looks after each."""
    request, looking = world.submit(), switches.Clocks()
    given_time = request.expires_at - request.created_at
    on: dict[str, Switch] = {}
    ran = timedelta()
    for deed in deeds:
        if deed == "pass":
            later(world, request, HOUR)
            ran += timedelta() if on.keys() - {"another tool"} else HOUR
        elif switch := on.pop(deed, None):
            operators.go_on(switch, by=SCOPES[deed].get("by", "opal"))
        else:
            on[deed] = operators.stop(**SCOPES[deed])
        sweep(world, looking)
    for name, switch in on.items():
        operators.go_on(switch, by=SCOPES[name].get("by", "opal"))
    sweep(world, looking)
    assert row(world, request).frozen_at is None
    assert given_time - ran - SLACK < left(world, request) <= given_time - ran
