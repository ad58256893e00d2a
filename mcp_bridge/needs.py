"""Which scope a message needs, so that the refusal can tell a host which token to get.

The authority is inside: each tool, resource and prompt checks again what it needs itself.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from approvals.identity.scopes import READ, REQUEST
from mcp_bridge.envelope import Needs
from mcp_bridge.tool import DoorTool

# By method; for tools/call it is the tool that counts. What only lists what there is needs a token and no scope.
METHODS = {
    "resources/read": READ,
    "prompts/get": READ,
    "subscriptions/listen": READ,
    "tasks/get": READ,
    "tasks/update": REQUEST,
    "tasks/cancel": REQUEST,
}


def needs(tools: Iterable[DoorTool]) -> Needs:
    """Of the body that will be executed, and never of the headers that describe it: those can say anything."""
    by_name = {tool.name: tool.scope for tool in tools}

    def needed(method: str, params: Mapping[str, Any]) -> str | None:
        if method != "tools/call":
            return METHODS.get(method)
        name = params.get("name")
        return by_name.get(name) if isinstance(name, str) else None

    return needed
