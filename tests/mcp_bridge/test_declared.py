"""From an agent's call of a declared tool to the ledger, through a door that learned of it from its folder alone."""

from pathlib import Path
from uuid import UUID

import pytest
from django.conf import settings

from approvals import execute
from approvals.models import ApprovalRequest
from tests.actions import declaring
from tests.actions.declaring import HOST, changed, loaded, registered
from tests.actions.test_declared import asked
from tests.mcp_bridge.conftest import Environment
from tests.mcp_bridge.hosts import over_stdio
from tests.world import World

TOOL = "request_store_credit_reversal"


def test_a_declared_tool_goes_from_the_agents_call_to_the_ledger(
    known: World, stdio_environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "declared"
    folder.mkdir()
    action = loaded(folder, changed((HOST, known.shop.url)))
    reads, writes = declaring.credentials(tmp_path / "credentials", known.tenant.slug)
    told = {"DECLARED_ACTIONS": str(folder), "DECLARED_READ_CREDENTIALS": reads}
    arguments = asked(known)
    with over_stdio(stdio_environment | told, tmp_path / "stderr") as host:
        assert TOOL in {tool.name for tool in host.tools()}
        filed = host.ask(TOOL, **arguments)
        assert "customer_id" in host.refusal(TOOL, **(arguments | {"customer_id": "../orders"}))
        assert "host" in host.refusal(TOOL, **(arguments | {"host": "https://evil.example"}))
    monkeypatch.setattr(settings, "DECLARED_READ_CREDENTIALS", reads)
    monkeypatch.setattr(settings, "DECLARED_WRITE_CREDENTIALS", writes)
    with registered(action):
        with known.processes.acting_as("web"):
            request = known.reload(ApprovalRequest(pk=UUID(filed["request_id"]), tenant_id=known.tenant.pk))
        known.vote(request, "approve", "lena")
        with known.processes.acting_as("worker"):
            execute.run(request.pk, request.tenant_id)
        assert known.status(request) == "succeeded"
    assert [entry["kind"] for entry in known.ledger(request)] == ["store_credit_reversal"]


def test_without_credentials_the_log_says_so_at_the_start_and_the_agent_is_told_in_plain_words(
    known: World, stdio_environment: Environment, tmp_path: Path
) -> None:
    folder = tmp_path / "declared"
    folder.mkdir()
    loaded(folder, changed((HOST, known.shop.url)))
    with over_stdio(stdio_environment | {"DECLARED_ACTIONS": str(folder)}, tmp_path / "stderr") as host:
        assert host.refusal(TOOL, **asked(known)).startswith("[not_set_up]")
    log = (tmp_path / "stderr").read_text()
    assert "declared actions have no credentials" in log
    assert "a call needs what is not set up" in log and "DECLARED_READ_CREDENTIALS" in log
