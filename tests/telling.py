"""Receivers and people that are told, in the middle of it: delivered, given up, waiting, and one that is off."""

from datetime import timedelta

from django.utils import timezone

from approvals import notifications
from approvals.database import tenant_scope
from approvals.models import Outbox, Receiver, ReceiverSecret, SlackCard
from approvals.notifications import Choice
from tests.scan.known import secret
from tests.world import World

TOKEN = "-".join(("xoxb", "2" * 12, "PLANTED0TOKEN"))


def telling(world: World) -> Receiver:
    """The one with a bit of everything; its secret was just renewed."""
    secret("a Slack token", TOKEN)
    with world.processes.acting_as("migrator"):
        tickets = _added(world, "webhook", "Ticket system", "https://tickets.example.com/hooks/countersign")
        _added(world, "slack", "Old channel", "https://hooks.slack.com/services/T0/B0/PLANTED")
        old = Receiver.objects.get(tenant=world.tenant, name="Old channel")
        notifications.add_receiver(world.tenant, "slack_app", "refunds", "", TOKEN, channel="C0123456789")
        current = ReceiverSecret.objects.get(receiver=tickets)
    with world.processes.acting_as("web"):
        by = world.reviewer("opal")
        notifications.hear_only(tickets.pk, ["request.created", "request.failed"], by=by)
        notifications.renew_secret(tickets.pk, instead_of=current.pk, by=by)
        notifications.switch(old.pk, on=False, by=by)
        notifications.send_test(tickets.pk, by=by)
        notifications.choose(Choice(new_requests="at_once"), by=world.reviewer("lena"))
        notifications.choose(Choice(new_requests="daily", reminders=True), by=world.reviewer("felix"))
    _told(world, tickets)
    return tickets


def _added(world: World, kind: str, name: str, url: str) -> Receiver:
    return notifications.add_receiver(world.tenant, kind, name, url, notifications.new_secret())


def _told(world: World, tickets: Receiver) -> None:
    """Of four new requests, and each message ended in another way."""
    now = timezone.now()
    ends = (
        {"done_at": now, "attempts": 1},
        {"gave_up_at": now, "attempts": 8, "last_error": "it answered 404"},
        {"attempts": 3, "last_error": "it answered 503", "not_before": now + timedelta(minutes=20)},
    )
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        Outbox.objects.filter(kind="receiver.test").update(done_at=now, attempts=1)
        rows = Outbox.objects.filter(topic="announce", kind="request.created").order_by("-created_at")[:4]
        for row, end in zip(rows, ends, strict=False):
            notifications.announce(row)
            Outbox.objects.filter(announcement=row, topic="deliver").update(**end)
        letters = Outbox.objects.filter(topic="mail", person__isnull=False)
        letters.update(done_at=now, attempts=1, last_error="it no longer waits for this person")
        slack = Receiver.objects.get(kind="slack_app")
        SlackCard.objects.create(
            tenant=world.tenant,
            receiver=slack,
            request_id=rows[0].about,
            ts="1795370096.000001",
            shown_at=now,
        )
    assert tickets.pk
