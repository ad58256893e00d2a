"""Another issuer in place of ours, with the real processes: its tokens open the door, and we issue none."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import pytest

from approvals.identity import agents
from mcp_bridge.known import FRESH_SECONDS
from tests.identity.issuing import ISSUER, Issuer, issuing
from tests.journeys.site import PASSWORD
from tests.mcp_bridge.hosts import RunningDoor
from tests.oauth.installation import Installation, Visitor, installed
from tests.world import REFUND, World

SUBJECT = "service-account-night-bot"


@dataclass
class Company:
    """Web and door that were told of another issuer, and an agent that it knows."""

    url: str
    door: RunningDoor
    issuer: Issuer
    world: World
    agent: agents.Added

    def token(self, **changes: Any) -> str:
        said = {"aud": self.door.url, "sub": SUBJECT, "company": self.world.tenant.slug}
        return self.issuer.token(**{**said, "scp": ["mcp:read", "mcp:request"], **changes})

    def status(self, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        return self.door.send(json=body, headers=headers)


@pytest.fixture
def company(world: World, tmp_path: Path) -> Iterator[Company]:
    with world.processes.acting_as("migrator"):
        agent = agents.add_agent(
            world.tenant, owner=world.people["otto"], name="Night bot", external_subject=SUBJECT
        )
    with issuing() as issuer:
        issuer.add_key("ES256", "first")
        told = {
            "TOKEN_ISSUER": ISSUER,
            "TOKEN_JWKS_URL": issuer.url,
            "TOKEN_TENANT_CLAIM": "company",
            "TOKEN_SCOPE_CLAIM": "scp",
        }
        with installed(world, tmp_path, told) as site:
            yield Company(site.url, site.door, issuer, world, agent)


def test_its_token_opens_the_door_until_its_agent_is_removed(company: Company) -> None:
    token = company.token()
    with company.door.host(token) as host:
        assert "Night bot" in host.read("agent://me")
        filed = host.ask("request_refund", **REFUND)
    assert filed["status"] == "pending"
    world = company.world
    with world.processes.acting_as("migrator"):
        agents.remove_agent(company.agent.agent)
    sleep(FRESH_SECONDS)
    refused = company.status(token)
    assert (refused.status_code, "invalid_token" in refused.headers["WWW-Authenticate"]) == (401, True)
    for log in ("web.log", "door.log"):
        assert token not in (company.door.log_file.parent / log).read_text()


def test_a_token_of_another_door_is_refused_by_this_one(company: Company) -> None:
    for changes in (
        {"aud": "https://elsewhere.example/mcp"},
        {"iss": "https://elsewhere.example"},
        {"company": company.world.other.slug},
        {"exp": 1},
    ):
        assert company.status(company.token(**changes)).status_code == 401, changes
    assert company.status(company.token()).status_code == 200


def test_a_token_without_a_scope_may_do_nothing_but_look_around(company: Company) -> None:
    with company.door.host(company.token(scp=["mcp:read"])) as host:
        assert host.ask("lookup_order", order_id="ord_10001")
    headers = {
        "Authorization": f"Bearer {company.token(scp=['mcp:read'])}",
        "Accept": "application/json, text/event-stream",
    }
    call = {"name": "request_refund", "arguments": REFUND}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    assert company.door.send(json=body, headers=headers).status_code == 403


def test_while_the_issuer_is_silent_the_door_says_so_and_lets_nobody_in(company: Company) -> None:
    company.issuer.status = 503
    answer = company.status(company.token())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")


def test_hosts_are_sent_to_the_issuer_and_our_server_is_gone(company: Company) -> None:
    """RFC 9728, section 3.2."""
    told = company.door.send("GET", "/.well-known/oauth-protected-resource/mcp").json()
    assert told["authorization_servers"] == [ISSUER]
    with httpx.Client(base_url=company.url, trust_env=False, timeout=30) as browser:
        assert browser.get("/healthz").status_code == 200
        for path in (
            "/.well-known/oauth-authorization-server",
            "/o/authorize/",
            "/o/token/",
            "/o/register/",
            "/o/revoke_token/",
            "/o/device-authorization/",
            "/device/",
            "/device/answer/",
        ):
            assert browser.get(path).status_code == 404, path


def test_people_still_see_their_pages(company: Company) -> None:
    site = Installation(company.url, company.door, company.world)
    with httpx.Client(trust_env=False, timeout=30, follow_redirects=True) as browser:
        page = Visitor(site, "lena").signed_in(browser, f"{company.url}/agents/")
    assert "tokens of another issuer" in page.text
    assert "Type the code of a terminal" not in page.text
    assert PASSWORD not in page.text
