"""What comes to the door that no call can come of: the exact status, a sentence, and never a traceback."""

import json
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    PROTOCOL_VERSION_META_KEY,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from mcp_types.version import SUPPORTED_PROTOCOL_VERSIONS

from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.hosts import LEGACY, MODERN, RunningDoor
from tests.mcp_bridge.sending import CALL, JSON, ask, bearer, described, error, modern, on_the_wire
from tests.world import REFUND, World

MIB = 1024 * 1024
LIST = modern("tools/list")
LOOK_UP = modern("tools/call", name="lookup_order", arguments={"order_id": "ord_10001"})
READ = modern("resources/read", uri="agent://me")
PROMPT = modern("prompts/get", name="investigate_failed_refund", arguments={"payment_id": "pay_10001"})


# --- before any token is looked at ------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "x"])
def test_a_foreign_origin_is_403_before_any_token_is_looked_at(origin: str, door: RunningDoor) -> None:
    """MCP 2026-07-28, streamable HTTP, "Security & Endpoint" 1."""
    answer = door.send(json=CALL, headers=JSON | {"Origin": origin})
    assert answer.status_code == 403
    assert "WWW-Authenticate" not in answer.headers
    assert error(answer)["code"] == INVALID_REQUEST


def test_the_pages_own_origin_is_let_through_to_the_token_check(
    door: RunningDoor, environment: Environment
) -> None:
    assert door.send(json=CALL, headers=JSON | {"Origin": environment["PUBLIC_URL"]}).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example"])
def test_a_name_that_is_not_ours_is_misdirected(host: str, door: RunningDoor) -> None:
    """RFC 9110, section 15.5.20; what a page under another name that resolves to us would send."""
    answer = door.send(json=CALL, headers=JSON | {"Host": host})
    assert (answer.status_code, error(answer)["code"]) == (421, INVALID_REQUEST)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_only_post_is_served(method: str, door: RunningDoor) -> None:
    """RFC 9110, section 15.5.6: 405 says what is allowed."""
    answer = door.send(method, headers=JSON)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/jsonp", "application/json-seq", "application/json, text/plain", ""]
)
def test_only_json_is_read(kind: str, door: RunningDoor) -> None:
    answer = door.send(content=json.dumps(CALL), headers=JSON | {"Content-Type": kind})
    assert answer.status_code == 415


def test_json_with_a_charset_is_json(door: RunningDoor, token: Token) -> None:
    headers = bearer(token()) | {"Content-Type": "application/json; charset=utf-8"}
    assert door.send(content=json.dumps(CALL), headers=headers).status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "text/event-stream", "application/jsonp"])
def test_who_does_not_accept_json_is_told_so(accept: str, door: RunningDoor) -> None:
    assert door.send(json=CALL, headers=JSON | {"Accept": accept}).status_code == 406


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Host", INVALID_REQUEST),
        ("Origin", INVALID_REQUEST),
        ("Content-Type", INVALID_REQUEST),
        ("MCP-Protocol-Version", HEADER_MISMATCH),
        ("Mcp-Method", HEADER_MISMATCH),
        ("Mcp-Name", HEADER_MISMATCH),
    ],
)
def test_a_header_that_has_to_be_there_once_is_refused_twice(name: str, code: int, door: RunningDoor) -> None:
    """Two copies, and two readers who may each take another one (RFC 9110, section 5.3)."""
    lines = [*(f"{header}: {value}" for header, value in JSON.items()), "Content-Length: 2"]
    copies = [f"{name}: one", f"{name}: two"]
    status, answer = on_the_wire(door, *lines, *copies, body=b"{}")
    assert status == 400
    assert f'"code":{code}'.encode() in answer


# --- sizes and lengths ------------------------------------------------------------------------------------


def test_a_body_over_four_mebibytes_is_refused_declared_or_not(door: RunningDoor, token: Token) -> None:
    large = b"x" * (4 * MIB + 1)
    assert door.send(content=large, headers=bearer(token())).status_code == 413
    assert door.send(content=iter([large[:9], large[9:]]), headers=bearer(token())).status_code == 413


