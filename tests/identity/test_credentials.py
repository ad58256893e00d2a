"""From a credential to an agent: exact, and closed when in doubt."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from oauth2_provider.models import set_token_value

from approvals.errors import CredentialRefused, TokenRefused
from approvals.identity.credentials import requester_of_secret, requester_of_token
from approvals.identity.models import AccessToken, Agent
from tests.world import SECRET, World

RAW = "a-token-that-an-agent-holds"
Make = Callable[..., str]


@pytest.fixture
def token(world: World) -> Make:
    """Store a token, with one thing changed, and return what the agent holds."""

    def make(**changes: Any) -> str:
        raw = f"{RAW}-{world.tenant.slug}"
        with world.processes.acting_as("migrator"):
            agent = Agent.objects.get(pk=world.agent.id)
            wanted = {
                "agent": agent,
                "application": agent.application,
                "expires": timezone.now() + timedelta(minutes=5),
                "scope": "mcp:read mcp:request",
                "resource": [settings.DOOR_URL],
                **changes,
            }
            stored = AccessToken(**wanted)
            set_token_value(stored, raw)
            stored.save()
        return raw

    return make


def test_a_token_for_this_door_is_its_agent(world: World, token: Make) -> None:
    raw = token()
    with world.processes.acting_as("door"):
        requester = requester_of_token(raw)
    assert (requester.agent_id, requester.tenant_id) == (world.agent.agent_id, world.tenant.pk)
    assert requester.scopes == {"mcp:read", "mcp:request"}


def test_what_is_stored_is_not_what_the_agent_holds(world: World, token: Make) -> None:
    raw = token()
    with world.processes.acting_as("migrator"):
        stored = AccessToken.objects.get(token_checksum=hashlib.sha256(raw.encode()).hexdigest())
    assert stored.token == ""


@pytest.mark.parametrize(
    "resource",
    [
        [],
        ["https://elsewhere.example.com/mcp"],
        [settings.DOOR_URL + "/"],
        [settings.DOOR_URL.rsplit("/", 1)[0]],
        [settings.DOOR_URL, "https://elsewhere.example.com/mcp"],
    ],
)
def test_a_token_without_exactly_this_audience_is_refused(
    world: World, token: Make, resource: list[str]
) -> None:
    raw = token(resource=resource)
    with world.processes.acting_as("door"), pytest.raises(TokenRefused):
        requester_of_token(raw)


def test_a_token_is_refused_when_it_expired(world: World, token: Make) -> None:
    raw = token(expires=timezone.now() - timedelta(seconds=1))
    with world.processes.acting_as("door"), pytest.raises(TokenRefused):
        requester_of_token(raw)


def test_a_token_of_no_agent_is_refused(world: World, token: Make) -> None:
    raw = token(agent=None)
    with world.processes.acting_as("door"), pytest.raises(TokenRefused):
        requester_of_token(raw)


def test_a_token_is_refused_when_its_agent_was_switched_off(world: World, token: Make) -> None:
    raw = token()
    with world.processes.acting_as("migrator"):
        Agent.objects.filter(pk=world.agent.id).update(is_active=False)
    with world.processes.acting_as("door"), pytest.raises(TokenRefused):
        requester_of_token(raw)


def test_an_unknown_token_is_refused(world: World) -> None:
    with world.processes.acting_as("door"), pytest.raises(TokenRefused):
        requester_of_token("nobody-ever-issued-this")


def test_an_id_and_its_secret_are_the_agent(world: World) -> None:
    with world.processes.acting_as("door"):
        assert requester_of_secret(world.agent.client_id, SECRET).agent_id == world.agent.agent_id


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + " "])
def test_a_wrong_secret_is_refused(world: World, secret: str) -> None:
    with world.processes.acting_as("door"), pytest.raises(CredentialRefused):
        requester_of_secret(world.agent.client_id, secret)


def test_a_secret_is_refused_when_its_agent_was_switched_off(world: World) -> None:
    with world.processes.acting_as("migrator"):
        Agent.objects.filter(pk=world.agent.id).update(is_active=False)
    with world.processes.acting_as("door"), pytest.raises(CredentialRefused):
        requester_of_secret(world.agent.client_id, SECRET)
