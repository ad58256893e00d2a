"""The command by which an operator adds somebody who is told."""

import io

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from approvals.database import tenant_scope
from approvals.models import Receiver, ReceiverSecret
from approvals.payloads import unseal
from tests.world import World

URL = "https://hooks.example.com/services/T0/B0/planted-secret"


def add(world: World, monkeypatch: pytest.MonkeyPatch, kind: str, url: str) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(url + "\n"))
    out = io.StringIO()
    with world.processes.acting_as("migrator"):
        call_command("add_receiver", world.tenant.slug, kind, "refunds channel", stdout=out)
    return out.getvalue()


def test_a_receivers_url_is_sealed_and_never_printed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = add(world, monkeypatch, "slack", URL)
    assert "planted-secret" not in printed
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        receiver = Receiver.objects.get()
    assert b"planted-secret" not in bytes(receiver.sealed_url)
    assert unseal(receiver.sealed_url) == URL


def test_a_webhook_gets_a_secret_of_its_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = add(world, monkeypatch, "webhook", URL)
    secret = printed.split()[-1]
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        assert unseal(ReceiverSecret.objects.get().sealed) == secret


def test_a_url_that_is_not_https_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ALLOW_PRIVATE_RECEIVERS", False)
    with pytest.raises(CommandError, match="https"):
        add(world, monkeypatch, "slack", "http://hooks.example.com/")


def test_an_unknown_tenant_is_named(world: World) -> None:
    with world.processes.acting_as("migrator"), pytest.raises(CommandError, match="no tenant nowhere"):
        call_command("add_receiver", "nowhere", "slack", "refunds channel")
