"""A terminal over real processes: its code, a person in front of the pages, its token, and the door."""

from pathlib import Path

import httpx

from approvals.identity import agents
from tests.oauth.installation import Installation, Visitor, hidden, installed
from tests.oauth.terminal import GRANT
from tests.world import REFUND, World


def test_a_terminal_is_connected_and_files_a_request(world: World, tmp_path: Path) -> None:
    with world.processes.acting_as("migrator"):
        client_id = agents.add_program("Terminal helper").client_id
    with installed(world, tmp_path) as site, httpx.Client(base_url=site.url, trust_env=False) as terminal:
        metadata = terminal.get("/.well-known/oauth-authorization-server").json()
        form = {"client_id": client_id, "scope": "mcp:read mcp:request", "resource": site.door.url}
        began = terminal.post(metadata["device_authorization_endpoint"], data=form).json()
        poll = {"grant_type": GRANT, "client_id": client_id, "device_code": began["device_code"]}
        assert terminal.post(metadata["token_endpoint"], data=poll).json()["error"] == "authorization_pending"
        _answered(site, began["verification_uri_complete"])
        tokens = terminal.post(metadata["token_endpoint"], data=poll).json()
        with site.door.host(tokens["access_token"]) as host:
            assert "Terminal helper" in host.read("agent://me")
            assert host.ask("request_refund", **REFUND)["status"] == "pending"


def _answered(site: Installation, address: str) -> None:
    """Lena follows the link, reads who asks, and allows it."""
    with httpx.Client(trust_env=False, timeout=30, follow_redirects=True) as browser:
        form = Visitor(site).signed_in(browser, address)
        code = httpx.URL(address).params["user_code"]
        assert f'value="{code}"' in form.text
        typed = hidden(form.text) | {"user_code": code}
        question = browser.post(f"{site.url}/device/", data=typed, headers={"Referer": address})
        assert "Terminal helper" in question.text
        said = hidden(question.text) | {"answer": "allow"}
        done = browser.post(f"{site.url}/device/answer/", data=said, headers={"Referer": address})
    assert "Go back to your terminal." in done.text