def test_a_body_of_four_mebibytes_is_read(door: RunningDoor, token: Token) -> None:
    message = json.dumps(CALL | {"params": {"name": "lookup_order", "arguments": {"order_id": "X"}}})
    padded = message.replace("X", "x" * (4 * MIB - len(message) + 1)).encode()
    assert len(padded) == 4 * MIB
    answer = door.send(content=padded, headers=bearer(token()))
    assert (answer.status_code, answer.json()["result"]["isError"]) == (200, True)


def test_a_body_of_somebody_unknown_is_not_waited_for(door: RunningDoor) -> None:
    """The token decides first: nobody fills our memory without one."""
    lines = [*(f"{name}: {value}" for name, value in JSON.items()), f"Content-Length: {4 * MIB}"]
    assert on_the_wire(door, *lines, body=b"{")[0] == 401


def lengths(token: str, *lines: str) -> list[str]:
    return [*(f"{name}: {value}" for name, value in bearer(token).items()), *lines]


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -1",),
        ("Content-Length: five",),
        ("Content-Length: 3", "Transfer-Encoding: chunked"),
    ],
)
def test_a_length_that_contradicts_itself_is_a_bad_request(
    lines: tuple[str, ...], door: RunningDoor, token: Token
) -> None:
    """RFC 9112, section 6.3: two readers must not disagree where a body ends."""
    status, answer = on_the_wire(door, *lengths(token(), *lines), body=b"{}\r\n0\r\n\r\n")
    assert status == 400
    assert b"Traceback" not in answer


def test_a_body_that_is_longer_than_it_says_is_cut_and_one_that_is_shorter_does_nothing(
    door: RunningDoor, token: Token, known: World
) -> None:
    sent = token()
    body = json.dumps(CALL | {"params": {"name": "request_refund", "arguments": REFUND}}).encode()
    short = lengths(sent, f"Content-Length: {len(body) + 10}")
    assert on_the_wire(door, *short, body=body, hang_up=True)[0] == 0
    long = lengths(sent, f"Content-Length: {len(body) - 10}")
    assert on_the_wire(door, *long, body=body)[0] == 400
    assert known.events() == []
    assert door.send("GET", "/healthz").status_code == 200


# --- one JSON-RPC message ---------------------------------------------------------------------------------


@pytest.fixture(params=[MODERN, LEGACY, None])
def of_era(request: pytest.FixtureRequest, token: Token) -> dict[str, str]:
    """Headers of somebody who may come in, of either era or of the one before there was a version header."""
    return bearer(token()) | ({"MCP-Protocol-Version": request.param} if request.param else {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"jsonrpc": "2.0", "id": 1, "method": "\xff"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "\xed\xa0\x80"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "\\ud800"}',
        b'\xef\xbb\xbf{"jsonrpc": "2.0", "id": 1, "method": "ping"}',
        '{"jsonrpc": "2.0", "id": 1, "method": "ping"}'.encode("utf-16"),
        b'{"jsonrpc": "2.0", "id": NaN, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "ping"} x',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"jsonrpc": "2.0", "id": ' + b"9" * 5000 + b', "method": "ping"}',
    ],
)
def test_what_is_not_json_in_utf_8_is_a_parse_error(
    body: bytes, door: RunningDoor, of_era: dict[str, str]
) -> None:
    """RFC 8259, section 8.1; JSON-RPC 2.0, section 5.1: -32700, and a null id."""
    answer = door.send(content=body, headers=of_era)
    assert (answer.status_code, error(answer)["code"], answer.json()["id"]) == (400, PARSE_ERROR, None)


@pytest.mark.parametrize(
    "body",
    [
        [],
        [{"jsonrpc": "2.0", "id": 1, "method": "ping"}],
        "ping",
        None,
        {},
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "method": 1},
        {"jsonrpc": "2.0", "id": None, "method": "ping"},
        {"jsonrpc": "2.0", "id": True, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1.5, "method": "ping"},
        {"jsonrpc": "2.0", "id": {}, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "result": {}},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "error": {"code": 1, "message": ""}},
    ],
)
def test_batches_and_what_is_no_message_are_bad_requests(
    body: object, door: RunningDoor, of_era: dict[str, str]
) -> None:
    """JSON-RPC 2.0, section 4; MCP 2026-07-28, streamable HTTP, "Sending Messages" 4: one request or notification."""
    answer = door.send(content=json.dumps(body), headers=of_era)
    assert (answer.status_code, error(answer)["code"], answer.json()["id"]) == (400, INVALID_REQUEST, None)


