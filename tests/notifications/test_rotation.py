"""A receiver's secret is renewed: for a day both sign, as the published library checks."""

from datetime import timedelta

import pytest
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from approvals import notifications
from approvals.database import tenant_scope
from approvals.errors import EarlierSecretCounts, NoSecretToRenew, SecretEnded, SecretRenewedAlready
from approvals.models import Receiver, ReceiverSecret
from approvals.notifications import operating
from tests.notifications.conftest import SECRET, Post
from tests.notifications.receiving import Received, Receiving
from tests.scan.known import secret as known_secret
from tests.world import World, break_the_trail


def secrets(world: World, receiver: Receiver) -> list[ReceiverSecret]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        return list(ReceiverSecret.objects.filter(receiver=receiver).order_by("created_at"))


def renew(world: World, receiver: Receiver) -> str:
    current = secrets(world, receiver)[-1]
    with world.processes.acting_as("web"):
        made = notifications.renew_secret(receiver.pk, instead_of=current.pk, by=world.reviewer("opal"))
    return known_secret("a receiver's secret", made)


def a_day_passes(world: World) -> None:
    with world.processes.acting_as("migrator"):
        for one in ReceiverSecret.objects.filter(tenant=world.tenant).exclude(ends_at=None):
            one.ends_at = timezone.now() - timedelta(seconds=1)
            one.save()


def sent(world: World, post: Post, receiver: Receiving) -> Received:
    receiver.received.clear()
    world.submit()
    post.round()
    return receiver.received[-1]


def verifies(got: Received, secret: str) -> bool:
    try:
        Webhook(secret).verify(got.body, dict(got.headers))
    except WebhookVerificationError:
        return False
    return True


def test_during_the_overlap_both_secrets_verify_and_afterwards_the_new_one_alone(
    world: World, post: Post, receiver: Receiving
) -> None:
    added = post.add("webhook", receiver.url)
    new = renew(world, added)
    got = sent(world, post, receiver)
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    assert verifies(got, SECRET)
    assert verifies(got, new)
    a_day_passes(world)
    got = sent(world, post, receiver)
    assert not verifies(got, SECRET)
    assert verifies(got, new)


def test_an_operator_ends_the_overlap_early(world: World, post: Post, receiver: Receiving) -> None:
    added = post.add("webhook", receiver.url)
    new, (earlier, _) = renew(world, added), secrets(world, added)
    with world.processes.acting_as("web"):
        by = world.reviewer("opal")
        notifications.end_overlap(added.pk, earlier.pk, by=by)
        with pytest.raises(SecretEnded):
            notifications.end_overlap(added.pk, earlier.pk, by=by)
    got = sent(world, post, receiver)
    assert not verifies(got, SECRET)
    assert verifies(got, new)


def test_the_current_secret_cannot_be_ended(world: World, post: Post, receiver: Receiving) -> None:
    added = post.add("webhook", receiver.url)
    with world.processes.acting_as("web"), pytest.raises(SecretEnded):
        notifications.end_overlap(added.pk, secrets(world, added)[0].pk, by=world.reviewer("opal"))
    assert verifies(sent(world, post, receiver), SECRET)


def test_a_form_that_is_sent_twice_renews_once(world: World, post: Post) -> None:
    added = post.add("webhook", "http://127.0.0.1:9/")
    first = secrets(world, added)[0]
    renew(world, added)
    with world.processes.acting_as("web"):
        by = world.reviewer("opal")
        with pytest.raises(EarlierSecretCounts, match="until"):
            notifications.renew_secret(added.pk, instead_of=first.pk, by=by)
        notifications.end_overlap(added.pk, first.pk, by=by)
        with pytest.raises(SecretRenewedAlready):
            notifications.renew_secret(added.pk, instead_of=first.pk, by=by)
    assert len(secrets(world, added)) == 2


def test_a_slack_webhook_has_no_secret_to_renew(world: World, post: Post) -> None:
    added = post.add("slack", "http://127.0.0.1:9/")
    assert secrets(world, added) == []
    with world.processes.acting_as("web"), pytest.raises(NoSecretToRenew, match="The receiver has no secret"):
        notifications.renew_secret(added.pk, instead_of=added.pk, by=world.reviewer("opal"))


def test_a_new_secret_without_its_event_is_none(
    world: World, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = post.add("webhook", "http://127.0.0.1:9/")
    (current,) = secrets(world, added)
    break_the_trail(monkeypatch, operating)
    with world.processes.acting_as("web"), pytest.raises(RuntimeError, match="the trail is full"):
        notifications.renew_secret(added.pk, instead_of=current.pk, by=world.reviewer("opal"))
    (same,) = secrets(world, added)
    assert same.ends_at is None


def test_no_event_of_a_renewal_holds_a_secret_or_an_address(world: World, post: Post) -> None:
    added = post.add("webhook", "http://127.0.0.1:9/planted-path")
    new = renew(world, added)
    with world.processes.cursor("admin") as shell:
        shell.execute("SELECT string_agg(text, ' ') FROM audit_event WHERE tenant_id = %s", [world.tenant.pk])
        (trail,) = shell.fetchone() or ("",)
    assert "receiver.secret_renewed" in trail
    for hidden in (new, new.removeprefix("whsec_"), SECRET, "planted-path"):
        assert hidden not in trail
