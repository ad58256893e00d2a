"""What the door has no hinge for."""

import tomllib
from dataclasses import replace
from typing import Any
from uuid import uuid4

import grimp
import pytest
from mcp.shared.exceptions import MCPError

from approvals.identity.requester import Requester
from approvals.identity.scopes import BROAD
from mcp_bridge.lifecycle import Context
from mcp_bridge.server import VERSION, create, tools
from tests.mcp_bridge.hosts import LEGACY, MODERN, ROOT, Host, connected
from tests.world import REFUND, World


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("approvals", "mcp_bridge", "policies")


@pytest.mark.parametrize("verb", ["approvals.decide", "approvals.execute"])
def test_the_door_reaches_neither_decide_nor_execute_not_even_through_others(
    verb: str, imports: grimp.ImportGraph
) -> None:
    assert verb in imports.modules
    assert imports.find_shortest_chain("mcp_bridge.door", "approvals.submit") is not None
    assert imports.find_shortest_chains("mcp_bridge", verb, as_packages=True) == set()


def test_nothing_that_an_agent_can_reach_decides(host: Host) -> None:
    names = {tool.name for tool in host.tools()} | {*BROAD, *(tool.scope for tool in tools())}
    names |= {prompt.name for prompt in host.portal.call(host.client.list_prompts).prompts}
    names |= {resource.uri for resource in host.portal.call(host.client.list_resources).resources}
    for name in names:
        assert not any(word in name for word in ("approve", "deny", "decide", "vote", "execute")), name


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_every_tool_resource_and_prompt_checks_its_scope_itself(era: str, known: World) -> None:
    """With nothing in front of the server: what refuses before a call is a courtesy, the authority is inside."""
    nothing = replace(known.agent, scopes=frozenset())

    async def identify(_: Context) -> Requester:
        return nothing

    with known.processes.acting_as("door"), connected(create(identify), era) as host:
        for tool in host.tools():
            assert host.refusal(tool.name).startswith("[scope_missing]"), tool.name
        for uri in ("agent://me", "policy://refunds", f"approval://{uuid4()}", "customer://cus_1"):
            with pytest.raises(MCPError, match="scope_missing"):
                host.read(uri)
        with pytest.raises(MCPError, match="scope_missing"):
            host.prompt("investigate_failed_refund", payment_id="pay_10001")


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_a_host_that_could_answer_questions_is_asked_none(era: str, known: World) -> None:
    """The requester's own host would answer an elicitation: it is no approval, so there is none (MCP, elicitation)."""
    asked: list[object] = []

    async def identify(_: Context) -> Requester:
        return known.agent

    async def answers(_: object, question: object) -> Any:
        asked.append(question)

    able: dict[str, Any] = {"elicitation_callback": answers, "sampling_callback": answers}
    with known.processes.acting_as("door"), connected(create(identify), era, **able) as host:
        filed = host.ask("request_refund", **REFUND)
        assert filed["status"] == "pending"
        assert host.ask("get_request_status", request_id=filed["request_id"])["status"] == "pending"
        assert host.ask("withdraw_request", request_id=filed["request_id"])["status"] == "withdrawn"
    assert asked == []


def test_the_version_that_hosts_are_shown_is_the_projects() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
