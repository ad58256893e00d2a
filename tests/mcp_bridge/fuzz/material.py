"""What is sent: messages as a host would send them, and what becomes of them when a member is replaced or lost."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, TypeAlias

from hypothesis import strategies as st
from mcp.shared.inbound import encode_header_value
from mcp_types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, PROTOCOL_VERSION_META_KEY

from tests.mcp_bridge.fuzz.wire import Header
from tests.mcp_bridge.hosts import LEGACY, MODERN
from tests.world import REFUND

Message: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[Any, ...]

ERAS = st.sampled_from([MODERN, LEGACY])
ENVELOPE = {
    PROTOCOL_VERSION_META_KEY: MODERN,
    CLIENT_INFO_META_KEY: {"name": "test-host", "version": "1.0"},
    CLIENT_CAPABILITIES_META_KEY: {},
}
# Only reading ones, and a refund that is refused for its scope: whatever is changed about them, no request is filed.
SEEDS: tuple[tuple[str, Any], ...] = (
    ("ping", {}),
    ("server/discover", {}),
    (
        "initialize",
        {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "h", "version": "1"}},
    ),
    ("notifications/initialized", {}),
    ("notifications/cancelled", {"requestId": 1}),
    ("tools/list", {"cursor": "x"}),
    ("tools/call", {"name": "lookup_order", "arguments": {"order_id": "ord_10001"}}),
    ("tools/call", {"name": "list_my_requests", "arguments": {"limit": 5, "cursor": None}}),
    ("tools/call", {"name": "request_refund", "arguments": {**REFUND, "idempotency_key": "key-12345"}}),
    ("resources/list", {}),
    ("resources/templates/list", {}),
    ("resources/read", {"uri": "customer://cus_1001"}),
    ("resources/read", {"uri": "policy://refunds"}),
    ("resources/subscribe", {"uri": "agent://me"}),
    ("prompts/list", {}),
    ("prompts/get", {"name": "investigate_failed_refund", "arguments": {"payment_id": "pay_15001"}}),
    (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": "b"}},
    ),
    ("logging/setLevel", {"level": "debug"}),
    ("tasks/get", {"taskId": "0af76519-16cd-43dd-8448-eb211c80319c"}),
    ("tasks/cancel", {"taskId": "0af76519-16cd-43dd-8448-eb211c80319c"}),
    ("tasks/update", {"taskId": "0af76519-16cd-43dd-8448-eb211c80319c", "inputResponses": {}}),
    (
        "subscriptions/listen",
        {"notifications": {"resourceSubscriptions": ["approval://0af76519-16cd-43dd-8448-eb211c80319c"]}},
    ),
    ("sampling/createMessage", {"messages": [], "maxTokens": 1}),
    ("elicitation/create", {"message": "approve?"}),
)
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

CHARACTERS = st.characters(exclude_categories=())  # with surrogates and NUL
TRICKY = (
    *(
        "",
        "\x00",
        "a\x00b",
        "\ud800",
        "\udfff\ud800",
        "\ufeff",
        "\u202e",
        "null",
        "1e999",
        "{}",
        "{0}",
        "%s%n",
        "$ref",
    ),
    *(
        "../../etc/passwd",
        "%2e%2e%2f",
        "'; --",
        "__proto__",
        "x" * 5_000,
        "0af76519-16cd-43dd-8448-eb211c80319c",
    ),
)
TEXTS = st.text(CHARACTERS, max_size=30) | st.sampled_from(TRICKY)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**53, 2**63, -(2**64), 10**400])
    | st.floats()
    | TEXTS
)
JUNK = st.recursive(
    LEAVES, lambda one: st.lists(one, max_size=3) | st.dictionaries(TEXTS, one, max_size=3), max_leaves=6
)


def message(method: str, params: Any, era: str = MODERN, request_id: Any = 1) -> Message:
    """One as a host of this era sends it; a notification has no id."""
    sent: Message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    if method.startswith("notifications/"):
        del sent["id"]
    if era == MODERN and isinstance(params, dict):
        sent["params"] = {**params, "_meta": ENVELOPE}
    return sent


def encoded(value: Any) -> bytes:
    """JSON as Python writes it: NaN and halves of surrogate pairs too."""
    return json.dumps(value).encode()


def headers(token: str, sent: Any, era: str) -> list[Header]:
    """Those that fit a message, as far as a header can say it."""
    found = {
        "Host": "",
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": era,
    }
    if era == MODERN and isinstance(sent, dict) and isinstance(method := sent.get("method"), str):
        found["Mcp-Method"] = method
        params = sent.get("params")
        name = params.get(NAMED_BY.get(method)) if isinstance(params, dict) else None
        if isinstance(name, str):
            found["Mcp-Name"] = encode_header_value(name.encode("utf-8", "replace").decode())
    return [(name.encode(), value.encode("utf-8", "replace")) for name, value in found.items() if value]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every member below, and of the value itself."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from places(one, (*path, key))


@st.composite
def changed(draw: st.DrawFn, original: Any, most: int = 3) -> Any:
    """The original with one to `most` members replaced, lost, renamed, repeated in a list, or added."""
    value = deepcopy(original)
    for _ in range(draw(st.integers(1, most))):
        path = draw(st.sampled_from(list(places(value))))
        if not path:
            value = draw(JUNK) if draw(st.integers(0, 9)) == 0 else _with_more(value, draw(TEXTS), draw(JUNK))
            continue
        holder = value
        for key in path[:-1]:
            holder = holder[key]
        _change(draw, holder, path[-1])
    return value


def _change(draw: st.DrawFn, holder: Any, key: Any) -> None:
    how = draw(st.sampled_from(["replace", "replace", "lose", "wrap", "rename", "add"]))
    if how == "replace":
        holder[key] = draw(JUNK)
    elif how == "lose":
        del holder[key]
    elif how == "wrap":
        holder[key] = [holder[key]]
    elif how == "rename" and isinstance(holder, dict):
        holder[draw(TEXTS)] = holder.pop(key)
    else:
        holder[key] = _with_more(holder[key], draw(TEXTS), draw(JUNK))


def _with_more(value: Any, name: str, more: Any) -> Any:
    if isinstance(value, dict):
        return {**value, name: more}
    return [*value, more] if isinstance(value, list) else more


@st.composite
def damaged(draw: st.DrawFn, original: bytes) -> bytes:
    """The bytes of a message with some lost, doubled or replaced."""
    raw = original
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        length = draw(st.integers(0, 8))
        put = draw(
            st.binary(max_size=4)
            | st.sampled_from([b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b'"', b"\\", b"{"])
        )
        raw = raw[:at] + put + raw[at + length :]
    return raw
