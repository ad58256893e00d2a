"""What was approved is carried out at the hours that its rule lets it, and at no other: not a second late."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from itertools import product
from typing import Any

import psycopg
import pytest
from django.utils import timezone
from psycopg.types.json import Json

from approvals import clock as sweeping
from approvals import execute, hours, lastlook, outbox, outcomes, rejudge, revoke, submit
from approvals.database import tenant_scope
from approvals.errors import WindowShut
from approvals.glass import never_because
from approvals.models import ApprovalRequest
from approvals.queries.unfounded import unfounded
from policies.verdicts import AutoApprove, to_json
from policies.windows import DAYS, Window
from tests.attacks.test_roles import attempt
from tests.execution.at_hours import WEEK, later, open_now, opens_in, shut_now, windowed
from tests.people.asking import HOUR, LEAD, asking
from tests.test_execute import approved, attempts, change_execution, crash_at, reconcile, run
from tests.world import TRACE, World, break_the_trail


def waits(world: World, request: ApprovalRequest) -> outbox.Postponed:
    with pytest.raises(outbox.Postponed, match="the window in which it may be carried out") as postponed:
        run(world, request)
    return postponed.value


def test_it_waits_approved_until_its_window_opens_and_is_carried_out_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = windowed(world, shut_now())
    before = world.events(request)
    wait = waits(world, request)
    assert 2 * HOUR.total_seconds() - 120 < wait.seconds <= 2 * HOUR.total_seconds()
    assert world.status(request) == "approved"
    assert (attempts(world, request), world.ledger(request)) == ([], [])
    assert world.events(request) == before
    with later(world, monkeypatch, by=2 * HOUR + timedelta(minutes=1)):
        run(world, request)
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1


def test_in_its_window_it_is_carried_out_at_once(world: World) -> None:
    request = windowed(world, open_now())
    run(world, request)
    assert world.status(request) == "succeeded"


def test_until_then_it_can_be_taken_back(world: World) -> None:
    one, other = windowed(world, shut_now()), windowed(world, shut_now())
    waits(world, one)
    with world.processes.acting_as("web"):
        assert (
            revoke.revoke(one.pk, by=world.reviewer("mara"), reason="Too late in the day.").status == "denied"
        )
    with world.processes.acting_as("door"):
        assert submit.withdraw(other.pk, by=world.agent, trace_id=TRACE).status == "withdrawn"
    run(world, one)
    run(world, other)
    assert (world.ledger(one), world.ledger(other)) == ([], [])


def test_a_window_that_closes_after_the_claim_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claimed at 16:59:59, and the facts took two seconds to read."""
    request = windowed(world, open_now())
    with monkeypatch.context() as clock:
        closes_while_it_looks(clock)
        waits(world, request)
    assert world.status(request) == "approved"
    assert attempts(world, request) == ["retry"]
    assert world.events(request)[-2:] == ["execution.claimed", "execution.postponed"]
    assert world.ledger(request) == []
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        assert unfounded(world.tenant.pk) is None
    run(world, request)
    assert attempts(world, request) == ["retry", "succeeded"]


def closes_while_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    look, now = lastlook.look, lastlook._now

    def slowly(*what: Any) -> lastlook.Look:
        found = look(*what)
        monkeypatch.setattr(lastlook, "_now", lambda request: now(request) + 3 * HOUR)
        return found

    monkeypatch.setattr(lastlook, "look", slowly)


def test_without_its_event_it_is_not_put_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = windowed(world, open_now())
    real = execute._put_back

    def broken(*what: Any) -> None:
        break_the_trail(monkeypatch, outcomes)
        real(*what)

    monkeypatch.setattr(execute, "_put_back", broken)
    closes_while_it_looks(monkeypatch)
    with pytest.raises(RuntimeError, match="the trail is full"):
        run(world, request)
    assert (world.status(request), attempts(world, request)) == ("executing", ["open"])


POLICY = """\
policy: 1
name: hours
actions:
  refund_payment:
    rules:
      - name: all
        when: "true"
        because: "Support agrees to every refund."
        then: { require: [{ role: support_lead, count: 1 }], valid_for: 9d }
"""


def policy(window: Window | None) -> str:
    """With this window for every refund."""
    if window is None:
        return POLICY
    days, zone = ", ".join(window.days), window.zone
    given = f'{{ days: [{days}], from: "{window.opens:%H:%M}", to: "{window.closes:%H:%M}", zone: {zone} }}'
    return POLICY.replace("valid_for: 9d", f"valid_for: 9d, window: {given}")


def test_a_window_that_the_policy_has_since_holds_too(world: World) -> None:
    world.put_in_force(policy(None))
    request = approved(world)
    world.put_in_force(policy(shut_now()))
    waits(world, request)
    assert (world.status(request), world.ledger(request)) == ("approved", [])
    world.put_in_force(policy(None))
    run(world, request)
    assert world.status(request) == "succeeded"


def test_a_window_then_and_another_one_now_have_both_to_be_open(world: World) -> None:
    world.put_in_force(policy(open_now()))
    request = approved(world)
    assert request.verdict["windows"] != []
    world.put_in_force(policy(opens_in(timedelta(minutes=30), lasts=3 * HOUR)))
    wait = waits(world, request)
    assert 28 * 60 < wait.seconds <= 30 * 60
    assert world.ledger(request) == []