# --- versions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "version", ["1900-01-01", "2099-01-01", "not-a-version", "", "2025-11-25,2026-07-28"]
)
@pytest.mark.parametrize("era", ["new", "old"])
def test_an_unknown_version_is_refused_naming_those_that_are_spoken(
    era: str, version: str, door: RunningDoor, token: Token
) -> None:
    """MCP 2026-07-28, versioning, "Protocol Version Negotiation"; 2025-11-25, transports: 400 in both eras."""
    if era == "new":
        answer = ask(door, token(), modern("tools/list", version=version))
    else:
        answer = door.send(json=CALL, headers=bearer(token(), **{"MCP-Protocol-Version": version}))
    told = error(answer)
    assert (answer.status_code, told["code"]) == (400, UNSUPPORTED_PROTOCOL_VERSION)
    assert answer.json()["id"] == (7 if era == "new" else 1)
    assert told["data"]["requested"] == version
    assert set(told["data"]["supported"]) == set(SUPPORTED_PROTOCOL_VERSIONS)
    assert all(spoken in told["message"] for spoken in SUPPORTED_PROTOCOL_VERSIONS)


def test_discovery_names_the_same_versions_and_the_server(door: RunningDoor, token: Token) -> None:
    result = ask(door, token(), modern("server/discover")).json()["result"]
    assert result["supportedVersions"][0] == MODERN
    assert set(result["supportedVersions"]) == set(SUPPORTED_PROTOCOL_VERSIONS)


@pytest.mark.parametrize("version", SUPPORTED_PROTOCOL_VERSIONS)
def test_every_version_that_is_named_is_spoken(version: str, door: RunningDoor, token: Token) -> None:
    if version == MODERN:
        answer = ask(door, token(), LOOK_UP)
    else:
        answer = door.send(json=CALL, headers=bearer(token(), **{"MCP-Protocol-Version": version}))
    assert answer.json()["result"]["structuredContent"]["order_id"] == "ord_10001"


def test_a_request_without_a_version_is_of_the_time_before_there_was_one(
    door: RunningDoor, token: Token
) -> None:
    """MCP 2025-11-25, transports, "Protocol Version Header": 2025-03-26 is assumed."""
    assert door.send(json=CALL, headers=bearer(token())).json()["result"]["isError"] is False


@pytest.mark.parametrize(
    ("message", "headers"),
    [
        (LIST, {"Mcp-Method": "tools/call"}),
        (LIST, {"Mcp-Method": "TOOLS/LIST"}),
        (LOOK_UP, {"Mcp-Name": "list_my_requests"}),
        (LOOK_UP, {"Mcp-Name": "=?base64?bGlzdF9teV9yZXF1ZXN0cw==?="}),
        (LOOK_UP, {"Mcp-Name": "=?base64?!?="}),
        (READ, {"Mcp-Name": "policy://refunds"}),
        (PROMPT, {"Mcp-Name": "lookup_order"}),
        (LIST, {"MCP-Protocol-Version": LEGACY}),
        (LIST, {"MCP-Protocol-Version": "1900-01-01"}),
        (modern("tools/list", version="1900-01-01"), {"MCP-Protocol-Version": MODERN}),
        (modern("tools/list", version=LEGACY), {"MCP-Protocol-Version": MODERN}),
    ],
)
def test_headers_that_contradict_the_body_are_a_header_mismatch(
    message: dict[str, Any], headers: dict[str, str], door: RunningDoor, token: Token
) -> None:
    """MCP 2026-07-28, streamable HTTP, "Server Validation": 400 and -32020, with the id of the request."""
    answer = ask(door, token(), message, **headers)
    assert (answer.status_code, error(answer)["code"]) == (400, HEADER_MISMATCH)
    assert answer.json()["id"] == 7


