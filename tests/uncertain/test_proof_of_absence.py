"""When "there is no record of it" is believed, and how often it is asked for."""

from datetime import timedelta

import pytest
from django.utils import timezone

from approvals import actions, outbox, tasks
from approvals import reconcile as reconciling
from approvals.database import tenant_scope
from approvals.models import Outbox
from tests.uncertain.doubts import attempts, change, earlier, in_doubt, reconcile, run, sent
from tests.world import World

HOUR = timedelta(hours=1)


@pytest.fixture
def lagging(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider finds what has happened within an hour."""
    monkeypatch.setattr(type(actions.get("refund_payment")), "index_lags", HOUR)


@pytest.mark.usefixtures("lagging")
def test_an_index_that_lags_proves_nothing_before_its_time(world: World) -> None:
    request = in_doubt(world)
    earlier(world, request, HOUR - timedelta(seconds=30))
    waits = reconcile(world, request, turn=9)
    assert waits
    assert waits.seconds <= 30
    assert "execution.reconciled" not in world.events(request)
    assert world.status(request) == "uncertain"


@pytest.mark.usefixtures("lagging")
def test_after_its_time_it_has_to_be_missing_twice_and_some_seconds_apart(world: World) -> None:
    request = in_doubt(world)
    earlier(world, request, HOUR)
    assert "once more" in str(reconcile(world, request))
    assert "once more" in str(reconcile(world, request))  # at once is not apart
    assert world.status(request) == "uncertain"
    earlier(world, request, reconciling.APART)
    assert reconcile(world, request) is None
    assert world.status(request) == "executing"
    assert run(world, request) == "succeeded"


@pytest.mark.usefixtures("lagging")
def test_what_turns_up_between_the_two_looks_has_happened(world: World) -> None:
    request = in_doubt(world, "drop_after_commit")
    earlier(world, request, HOUR)
    change(world, request, absent_at=None)
    with pytest.MonkeyPatch.context() as hidden:
        hidden.setattr(type(actions.get("refund_payment")), "reconcile", lambda *_, **__: None)
        earlier(world, request, HOUR)
        assert reconcile(world, request)
    assert reconcile(world, request) is None
    assert world.status(request) == "succeeded"
    assert len(world.ledger(request)) == 1


@pytest.mark.usefixtures("lagging")
def test_each_attempt_in_doubt_is_looked_for_anew(world: World) -> None:
    request = in_doubt(world)
    earlier(world, request, HOUR)
    reconcile(world, request)
    earlier(world, request, reconciling.APART)
    reconcile(world, request)
    world.shop.arm("error_500", method="POST")
    assert run(world, request) == "uncertain"
    assert reconcile(world, request)
    earlier(world, request, HOUR)
    assert "once more" in str(reconcile(world, request))
    assert attempts(world, request) == ["uncertain", "uncertain"]
    assert sent(world, request) == 2


@pytest.mark.usefixtures("lagging")
@pytest.mark.parametrize(("more", "believed"), [(59, False), (61, True)])
def test_a_lost_answer_may_arrive_late_and_be_missing_from_the_index_after_that(
    world: World, more: int, believed: bool
) -> None:
    request = in_doubt(world, amount_minor=5000)
    change(world, request, backing_status=None)
    earlier(world, request, HOUR + timedelta(seconds=more))
    waits = str(reconcile(world, request))
    assert ("once more" in waits) == believed


def test_it_is_asked_ever_more_rarely(world: World) -> None:
    request = in_doubt(world)
    waits = []
    for turn in (1, 2, 5, 30):
        world.shop.arm("error_500", method="GET")
        found = reconcile(world, request, turn)
        assert found
        waits.append(found.seconds)
    for waited, shortest in zip(waits, (2, 4, 32, 3600), strict=True):
        assert shortest <= waited <= shortest * 1.25


@pytest.mark.parametrize(("asked", "turn", "shortest"), [(120, 1, 120), (1, 6, 64)])
def test_it_waits_as_long_as_the_provider_asks_and_never_shorter_than_its_turn(
    world: World, asked: int, turn: int, shortest: int
) -> None:
    request = in_doubt(world)
    world.shop.arm("rate_limited", method="GET", retry_after=asked)
    waits = reconcile(world, request, turn)
    assert waits
    assert shortest <= waits.seconds <= shortest * 1.25


def test_the_row_in_the_outbox_counts_the_turns(world: World) -> None:
    request = in_doubt(world)
    with world.processes.acting_as("worker"):
        with tenant_scope(world.tenant.pk):
            row = Outbox.objects.get(request=request, topic=outbox.RECONCILE)
            Outbox.objects.filter(pk=row.pk).update(attempts=8, not_before=timezone.now())
        world.shop.arm("error_500", method="GET")
        tasks.reconcile(str(row.pk), str(row.tenant_id))
        with tenant_scope(world.tenant.pk):
            row.refresh_from_db()
    assert row.attempts == 9
    assert row.not_before > timezone.now() + timedelta(seconds=500)
