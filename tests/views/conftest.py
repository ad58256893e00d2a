"""Signed-in people in the web process."""

from collections.abc import Callable, Iterator

import pytest
import redis
from django.conf import settings
from django.core.cache import cache
from django.test import Client

from approvals.identity.models import Membership, Tenant
from approvals.limits import counters
from approvals.views.oauth import rates
from tests.world import World

SignIn = Callable[[str], Client]


@pytest.fixture
def web(world: World) -> Iterator[World]:
    """The world, as the web process sees it from here on."""
    forget_counts()
    with world.processes.acting_as("web"):
        yield world


def forget_counts() -> None:
    """What was counted against rate limits so far, by allauth, OAuth server and API: tests share one address."""
    cache.clear()
    rates._here.clear()
    with redis.Redis.from_url(settings.REDIS_URL) as server:
        for counted in ("oauth", "api", "told", "untold"):
            for key in server.scan_iter(counters.key(counted, "*")):
                server.delete(key)


@pytest.fixture
def sign_in(web: World) -> SignIn:
    """`sign_in("lena")` is a browser with Lena's session."""

    def signed_in(name: str) -> Client:
        client = Client()
        client.force_login(web.people[name])
        return client

    return signed_in


def add_role(world: World, name: str, tenant: Tenant, role: str) -> None:
    with world.processes.acting_as("migrator"):
        Membership.objects.create(tenant=tenant, person=world.people[name], role=role)