@pytest.mark.parametrize("message", [LOOK_UP, READ, PROMPT], ids=lambda message: message["method"])
@pytest.mark.parametrize("missing", ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"])
def test_a_header_of_the_new_era_that_is_missing_is_a_header_mismatch(
    missing: str, message: dict[str, Any], door: RunningDoor, token: Token
) -> None:
    headers = bearer(token()) | described(message)
    del headers[missing]
    answer = door.send(json=message, headers=headers)
    assert (answer.status_code, error(answer)["code"]) == (400, HEADER_MISMATCH)


@pytest.mark.parametrize("name", ["=?base64?bG9va3VwX29yZGVy?=", "  lookup_order\t "])
def test_a_header_that_says_the_same_in_another_spelling_agrees(
    name: str, door: RunningDoor, token: Token
) -> None:
    """The same section, "Value Encoding"; RFC 9110, section 5.5: space around a value is none of it."""
    body = json.dumps(LOOK_UP).encode()
    headers = bearer(token()) | described(LOOK_UP) | {"Content-Length": str(len(body))}
    del headers["Mcp-Name"]
    lines = [f"{header}: {value}" for header, value in headers.items()]
    assert on_the_wire(door, *lines, f"mcp-name:{name}", body=body)[0] == 200


@pytest.mark.parametrize(
    ("meta", "code"),
    [
        (None, INVALID_PARAMS),
        ({}, INVALID_PARAMS),
        ({PROTOCOL_VERSION_META_KEY: MODERN}, INVALID_PARAMS),
        ({PROTOCOL_VERSION_META_KEY: None}, INVALID_PARAMS),
    ],
)
def test_a_request_of_the_new_era_without_its_metadata_is_told_what_is_missing(
    meta: object, code: int, door: RunningDoor, token: Token
) -> None:
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": meta}}
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"}
    answer = door.send(json=message, headers=bearer(token()) | headers)
    assert (answer.status_code, error(answer)["code"]) == (400, code)


@pytest.mark.parametrize("method", ["unknown/method", "initialize", "ping", "logging/setLevel"])
def test_a_method_that_is_not_there_is_404_with_an_error_that_says_so(
    method: str, door: RunningDoor, token: Token
) -> None:
    """MCP 2026-07-28, streamable HTTP, "Protocol Version Header": what tells it from a door that is not there."""
    answer = ask(door, token(), modern(method))
    assert (answer.status_code, error(answer)["code"]) == (404, METHOD_NOT_FOUND)


def test_a_notification_is_accepted_without_an_answer(door: RunningDoor, token: Token) -> None:
    for headers in ({}, {"MCP-Protocol-Version": LEGACY}, {"MCP-Protocol-Version": MODERN}):
        message = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        answer = door.send(json=message, headers=bearer(token(), **headers))
        assert (answer.status_code, answer.content) == (202, b"")


# --- around it --------------------------------------------------------------------------------------------


def test_no_session_is_kept_or_asked_for(door: RunningDoor, token: Token) -> None:
    """Stateless in both eras: no session id is given out, and one that is sent is ignored."""
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        },
    }
    answer = door.send(json=hello, headers=bearer(token(), **{"Mcp-Session-Id": "made-up"}))
    assert answer.json()["result"]["protocolVersion"] == LEGACY
    assert "Mcp-Session-Id" not in answer.headers
    assert ask(door, token(), LOOK_UP, **{"Mcp-Session-Id": "made-up"}).status_code == 200


def test_the_words_of_a_refusal_reach_the_hosts_user(door: RunningDoor, token: Token) -> None:
    """Hosts show the message of a JSON-RPC error, and of a bare status only its number."""
    with door.host(token(scope="mcp:read")) as host, pytest.raises(MCPError, match="scope_missing"):
        host.call("request_refund", **REFUND)


def test_what_is_not_there_is_404(door: RunningDoor, token: Token) -> None:
    for path in ("/", "/mcp/", "/mcp/x", "/accounts/login/", "/oauth/token/", "/.well-known/x"):
        answer = door.send(path=path, json=CALL, headers=bearer(token()))
        assert answer.status_code == 404
        assert "Traceback" not in answer.text
