"""Receivers that really listen, and a worker's round over the outbox."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from approvals import execute, notifications, rejudge, tasks
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Outbox, Receiver
from tests.notifications.receiving import Receiving, receiving
from tests.world import World

SECRET = notifications.new_secret()


@dataclass
class Post:
    """What a worker does with the messages of the test's tenant."""

    world: World

    def add(self, kind: str, url: str, *, secret: str = SECRET, elsewhere: bool = False) -> Receiver:
        tenant = self.world.other if elsewhere else self.world.tenant
        with self.world.processes.acting_as("migrator"):
            return notifications.add_receiver(tenant, kind, "The receiver", url, secret)

    def rows(self, topic: str = "deliver") -> list[Outbox]:
        with self.world.processes.acting_as("worker"), tenant_scope(self.world.tenant.pk):
            return list(Outbox.objects.filter(topic=topic).order_by("created_at"))

    def round(self) -> None:
        """Every open announcement and every open message gets its turn, whatever it waits for."""
        for topic in ("announce", "deliver"):
            self.make_due()
            for row in self.rows(topic):
                self.work(row)

    def work(self, row: Outbox) -> None:
        task: Any = getattr(tasks, row.topic)
        with self.world.processes.acting_as("worker"):
            task(str(row.pk), str(row.tenant_id))

    def make_due(self, **changes: object) -> None:
        """As if the time of waiting had passed."""
        with self.world.processes.acting_as("worker"), tenant_scope(self.world.tenant.pk):
            Outbox.objects.filter(done_at=None).update(**{"not_before": timezone.now(), **changes})

    def only_row(self) -> Outbox:
        (row,) = self.rows()
        return row

    def told(self) -> list[dict[str, Any]]:
        """The data of the events about messages, each with its kind as "event"."""
        about = Event.objects.filter(tenant_id=self.world.tenant.pk, kind__startswith="notification.")
        with self.world.processes.acting_as("web"), tenant_scope(self.world.tenant.pk):
            return [_told(event) for event in about.order_by("at")]

    def execute(self, request: ApprovalRequest) -> None:
        with self.world.processes.acting_as("worker"):
            execute.run(request.pk, request.tenant_id)

    def reopen(self, request: ApprovalRequest) -> None:
        with self.world.processes.acting_as("worker"):
            rejudge.reopen(request.pk, request.tenant_id)


@pytest.fixture
def post(world: World, monkeypatch: pytest.MonkeyPatch) -> Post:
    """Receivers may be on loopback, as in development."""
    monkeypatch.setattr(settings, "ALLOW_PRIVATE_RECEIVERS", True)
    return Post(world)


@pytest.fixture
def receiver() -> Iterator[Receiving]:
    with receiving() as listening:
        yield listening


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Down to the last debug line of whoever asks for it."""
    caplog.set_level(logging.DEBUG)
    return caplog


def _told(event: Event) -> dict[str, Any]:
    return {"event": event.kind, **json.loads(event.text)["data"]}
