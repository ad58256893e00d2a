"""Adding somebody who is told."""

from importlib import import_module

import pytest
from django.apps import apps
from django.conf import settings
from standardwebhooks import Webhook

from approvals import notifications
from approvals.models import Receiver, ReceiverSecret
from approvals.notifications import ReceiverRefused
from approvals.payloads import seal, unseal
from tests.notifications.conftest import SECRET
from tests.world import World

URL = "https://hooks.example.com/PLANTED0SECRET0PATH"


def test_url_and_secret_are_sealed_where_they_lie(world: World) -> None:
    with world.processes.acting_as("migrator"):
        added = notifications.add_receiver(world.tenant, "webhook", "Tickets", URL, SECRET)
    with world.processes.cursor("admin") as cursor:
        cursor.execute(
            "SELECT r::text || s::text, sealed_url, sealed FROM receiver r "
            "JOIN receiver_secret s ON s.receiver_id = r.id WHERE r.id = %s",
            [added.pk],
        )
        (text, url, secret) = cursor.fetchone() or ("", b"", b"")
    assert "PLANTED" not in text
    assert b"PLANTED" not in url
    assert (unseal(url), unseal(secret)) == (URL, SECRET)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/PLANTED",
        "ftp://hooks.example.com/PLANTED",
        "https:///PLANTED",
        "//hooks.example.com/PLANTED",
        "https://hooks.example.com:PLANTED/",
        "https://hooks\n.example.com/PLANTED",
        "PLANTED",
        "",
    ],
)
def test_a_url_that_is_not_https_is_refused_and_not_repeated(world: World, url: str) -> None:
    with pytest.raises(ReceiverRefused, match="must begin with https://") as refusal:
        notifications.add_receiver(world.tenant, "slack", "Slack", url)
    assert "PLANTED" not in str(refusal.value)
    assert refusal.value.__cause__ is refusal.value.__context__ is None


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:169.254.169.254]"]
)
def test_an_address_that_nothing_is_ever_sent_to_is_refused_at_once(world: World, host: str) -> None:
    with pytest.raises(ReceiverRefused, match="not on the public internet") as refusal:
        notifications.add_receiver(world.tenant, "slack", "Slack", f"https://{host}/PLANTED")
    assert "PLANTED" not in str(refusal.value)


def test_http_is_allowed_where_private_receivers_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ALLOW_PRIVATE_RECEIVERS", True)
    with world.processes.acting_as("migrator"):
        assert notifications.add_receiver(world.tenant, "slack", "Slack", "http://127.0.0.1:9/").pk


@pytest.mark.parametrize(
    "secret", ["", "PLANTED", "whsec_", "whsec_UExBTlRFRA==", "whsec_PLANTED!", "UExBTlRFRA==" * 4]
)
def test_a_weak_or_malformed_secret_is_refused_and_not_repeated(world: World, secret: str) -> None:
    with pytest.raises(ReceiverRefused, match="24 to 64 bytes") as refusal:
        notifications.add_receiver(world.tenant, "webhook", "Tickets", URL, secret)
    assert "PLANTED" not in str(refusal.value)


def test_a_new_secret_is_one_that_the_published_library_takes_and_never_the_same() -> None:
    assert Webhook(notifications.new_secret())
    assert notifications.new_secret() != notifications.new_secret()


def test_only_a_worker_can_read_receivers(world: World) -> None:
    for process in ("door", "web", "sweeper"):
        with world.processes.cursor(process) as cursor:
            cursor.execute("SELECT has_table_privilege(current_user, 'receiver', 'SELECT')")
            assert cursor.fetchone() == (False,), process


def test_receivers_of_before_the_upgrade_keep_their_secret_and_get_their_host(world: World) -> None:
    """Migration 0050, on a receiver as it was: its secret in a column, and no host."""
    migration = import_module("approvals.migrations.0050_receivers")
    with world.processes.acting_as("migrator"):
        added = notifications.add_receiver(world.tenant, "webhook", "Tickets", URL, SECRET)
        lost = notifications.add_receiver(world.tenant, "slack", "No key opens it", URL)
        ReceiverSecret.objects.filter(receiver=added).delete()
        Receiver.objects.filter(pk=added.pk).update(host="")
        Receiver.objects.filter(pk=lost.pk).update(host="", sealed_url=b"not ours")
        migration.name_hosts(apps, None)
        assert Receiver.objects.get(pk=added.pk).host == "hooks.example.com"
        assert Receiver.objects.get(pk=lost.pk).host == ""
    with world.processes.cursor("admin") as shell:
        shell.execute("SELECT r.id FROM receiver r WHERE tenant_id <> %s", [world.tenant.pk])
        others = [pk for (pk,) in shell.fetchall()]
        shell.execute("ALTER TABLE receiver ADD COLUMN sealed_secret bytea NOT NULL DEFAULT ''")
        shell.execute("UPDATE receiver SET sealed_secret = %s WHERE id = %s", [seal(SECRET), added.pk])
        shell.execute("DELETE FROM receiver_secret WHERE receiver_id = ANY(%s)", [others])
        for statement in migration.SECRETS.split(";")[:-1]:
            shell.execute(statement)
        shell.execute(
            "SELECT receiver_id, sealed, ends_at FROM receiver_secret WHERE tenant_id = %s", [world.tenant.pk]
        )
        ((receiver_id, sealed, ends_at),) = shell.fetchall()
        assert (receiver_id, unseal(sealed), ends_at) == (added.pk, SECRET, None)
        shell.connection.rollback()
