"""What nobody decides is brought to mind, and others are asked too: by the sweeper, once, and under no switch."""

from datetime import timedelta

import pytest
from django.utils import timezone

from approvals import claims, clock, rejudge
from approvals.errors import NotEntitled, NotYourTurn
from approvals.models import ApprovalRequest
from policies.documents import shipped
from policies.verdicts import Escalation, Stage
from tests.people.asking import FINANCE, HOUR, LEAD, asking, away, hire, loses, reload
from tests.switches.stops import Operators, sweep
from tests.test_decide import topics
from tests.test_execute import run
from tests.world import World, break_the_trail

UP = Escalation(after=HOUR, to="head_of_support")
VALID = {"escalation": UP}


def later(world: World, request: ApprovalRequest, by: timedelta) -> None:
    """Time passes: as seen from the request, everything in it is longer ago."""
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET expires_at = expires_at - %(by)s, frozen_at = frozen_at - %(by)s,"
            " escalates_at = escalates_at - %(by)s, reminds_at = reminds_at - %(by)s WHERE id = %(id)s",
            {"by": by, "id": request.pk},
        )


def urged(world: World, request: ApprovalRequest) -> tuple[bool, bool]:
    """Whether the sweeper's next round escalates it, and whether it reminds."""
    found = []
    with world.processes.acting_as("sweeper"):
        for due, do in ((clock.to_escalate, clock.escalate), (clock.to_remind, clock.remind)):
            is_due = (request.pk, request.tenant_id) in due(10_000)
            did = do(request.pk, request.tenant_id)
            assert is_due or not did
            found.append(did)
    return found[0], found[1]


def test_after_its_time_others_may_fill_the_open_place(world: World) -> None:
    hire(world, "hedy", "head_of_support")
    request = asking(world, LEAD, **VALID)
    with pytest.raises(NotEntitled):
        world.vote(request, "approve", "hedy")
    assert urged(world, request) == (False, False)
    later(world, request, HOUR)
    assert urged(world, request) == (True, False)
    assert urged(world, request) == (False, False)
    assert world.events(request)[-1] == "request.escalated"
    assert topics(world, request)[-1] == "request.escalated"
    assert world.vote(request, "approve", "hedy").status == "approved"


def test_it_helps_in_the_step_that_is_asked_now_and_only_one_place_a_person(world: World) -> None:
    hire(world, "hedy", "head_of_support")
    request = asking(world, LEAD, Stage("finance", 1, step=2), **VALID)
    later(world, request, HOUR)
    urged(world, request)
    with pytest.raises(NotYourTurn):
        world.vote(request, "approve", "felix")
    assert world.vote(request, "approve", "hedy").status == "pending"
    assert world.vote(request, "approve", "felix").status == "approved"


def test_somebody_out_of_office_may_be_the_one_it_escalates_to(world: World) -> None:
    hire(world, "hedy", "head_of_support")
    request = asking(world, LEAD, **VALID)
    away(world, "hedy", "felix")
    later(world, request, HOUR)
    urged(world, request)
    assert world.vote(request, "approve", "felix").status == "approved"


def test_a_role_that_it_escalated_to_and_that_was_lost_since_makes_it_stale(world: World) -> None:
    hire(world, "hedy", "head_of_support")
    request = asking(world, LEAD, **VALID)
    later(world, request, HOUR)
    urged(world, request)
    world.vote(request, "approve", "hedy")
    loses(world, "hedy", "head_of_support")
    run(world, request)
    assert world.status(request) == "stale"


def test_the_policy_of_the_execution_must_still_let_it_escalate(world: World) -> None:
    """The demo policy lets a support lead alone decide, and nobody else after any time."""
    hire(world, "hedy", "head_of_support")
    request = asking(world, LEAD, **VALID)
    later(world, request, HOUR)
    urged(world, request)
    world.vote(request, "approve", "hedy")
    run(world, request)
    assert world.status(request) == "stale"


def escalated_and_approved(world: World, after: timedelta) -> ApprovalRequest:
    """By the one to whom it escalated, at its escalation or so much later; an hour was the time then."""
    hire(world, "hedy", "head_of_support")
    request = asking(world, LEAD, **VALID)
    later(world, request, HOUR + after)
    assert urged(world, request)[0]
    assert world.vote(request, "approve", "hedy").status == "approved"
    return request


def now_escalates(world: World, after: str) -> None:
    usual = 'because: "Every refund is agreed to by a support lead."\n        then:\n'
    more = f"          escalate_after: {after}\n          escalate_to: head_of_support\n"
    world.put_in_force(shipped().replace(usual, usual + more))


@pytest.mark.parametrize(("late", "after"), [(0, "30m"), (0, "1h"), (2, "3h")])
def test_who_helped_after_the_time_of_the_policy_now_has_helped(world: World, late: int, after: str) -> None:
    request = escalated_and_approved(world, late * HOUR)
    now_escalates(world, after)
    run(world, request)
    assert world.status(request) == "succeeded"


@pytest.mark.parametrize(("late", "after"), [(0, "24h"), (2, "4h")])
def test_who_helped_before_the_policy_now_lets_others_help_has_not(
    world: World, late: int, after: str
) -> None:
    """The later moment holds: that of an hour then, and of more now."""
    request = escalated_and_approved(world, late * HOUR)
    now_escalates(world, after)
    run(world, request)
    assert (world.status(request), world.ledger(request)) == ("stale", [])


