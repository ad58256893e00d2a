"""One ASGI module, two roles: what serves the pages has no door, and what is the door has no pages."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from mcp.shared.exceptions import MCPError

from tests.mcp_bridge.conftest import Environment
from tests.mcp_bridge.hosts import LEGACY, MODERN, RunningDoor, running_door
from tests.world import REFUND, SECRET, Processes, World


@pytest.fixture(scope="module")
def pages(
    environment: Environment, processes: Processes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDoor]:
    """The pages and the OAuth server, where the door says that they are."""
    web = environment | {
        "COUNTERSIGN_PROCESS": "web",
        "DATABASE_URL": processes.urls["web"],
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
    }
    port = urlsplit(environment["PUBLIC_URL"]).port or 0
    with running_door(web, port, tmp_path_factory.mktemp("pages") / "log") as running:
        yield running


def test_the_pages_have_no_door(pages: RunningDoor) -> None:
    assert pages.send("GET", "/accounts/login/").status_code == 200
    assert pages.send(json={}).status_code == 404
    assert pages.send("GET", "/.well-known/oauth-protected-resource/mcp").status_code == 404
    log = pages.log_file.read_text()
    assert "Application startup complete" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_a_token_of_the_pages_opens_the_door_and_nothing_more_than_its_scope(
    era: str, pages: RunningDoor, door: RunningDoor, known: World
) -> None:
    answer = pages.send(
        path="/o/token/",
        data={"grant_type": "client_credentials", "scope": "mcp:read"},
        auth=(known.agent.client_id, SECRET),
    )
    with door.host(answer.raise_for_status().json()["access_token"], era) as host:
        assert host.ask("lookup_order", order_id="ord_10001")["status"] == "paid"
        with pytest.raises(MCPError, match="scope_missing"):
            host.call("request_refund", **REFUND)
