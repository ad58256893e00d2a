"""Single requests of the modern era, as they go over the wire, where a client would be in the way."""

from typing import Any

import httpx

from tests.mcp_bridge.hosts import MODERN, RunningDoor

TASKS = "io.modelcontextprotocol/tasks"
_NAMED = {"tools/call": "name", "resources/read": "uri"}


def sent(
    door: RunningDoor,
    token: str,
    method: str,
    *,
    declares: tuple[str, ...] = (),
    elicits: bool = False,
    **params: Any,
) -> httpx.Response:
    """The answer to one request by a client that declares these extensions with it, and perhaps that it shows forms."""
    shows: dict[str, Any] = {"elicitation": {"form": {}}} if elicits else {}
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {
            "extensions": {each: {} for each in declares},
            **shows,
        },
    }
    headers = {
        "Accept": "application/json, text/event-stream",
        "Authorization": f"Bearer {token}",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": method,
    }
    if method in _NAMED:
        headers["Mcp-Name"] = params[_NAMED[method]]
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    return door.send(json=body, headers=headers)


def result(answer: httpx.Response) -> dict[str, Any]:
    """Of a request that has to succeed."""
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["result"])


def error(answer: httpx.Response) -> dict[str, Any]:
    """Of a request that has to be refused."""
    assert answer.status_code == 400, answer.text
    return dict(answer.json()["error"])