def test_what_a_rule_approves_waits_for_its_window_too(world: World) -> None:
    text = policy(shut_now()).replace("require: [{ role: support_lead, count: 1 }]", "auto_approve: true")
    world.put_in_force(text)
    request = world.submit()
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    request = world.reload_as("web", request)
    assert request.status == "approved"
    assert request.decided_at is not None
    assert request.expires_at == request.decided_at + timedelta(days=9)
    waits(world, request)
    assert world.ledger(request) == []


def test_another_attempt_waits_for_the_window_and_doubt_is_settled_at_any_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = windowed(world, open_now())
    world.shop.arm("error_500", method="POST")
    run(world, request)
    assert world.status(request) == "uncertain"
    with later(world, monkeypatch, by=3 * HOUR):
        reconcile(world, request)
        assert world.status(request) == "executing"
        waits(world, request)
    assert attempts(world, request) == ["uncertain"]
    run(world, request)
    assert world.status(request) == "succeeded"


def test_what_a_dead_worker_sent_is_in_doubt_at_any_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = windowed(world, open_now())
    crash_at(world, monkeypatch, request, "_succeeded")
    change_execution(world, request, lease_until=timezone.now() - timedelta(seconds=1))
    with later(world, monkeypatch, by=3 * HOUR):
        run(world, request)
    assert world.status(request) == "uncertain"


def test_nobody_waits_beyond_the_deadline_and_then_it_has_run_out(world: World) -> None:
    request = asking(world, LEAD, windows=(shut_now(),), valid_for=HOUR)
    request = world.vote(request, "approve", "lena")
    wait = waits(world, request)
    assert wait.seconds <= HOUR.total_seconds()
    assert request.decided_at is not None
    with world.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(
            decided_at=request.decided_at - HOUR, expires_at=timezone.now() - timedelta(seconds=1)
        )
    run(world, request)
    with world.processes.acting_as("sweeper"):
        assert sweeping.expire(request.pk, request.tenant_id)
    assert world.ledger(request) == []
    expired = world.reload_as("web", request)
    assert expired.status == "expired"
    assert hours.missed(expired)


def test_windows_that_never_meet_let_it_run_out(world: World) -> None:
    monday, tuesday = (Window((day,), time(9), time(17), "UTC") for day in DAYS[:2])
    request = windowed(world, monday, tuesday)
    with pytest.raises(outbox.Postponed, match="does not open before its time is up") as wait:
        run(world, request)
    assert WEEK.total_seconds() - 60 < wait.value.seconds <= WEEK.total_seconds()


# --- the wall of the database -----------------------------------------------------------------------------


def test_not_even_a_worker_that_was_taken_over_says_that_it_sends_outside_the_window(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = windowed(world, shut_now())
    with world.processes.acting_as("worker"):
        assert execute._claim(request.pk, request.tenant_id) is not None
    with pytest.raises(psycopg.errors.CheckViolation, match="outside its window"):
        attempt(world, "worker", "UPDATE execution SET sent_at = now() WHERE request_id = %s", request.pk)


def test_the_database_says_what_we_say_of_any_window(world: World) -> None:
    """Every day of the week, from and to every hour that matters now, in places that are hours apart."""
    request = asking(world, LEAD, valid_for=WEEK)
    request = world.vote(request, "approve", "lena")
    with world.processes.acting_as("worker"):
        assert execute._claim(request.pk, request.tenant_id) is not None
    answers = []
    with world.processes.cursor("admin") as shell:
        for window in some_windows():
            now = let_in(shell, request, window)
            answers.append((window.is_open(now[0]), now[1], window))
        shell.connection.rollback()
    assert {is_open for is_open, _, _ in answers} == {True, False}
    assert [window for ours, theirs, window in answers if ours != theirs] == []


def some_windows() -> Sequence[Window]:
    now = timezone.now()
    times = [
        ((now + start * HOUR).time().replace(second=0, microsecond=0), (now + end * HOUR).time())
        for start, end in ((-1, 1), (1, 3), (-3, -1), (3, -2), (2, 1), (-2, 11))
    ]
    zones = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland")
    return [Window((day,), *given, zone) for day, given, zone in product(DAYS, times, zones)]


def let_in(shell: psycopg.Cursor[Any], request: ApprovalRequest, window: Window) -> tuple[datetime, bool]:
    verdict = to_json(AutoApprove("b", "r", windows=(window,)))
    shell.execute("SELECT now()")
    found = shell.fetchone()
    assert found is not None
    now: datetime = found[0]
    shell.execute("SAVEPOINT before")
    try:
        shell.execute(
            "UPDATE approval_request SET verdict = %s WHERE id = %s",
            (Json(verdict), request.pk),
        )
        shell.execute("UPDATE execution SET sent_at = now() WHERE request_id = %s", (request.pk,))
    except psycopg.errors.CheckViolation:
        return now, False
    else:
        return now, True
    finally:
        shell.execute("ROLLBACK TO before")


# --- break-glass ------------------------------------------------------------------------------------------


def test_nobody_pushes_through_what_a_glass_does_not_outlast(world: World) -> None:
    with world.processes.acting_as("web"):
        for window, refused in (
            (shut_now(), True),
            (open_now(), False),
            (opens_in(timedelta(minutes=5)), False),
        ):
            request = asking(world, LEAD, windows=(window,), valid_for=WEEK)
            with tenant_scope(world.tenant.pk):
                assert isinstance(never_because(request), WindowShut) is refused
