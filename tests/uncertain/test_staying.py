"""What stays in doubt is told to operators: once, wherever they look."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.core import mail as outgoing
from django.db import IntegrityError, ProgrammingError
from django.utils import timezone

from approvals import clock, outbox
from approvals.database import tenant_scope
from approvals.management.commands.sweeper import Sweep
from approvals.models import ApprovalRequest, Outbox
from approvals.notifications import kinds, mail, slack, stays_uncertain, webhook
from approvals.notifications.message import message
from tests.uncertain.doubts import earlier, in_doubt, reconcile, rows, run, tell
from tests.world import World, break_the_trail

PATIENCE = timedelta(seconds=settings.UNCERTAIN_ALERT_SECONDS)


def staying(world: World) -> ApprovalRequest:
    request = in_doubt(world)
    earlier(world, request, PATIENCE)
    return request


def test_operators_are_told_once_that_it_stays_in_doubt(world: World) -> None:
    request = staying(world)
    assert tell(world, request)
    assert not tell(world, request)
    assert world.events(request).count("execution.stays_uncertain") == 1
    assert sorted(rows(world, request, kind=stays_uncertain.KIND)) == ["announce", "mail"]


def test_nobody_is_told_before_its_time(world: World) -> None:
    request = in_doubt(world)
    earlier(world, request, PATIENCE - timedelta(seconds=30))
    assert not tell(world, request)
    assert "execution.stays_uncertain" not in world.events(request)


def test_nor_of_what_is_in_doubt_no_more(world: World) -> None:
    request = in_doubt(world, "drop_after_commit")
    reconcile(world, request)
    earlier(world, request, PATIENCE)
    assert not tell(world, request)


def test_its_time_counts_from_the_first_doubt(world: World) -> None:
    request = in_doubt(world)
    earlier(world, request, PATIENCE)
    reconcile(world, request)
    world.shop.arm("error_500", method="POST")
    assert run(world, request) == "uncertain"
    assert tell(world, request)


def test_what_is_answered_with_an_error_each_time_is_sent_ever_more_rarely_and_told_once(
    world: World,
) -> None:
    """As Stripe does, which repeats a failure of its own under the same key for a day."""
    request, waits = in_doubt(world), [looked_up_in(world)]
    for _ in range(4):
        reconcile(world, request)
        world.shop.arm("error_500", method="POST")
        assert run(world, request) == "uncertain"
        waits.append(looked_up_in(world))
    for doubts, seconds in enumerate(waits, start=1):
        assert 2**doubts - 1 < seconds <= 2**doubts * 1.25
    assert rows(world, request, kind="request.uncertain") == ["announce"]


def looked_up_in(world: World) -> float:
    """Seconds until the provider is asked what became of the last attempt."""
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        row = Outbox.objects.filter(topic=outbox.RECONCILE, done_at=None).order_by("created_at").last()
    assert row
    return (row.not_before - row.created_at).total_seconds()


def test_how_long_that_is_is_a_setting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "UNCERTAIN_ALERT_SECONDS", 86400)
    request = staying(world)
    assert not tell(world, request)
    monkeypatch.setattr(settings, "UNCERTAIN_ALERT_SECONDS", 0)
    assert tell(world, request)


def test_the_sweeper_finds_it_by_itself(world: World) -> None:
    request = staying(world)
    with world.processes.acting_as("sweeper"):
        assert (request.pk, request.tenant_id) in clock.to_tell_of_doubt()
        Sweep()()
        assert clock.to_tell_of_doubt() == []
    assert "execution.stays_uncertain" in world.events(request)


def test_nobody_is_told_without_its_event(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = staying(world)
    break_the_trail(monkeypatch, clock)
    with pytest.raises(RuntimeError):
        tell(world, request)
    assert world.reload_as("web", request).doubt_told_at is None
    assert rows(world, request, kind=stays_uncertain.KIND) == []


def test_operators_get_a_mail_that_says_what_to_do(world: World) -> None:
    request = staying(world)
    tell(world, request)
    with world.processes.acting_as("worker"):
        with tenant_scope(world.tenant.pk):
            row = Outbox.objects.get(request=request, topic=outbox.MAIL)
        mail.send(row)
    (sent,) = outgoing.outbox
    assert sorted(sent.to) == sorted(world.people[name].email for name in ("opal", "olga"))
    assert "Do not repeat it by hand" in sent.body
    assert request.headline in sent.body
    assert f"/requests/{request.pk}/" in sent.body


def test_receivers_are_told_in_words_of_its_own(world: World) -> None:
    request = staying(world)
    tell(world, request)
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        row = Outbox.objects.select_related("request").get(
            request=request, topic=outbox.ANNOUNCE, kind=stays_uncertain.KIND
        )
        told = message(row)
    assert (told.kind, told.status) == ("request.stays_uncertain", "uncertain")
    assert "Still not known" in str(slack.card(told))
    assert '"type":"request.stays_uncertain"' in webhook.body(told)


def test_every_receiver_is_told_whatever_a_rule_says() -> None:
    assert stays_uncertain.KIND in kinds.TO_ALL


# --- walls ------------------------------------------------------------------------------------------------


def test_a_sweeper_that_was_taken_over_silences_nobody(world: World) -> None:
    """It cannot say that operators were told of what is not in doubt, nor take back that they were."""
    waiting, told = world.submit(payment_id="pay_10002", amount_minor=4500), staying(world)
    tell(world, told)
    for request, when in ((waiting, timezone.now()), (told, None)):
        with (
            world.processes.acting_as("sweeper"),
            pytest.raises(IntegrityError, match="told once"),
            tenant_scope(world.tenant.pk),
        ):
            ApprovalRequest.objects.filter(pk=request.pk).update(doubt_told_at=when)


@pytest.mark.parametrize("process", ["door", "web"])
def test_nobody_else_says_since_when_it_is_in_doubt(world: World, process: str) -> None:
    request = in_doubt(world)
    with world.processes.acting_as(process), pytest.raises(ProgrammingError), tenant_scope(world.tenant.pk):
        ApprovalRequest.objects.filter(pk=request.pk).update(doubted_at=timezone.now())
