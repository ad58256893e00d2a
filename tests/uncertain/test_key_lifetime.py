"""After its key's lifetime nothing is sent again, on whatever way it comes there."""

from datetime import timedelta

import pytest
from django.conf import settings

from approvals import actions, rejudge
from tests.switches.stops import Operators
from tests.uncertain.doubts import approved, attempts, earlier, in_doubt, reconcile, run, sent
from tests.world import World

LIVES = timedelta(hours=24)
LATE = timedelta(hours=23, minutes=59, seconds=30)  # an attempt that begins now may arrive a minute later
IN_TIME = timedelta(hours=23, minutes=58)


@pytest.mark.parametrize(
    ("ago", "status"), [(IN_TIME, "executing"), (LATE, "uncertain"), (2 * LIVES, "uncertain")]
)
def test_what_never_happened_is_tried_again_only_while_its_key_is_known(
    world: World, ago: timedelta, status: str
) -> None:
    request = in_doubt(world)
    earlier(world, request, ago)
    waits = reconcile(world, request)
    assert world.status(request) == status
    if waits:
        assert "people settle it" in str(waits)
    run(world, request)
    assert sent(world, request) == (2 if status == "executing" else 1)


def test_the_provider_is_asked_on_and_the_trail_does_not_grow_by_it(world: World) -> None:
    request = in_doubt(world)
    earlier(world, request, LIVES)
    for turn in range(1, 4):
        assert reconcile(world, request, turn)
    assert world.events(request).count("execution.reconciled") == 1


def test_a_record_that_turns_up_after_the_keys_time_still_ends_the_doubt(world: World) -> None:
    request = in_doubt(world, "drop_after_commit")
    earlier(world, request, 2 * LIVES)
    assert reconcile(world, request) is None
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1


def test_it_is_the_first_attempt_that_counts_and_not_the_last(world: World) -> None:
    request = in_doubt(world)
    earlier(world, request, LIVES / 2)
    reconcile(world, request)
    world.shop.arm("error_500", method="POST")
    assert run(world, request) == "uncertain"
    earlier(world, request, LIVES / 2)
    assert reconcile(world, request)
    assert world.status(request) == "uncertain"
    assert sent(world, request) == 2


def test_after_doubt_a_wait_that_the_provider_asked_for_does_not_outlive_the_key(world: World) -> None:
    request = in_doubt(world)
    reconcile(world, request)
    world.shop.arm("rate_limited", method="POST")
    assert run(world, request) == "executing"
    earlier(world, request, LIVES)
    assert run(world, request) == "uncertain"
    assert attempts(world, request) == ["uncertain", "retry", "too late"]
    assert sent(world, request) == 2
    assert world.ledger(request) == []


def test_what_was_only_asked_to_wait_fails_and_says_that_nothing_was_done(world: World) -> None:
    """Sent, and answered with "later": nothing is in doubt, but its key counts from then."""
    request = approved(world)
    world.shop.arm("rate_limited", method="POST")
    assert run(world, request) == "executing"
    earlier(world, request, LIVES)
    assert run(world, request) == "failed"
    assert "nothing was done" in world.reload_as("web", request).outcome
    assert world.ledger(request) == []


def test_a_stop_that_held_it_for_two_days_ends_in_no_attempt(world: World) -> None:
    operators = Operators(world)
    request = in_doubt(world)
    reconcile(world, request)
    switch = operators.stop()
    run(world, request)
    assert world.status(request) == "executing"  # once in doubt, it is not simply approved again
    earlier(world, request, 2 * LIVES)
    operators.go_on(switch)
    assert run(world, request) == "uncertain"
    assert sent(world, request) == 1
    assert world.ledger(request) == []


def test_facts_that_changed_and_people_who_agreed_anew_give_an_old_key_no_new_life(world: World) -> None:
    request = in_doubt(world, amount_minor=5000)
    reconcile(world, request)
    world.refund_elsewhere("pay_10001", 3000)
    assert run(world, request) == "stale"
    with world.processes.acting_as("worker"):
        rejudge.reopen(request.pk, request.tenant_id)
    world.vote(request, "approve", "lena")
    earlier(world, request, LIVES)
    assert run(world, request) == "uncertain"
    assert world.ledger(request) == []


def test_the_time_is_asked_again_at_the_moment_of_sending(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking everything up took longer than the key had left."""
    request = in_doubt(world)
    reconcile(world, request)
    real = actions.get("refund_payment").look_up

    def slow(*args: object) -> object:
        earlier(world, request, LIVES)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(type(actions.get("refund_payment")), "look_up", lambda self, *args: slow(*args))
    assert run(world, request) == "uncertain"
    assert sent(world, request) == 1


def test_what_a_refusal_ended_needs_no_key(world: World) -> None:
    request = in_doubt(world)
    reconcile(world, request)
    world.shop.arm("refuse", method="POST")
    assert run(world, request) == "uncertain"
    earlier(world, request, 2 * LIVES)
    assert reconcile(world, request) is None
    assert world.status(request) == "failed"


def test_an_action_says_how_long_its_provider_remembers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(actions.get("refund_payment")), "key_lives", timedelta(days=7))
    request = in_doubt(world)
    earlier(world, request, 2 * LIVES)
    reconcile(world, request)
    assert run(world, request) == "succeeded"


def test_what_may_take_longer_has_to_begin_sooner(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = in_doubt(world)
    earlier(world, request, IN_TIME)
    monkeypatch.setattr(settings, "BACKING_LONGEST_SECONDS", 300)
    assert reconcile(world, request)
    assert world.status(request) == "uncertain"
