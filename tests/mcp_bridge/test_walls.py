"""What the door has no hinge for."""

import grimp
import pytest

from approvals.identity.scopes import BROAD
from mcp_bridge.server import tools
from tests.mcp_bridge.hosts import Host


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
