"""What tests of limits share: which there are, what the trail says of them, and a Redis that may be killed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.conf import settings

from approvals import quick_redis
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.limits import sparingly
from approvals.management import embedded
from tests.scan.scratch import scratch
from tests.world import World

TOOL = "request_refund"
CALLS = ("LIMIT_AGENT_CALLS_A_MINUTE", "LIMIT_TOOL_CALLS_A_MINUTE", "LIMIT_TENANT_CALLS_A_MINUTE")
PENDING = ("LIMIT_AGENT_PENDING", "LIMIT_TOOL_PENDING", "LIMIT_TENANT_PENDING")
A_DAY = ("LIMIT_AGENT_REQUESTS_A_DAY", "LIMIT_TOOL_REQUESTS_A_DAY", "LIMIT_TENANT_REQUESTS_A_DAY")


@pytest.fixture(autouse=True)
def _listening(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another test's dead Redis left behind is forgotten."""
    monkeypatch.setattr(quick_redis, "_silent_until", 0.0)
    sparingly._counts.clear()


@pytest.fixture
def redis_server(broker: str) -> "redis.Redis":
    return redis.Redis.from_url(broker)


@pytest.fixture
def own_redis(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[embedded.Server]:
    """A Redis that a test may kill."""
    with scratch() as data, embedded.valkey(data, environ={}) as server:
        monkeypatch.setattr(settings, "REDIS_URL", server.url)
        yield server


def told(world: World) -> list[dict[str, Any]]:
    """What the trail says of limits that were reached."""
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        found = Event.objects.filter(tenant_id=world.tenant.pk, kind="limit.reached").order_by("at")
        return [json.loads(event.text) for event in found]
