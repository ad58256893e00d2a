"""Agents that come by themselves (OAuth client credentials): what they get, and when they get nothing."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client

from approvals.identity import agents
from approvals.identity.models import AccessToken, Membership, Person, RefreshToken
from tests.mcp_bridge.hosts import Host, connected
from tests.oauth.installation import Installation, Memory, installed
from tests.oauth.programs import outsider, refusal
from tests.world import REFUND, World

NARROW = ("mcp:read", "mcp:request:refund_payment")


def added(world: World, **how: Any) -> agents.Added:
    with world.processes.acting_as("migrator"):
        return agents.add_agent(world.tenant, owner=world.people["otto"], name="Night bot", **how)


def ask(agent: agents.Added, *, by: str = "basic", secret: str | None = None, **form: Any) -> Any:
    sent = agent.secret if secret is None else secret
    body = {"grant_type": "client_credentials", "scope": "mcp:read mcp:request", **form}
    if by == "body":
        return outsider().post("/o/token/", {**body, "client_id": agent.client_id, "client_secret": sent})
    who = base64.b64encode(f"{agent.client_id}:{sent}".encode()).decode()
    return outsider().post("/o/token/", body, headers={"Authorization": f"Basic {who}"})


def tokens(agent: agents.Added) -> int:
    return AccessToken.objects.filter(application__client_id=agent.client_id).count()


@pytest.mark.parametrize("by", ["basic", "body"])
def test_a_secret_may_come_in_the_header_or_in_the_body(web: World, by: str) -> None:
    """RFC 6749, section 2.3.1. No refresh token comes with it (section 4.4.3): the secret gets the next one."""
    agent = added(web)
    answer = ask(agent, by=by)
    assert answer.status_code == 200, answer.content
    assert "refresh_token" not in answer.json()
    assert not RefreshToken.objects.filter(application__client_id=agent.client_id).exists()
    (token,) = AccessToken.objects.filter(application__client_id=agent.client_id)
    assert (token.agent_id, token.user_id) == (agent.agent.pk, None)


@pytest.mark.parametrize("by", ["basic", "body"])
@pytest.mark.parametrize("secret", ["", "wrong", "x" * 5000])
def test_a_wrong_secret_gets_nothing_wherever_it_stands(web: World, by: str, secret: str) -> None:
    agent = added(web)
    assert refusal(ask(agent, by=by, secret=secret)) == (401, "invalid_client")
    assert tokens(agent) == 0


def test_a_secret_in_the_address_gets_nothing(web: World) -> None:
    agent = added(web)
    query = f"?client_id={agent.client_id}&client_secret={agent.secret}"
    answer = outsider().post(f"/o/token/{query}", {"grant_type": "client_credentials"})
    assert answer.status_code in (400, 401)
    assert tokens(agent) == 0


def test_one_agents_secret_is_no_other_agents(web: World) -> None:
    one, other = added(web), added(web)
    assert refusal(ask(one, secret=other.secret)) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("mcp:read mcp:request", set(NARROW)),
        ("mcp:request", {"mcp:request:refund_payment"}),
        ("mcp:read", {"mcp:read"}),
        ("mcp:request:refund_payment", {"mcp:request:refund_payment"}),
    ],
)
def test_an_agent_that_was_narrowed_gets_its_part_of_what_it_asks(
    web: World, asked: str, given: set[str]
) -> None:
    """RFC 6749, section 3.3: hosts ask for what the door names, and the answer says what they got."""
    answer = ask(added(web, scopes=NARROW), scope=asked)
    assert answer.status_code == 200, answer.content
    assert set(answer.json()["scope"].split()) == given


@pytest.mark.parametrize("asked", ["mcp:request:cancel_order", "mcp:approve", "mcp:read mcp:approve"])
def test_an_agent_that_was_narrowed_gets_nothing_of_another_kind(web: World, asked: str) -> None:
    agent = added(web, scopes=NARROW)
    assert refusal(ask(agent, scope=asked)) == (400, "invalid_scope")
    assert tokens(agent) == 0


def test_a_removed_agent_gets_no_token(web: World) -> None:
    agent = added(web)
    with web.processes.acting_as("migrator"):
        agents.remove_agent(agent.agent)
    assert refusal(ask(agent)) == (401, "invalid_client")
    assert tokens(agent) == 0


def test_a_new_secret_is_the_only_one(web: World) -> None:
    agent = added(web)
    with web.processes.acting_as("migrator"):
        secret = agents.renew_secret(agent.agent)
    assert refusal(ask(agent)) == (401, "invalid_client")
    assert ask(agent, secret=secret).status_code == 200


@pytest.mark.parametrize("how", ["left the company", "was switched off"])
def test_an_agent_gets_no_token_once_nobody_of_the_company_answers_for_it(web: World, how: str) -> None:
    agent, otto = added(web), web.people["otto"]
    assert ask(agent).status_code == 200
    with web.processes.acting_as("migrator"):
        if how == "left the company":
            Membership.objects.filter(person=otto, tenant=web.tenant).delete()
        else:
            Person.objects.filter(pk=otto.pk).update(is_active=False)
    answer = ask(agent)
    assert refusal(answer) == (401, "invalid_client")
    assert tokens(agent) == 1


def test_an_owner_who_is_only_a_member_elsewhere_does_not_count(web: World) -> None:
    agent, otto = added(web), web.people["otto"]
    with web.processes.acting_as("migrator"):
        Membership.objects.filter(person=otto).update(tenant=web.other)
    assert refusal(ask(agent)) == (401, "invalid_client")


@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token"])
def test_a_headless_agent_comes_by_no_other_grant(web: World, grant: str) -> None:
    agent = added(web)
    answer = ask(agent, grant_type=grant, code="x", refresh_token="x", redirect_uri="https://a.example")
    assert answer.status_code in (400, 401)
    assert tokens(agent) == 0


# --- the official client ------------------------------------------------------------------------------------


@dataclass
class HeadlessHost:
    """The official client as an agent without a person: the door's URL, an id and a secret, and no more."""

    site: Installation
    agent: agents.Added

    @contextmanager
    def connected(self, method: Any = "client_secret_basic") -> Iterator[Host]:
        provider = ClientCredentialsOAuthProvider(
            server_url=self.site.door.url,
            storage=Memory(),
            client_id=self.agent.client_id,
            client_secret=self.agent.secret,
            token_endpoint_auth_method=method,
            issuer=self.site.url,
        )
        http = httpx2.AsyncClient(auth=provider, trust_env=False, timeout=60)
        with connected(streamable_http_client(self.site.door.url, http_client=http)) as host:
            yield host