@pytest.mark.parametrize(("when", "status"), [("before it escalated", "stale"), ("approved", "succeeded")])
def test_the_time_held_counts_for_the_moment_of_the_policy_now_neither(
    world: World, operators: Operators, when: str, status: str
) -> None:
    """Held before its escalation, that is later by both rules. Held as approved, who helped in time has helped."""
    hire(world, "hedy", "head_of_support")
    request = asking(world, LEAD, **VALID)

    def is_held_for_ten_hours() -> None:
        switch = operators.stop()
        sweep(world)
        later(world, request, 10 * HOUR)
        operators.go_on(switch)
        sweep(world)

    if when == "before it escalated":
        is_held_for_ten_hours()
        later(world, request, HOUR)
    else:
        later(world, request, 2 * HOUR)
    assert urged(world, request)[0]
    world.vote(request, "approve", "hedy")
    if when == "approved":
        is_held_for_ten_hours()
    now_escalates(world, "2h")
    run(world, request)
    assert world.status(request) == status


def test_what_is_reopened_escalates_anew(world: World) -> None:
    request = escalated_and_approved(world, timedelta())
    now_escalates(world, "24h")
    run(world, request)
    with world.processes.acting_as("worker"):
        rejudge.reopen(request.pk, request.tenant_id)
    with pytest.raises(NotEntitled):
        world.vote(request, "approve", "hedy")
    later(world, request, 24 * HOUR)
    assert urged(world, request)[0]
    assert world.vote(request, "approve", "hedy").status == "approved"
    run(world, request)
    assert world.status(request) == "succeeded"


def test_a_decided_request_is_not_escalated(world: World) -> None:
    request = asking(world, LEAD, **VALID)
    later(world, request, HOUR)
    world.vote(request, "approve", "lena")
    assert urged(world, request) == (False, False)


def test_at_half_of_its_time_with_nobody_at_it_it_is_brought_to_mind_once(world: World) -> None:
    request = world.submit()  # 72 hours
    later(world, request, 35 * HOUR)
    assert urged(world, request) == (False, False)
    later(world, request, 2 * HOUR)
    assert urged(world, request) == (False, True)
    assert urged(world, request) == (False, False)
    assert world.events(request) == ["request.created", "request.reminded"]
    assert topics(world, request)[-1] == "request.reminder"


def test_whoever_is_at_it_or_has_voted_is_not_reminded(world: World) -> None:
    claimed, voted = world.submit(), asking(world, LEAD, FINANCE)
    with world.processes.acting_as("web"):
        claims.claim(claimed.pk, by=world.reviewer("lena"))
    world.vote(voted, "approve", "lena")
    for request in (claimed, voted):
        later(world, request, 40 * HOUR)
        assert urged(world, request) == (False, False)
    with world.processes.acting_as("web"):
        claims.release(claimed.pk, by=world.reviewer("lena"))
    assert urged(world, claimed) == (False, True)


def test_what_a_switch_holds_is_left_alone_and_the_time_held_does_not_count(
    world: World, operators: Operators
) -> None:
    request = asking(world, LEAD, **VALID)
    later(world, request, HOUR / 2)
    before = reload(world, request)
    switch = operators.stop()
    sweep(world)
    later(world, request, 50 * HOUR)
    assert urged(world, request) == (False, False)
    operators.go_on(switch)
    sweep(world)
    after = reload(world, request)
    stood = after.expires_at - before.expires_at
    assert after.escalates_at and before.escalates_at and after.reminds_at and before.reminds_at
    assert after.escalates_at - before.escalates_at == after.reminds_at - before.reminds_at == stood
    assert abs(after.escalates_at - timezone.now() - HOUR / 2) < timedelta(minutes=5)
    assert urged(world, request) == (False, False)


def test_a_switch_that_the_sweeper_has_not_seen_yet_holds_it_too(world: World, operators: Operators) -> None:
    request = asking(world, LEAD, **VALID)
    later(world, request, 40 * HOUR)
    operators.stop()
    assert urged(world, request) == (False, False)


def test_a_new_revision_begins_anew(world: World) -> None:
    request = asking(world, LEAD, **VALID)
    later(world, request, 40 * HOUR)
    assert urged(world, request) == (True, True)
    world.vote(request, "approve", "lena")
    world.refund_elsewhere("pay_10001", 100)
    run(world, request)
    from tests.courses import reopen

    again = reload(world, reopen(world, request))
    assert (again.revision, again.escalated_at, again.reminded_at) == (2, None, None)
    assert again.reminds_at is not None
    assert abs(again.reminds_at - timezone.now() - 36 * HOUR) < timedelta(minutes=1)


@pytest.mark.parametrize("do", [clock.escalate, clock.remind])
def test_without_its_event_it_does_not_happen(
    world: World, monkeypatch: pytest.MonkeyPatch, do: object
) -> None:
    request = asking(world, LEAD, **VALID)
    later(world, request, 40 * HOUR)
    break_the_trail(monkeypatch, clock)
    with world.processes.acting_as("sweeper"), pytest.raises(RuntimeError):
        do(request.pk, request.tenant_id)  # type: ignore[operator]
    again = reload(world, request)
    assert (again.escalated_at, again.reminded_at) == (None, None)


@pytest.mark.parametrize("do", [clock.escalate, clock.remind])
def test_a_request_of_another_tenant_is_left_alone(world: World, do: object) -> None:
    request = asking(world, LEAD, **VALID)
    later(world, request, 40 * HOUR)
    with world.processes.acting_as("sweeper"):
        assert not do(request.pk, world.other.pk)  # type: ignore[operator]
