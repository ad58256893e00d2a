"""What a host sends, by hand: for tests of what no official client would send."""

import json
import socket
from typing import Any

import httpx
from mcp_types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY

from tests.mcp_bridge.hosts import MODERN, RunningDoor

JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
# Without a version header: of the protocol before there was one.
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "lookup_order", "arguments": {"order_id": "ord_10001"}},
}
PARENT = "00-{}-00f067aa0ba902b7-01"


def bearer(token: str, **more: str) -> dict[str, str]:
    return JSON | {"Authorization": f"Bearer {token}"} | more


def modern(method: str, *, version: Any = MODERN, **params: Any) -> dict[str, Any]:
    """A request of the new era: version and capabilities stand in its body."""
    meta = {PROTOCOL_VERSION_META_KEY: version, CLIENT_CAPABILITIES_META_KEY: {}}
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params | {"_meta": meta}}


def described(message: dict[str, Any]) -> dict[str, str]:
    """The headers that repeat what stands in the body of a request of the new era."""
    params = message["params"]
    name = params.get("name") or params.get("uri")
    version = params["_meta"][PROTOCOL_VERSION_META_KEY]
    headers = {"MCP-Protocol-Version": str(version), "Mcp-Method": message["method"]}
    return headers | ({"Mcp-Name": name} if name else {})


def ask(door: RunningDoor, token: str, message: dict[str, Any], **headers: str) -> httpx.Response:
    """Send a request of the new era with its headers, or with others in their place."""
    return door.send(json=message, headers=bearer(token) | described(message) | headers)


def on_the_wire(
    door: RunningDoor, *lines: str, body: bytes = b"", hang_up: bool = False
) -> tuple[int, bytes]:
    """Send a head line by line and a body, hang up or not, and read: the status (0 for no answer) and everything."""
    address = door.url.removeprefix("http://").removesuffix("/mcp")
    host, _, port = address.partition(":")
    head = ["POST /mcp HTTP/1.1", f"Host: {address}", "Connection: close", *lines, "", ""]
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall("\r\n".join(head).encode("latin-1") + body)
        if hang_up:
            line.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    return int(answer.split()[1]) if answer else 0, answer


def error(answer: httpx.Response) -> dict[str, Any]:
    """The JSON-RPC error in a body, which holds nothing else and no traceback."""
    body = answer.json()
    assert set(body) == {"jsonrpc", "id", "error"}, body
    assert "Traceback" not in json.dumps(body)
    return dict(body["error"])
