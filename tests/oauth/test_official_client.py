"""The official MCP client connects with nothing but the door's URL, over real processes; a person consents."""

from collections.abc import Iterator
from pathlib import Path
from time import sleep

import httpx
import pytest

from approvals.identity.models import AccessToken, Agent, Application
from mcp_bridge.known import FRESH_SECONDS
from tests.oauth.installation import Installation, OfficialHost, SaidNo, Visitor, installed
from tests.oauth.programs import told
from tests.oauth.tls import DocumentHost, document_host
from tests.world import REFUND, World


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[DocumentHost]:
    with document_host(tmp_path) as host:
        yield host


@pytest.fixture
def site(world: World, tmp_path: Path, documents: DocumentHost) -> Iterator[Installation]:
    with installed(
        world,
        tmp_path,
        ALLOW_PRIVATE_CLIENTS="1",
        DYNAMIC_REGISTRATION="1",
        SSL_CERT_FILE=str(documents.authority),
    ) as running:
        yield running


def status_at_the_door(site: Installation, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    return site.door.send(json=body, headers=headers).status_code


def test_a_host_connects_by_its_document_asks_refreshes_and_hands_back(
    site: Installation, documents: DocumentHost
) -> None:
    """RFC 9728 to RFC 8414 to a metadata document, to PKCE with S256, to a token for this door, to its end."""
    program = OfficialHost(site, documents.publish())
    with program.connected() as host:
        assert "Desk helper" in host.read("agent://me")
        filed = host.ask("request_refund", **REFUND)
        assert filed["status"] == "pending"
        first = program.access_token

        program.provider.context.token_expiry_time = 1  # as if its minutes were over
        assert host.ask("get_request_status", request_id=filed["request_id"])["status"] == "pending"
        second = program.access_token
        assert second != first
    assert len(program.visitor.pages) == 1
    assert "described by" in program.visitor.pages[0]
    sleep(FRESH_SECONDS)
    assert status_at_the_door(site, first) == 401
    assert status_at_the_door(site, second) == 200

    form = {"token": second, "client_id": program.document or ""}
    assert httpx.post(f"{site.url}/o/revoke_token/", data=form, trust_env=False).status_code == 200
    sleep(FRESH_SECONDS)
    assert status_at_the_door(site, second) == 401
    with site.world.processes.acting_as("web"):
        agent = Agent.objects.get(application__client_id=program.document)
        assert agent.on_behalf_of == site.world.people["lena"]
        kinds = [event.kind for event in told(site.world.tenant.pk)]
    assert {"agent.connected", "request.created", "token.revoked"} <= set(kinds)


def test_a_host_without_a_document_registers_where_that_is_switched_on(site: Installation) -> None:
    program = OfficialHost(site)
    with program.connected() as host:
        assert host.ask("lookup_order", order_id="ord_10001")
    assert program.memory.client is not None
    assert program.memory.client.token_endpoint_auth_method == "none"
    assert program.memory.client.client_secret is None


def test_a_host_whose_person_says_no_gets_nothing(site: Installation, documents: DocumentHost) -> None:
    client_id = documents.publish()
    program = OfficialHost(site, client_id, answer="deny")
    with pytest.raises((SaidNo, BaseExceptionGroup)), program.connected() as host:
        host.tools()
    assert (program.back["error"], program.back["iss"]) == ("access_denied", site.url)
    with site.world.processes.acting_as("web"):
        assert not AccessToken.objects.filter(application__client_id=client_id).exists()
        assert len(told(site.world.tenant.pk, "consent.refused")) == 1


def test_a_refused_request_is_answered_by_real_processes_without_a_500(
    site: Installation, documents: DocumentHost
) -> None:
    """What the test client cannot show: the server in front of Django, with addresses that no program means."""
    with httpx.Client(base_url=site.url, trust_env=False, timeout=30) as browser:
        for query in (b"client_id=%00", b"client_id=%zz", b"state=" + b"x" * 60_000, b"client_id=%ff", b"%"):
            url = httpx.URL(f"{site.url}/o/authorize/").copy_with(query=query)
            assert browser.get(url).status_code in (302, 400, 414, 431), query[:20]
            assert browser.post("/o/token/", content=query).status_code == 400
            assert browser.post("/o/register/", content=query).status_code == 400
        assert browser.post("/o/token/", content=b"a=" + b"x" * 3_000_000).status_code in (400, 413)
    with site.world.processes.acting_as("web"):
        assert Application.objects.filter(client_id__contains="\\x00").count() == 0


def test_a_person_reads_the_same_page_whoever_serves_it(site: Installation, documents: DocumentHost) -> None:
    program = OfficialHost(
        site, documents.publish(client_name="Desk\u202epleh"), visitor=Visitor(site, "mara")
    )
    with program.connected() as host:
        assert host.tools()
    assert "U+202E RIGHT-TO-LEFT OVERRIDE" in program.visitor.pages[0]