@pytest.fixture
def site(world: World, tmp_path: Path) -> Iterator[Installation]:
    with installed(world, tmp_path) as running:
        yield running


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_the_official_client_connects_an_agent_by_its_secret(site: Installation, method: str) -> None:
    """MCP's extension for client credentials, from the door's URL to a filed request."""
    with HeadlessHost(site, added(site.world)).connected(method) as host:
        assert "Night bot" in host.read("agent://me")
        assert host.ask("request_refund", **REFUND)["status"] == "pending"


def test_the_official_client_connects_an_agent_that_was_narrowed(site: Installation) -> None:
    with HeadlessHost(site, added(site.world, scopes=NARROW)).connected() as host:
        assert host.ask("request_refund", **REFUND)["status"] == "pending"
        assert "mcp:request:refund_payment" in host.read("agent://me")


def test_the_official_client_stays_outside_with_a_wrong_secret(
    site: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    agent = added(site.world)
    wrong = agents.Added(agent.agent, agent.client_id, "wrong")
    # The transport's group of errors may wrap what the host raised.
    with pytest.raises(Exception), HeadlessHost(site, wrong).connected() as host:  # noqa: B017, PT011
        host.tools()
    assert 'Token exchange failed (401): {"error": "invalid_client"}' in caplog.text
    with site.world.processes.acting_as("web"):
        assert tokens(agent) == 0
