"""The door as an OAuth resource server: one promise a test, each with the RFC that it is from."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from time import sleep
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import pytest
from django.utils import timezone
from mcp.client.auth.utils import (
    extract_field_from_www_auth,
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
    union_scopes,
)

from approvals.identity.models import AccessToken, Agent, Application
from mcp_bridge.bearer import insufficient_scope
from mcp_bridge.known import FRESH_SECONDS
from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.hosts import LEGACY, MODERN, RunningDoor
from tests.mcp_bridge.sending import CALL, JSON, PARENT, ask, bearer, described, error, modern, on_the_wire
from tests.world import REFUND, World

ASK = CALL | {"params": {"name": "request_refund", "arguments": REFUND}}


def challenge(header: str) -> dict[str, str]:
    """The parameters of a `WWW-Authenticate: Bearer`."""
    assert header.startswith("Bearer ")
    return dict(re.findall(r'(\w+)="([^"]*)"', header))


# --- protected resource metadata (RFC 9728) ---------------------------------------------------------------


@pytest.mark.parametrize("form", ["", "/mcp"])
def test_rfc_9728_metadata_is_at_the_root_form_and_at_the_path_form(
    form: str, door: RunningDoor, environment: Environment
) -> None:
    """RFC 9728, sections 2 and 3.1; no `offline_access`: a refresh token is no requirement of a resource."""
    answer = door.send("GET", f"/.well-known/oauth-protected-resource{form}")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "resource": environment["DOOR_URL"],
        "authorization_servers": [environment["PUBLIC_URL"]],
        "scopes_supported": ["mcp:read", "mcp:request"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Countersign",
    }


def test_rfc_9728_the_challenge_leads_to_metadata_about_this_very_resource(
    door: RunningDoor, environment: Environment
) -> None:
    """RFC 9728, sections 3.3 and 5.1: what `resource_metadata` points to names the URL that was called."""
    told = challenge(door.send(json=CALL, headers=JSON).headers["WWW-Authenticate"])["resource_metadata"]
    assert door.send("GET", urlsplit(told).path).json()["resource"] == environment["DOOR_URL"]


# --- 401 (RFC 6750) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [None, "", "Basic YTpi", "bearer", "Digest bearer x", "Bearerx y"])
def test_rfc_6750_without_a_token_the_challenge_names_where_and_what_and_no_error(
    sent: str | None, door: RunningDoor
) -> None:
    """RFC 6750, section 3.1: no error code for a request without a bearer token, whatever else it carries."""
    headers = JSON | ({} if sent is None else {"Authorization": sent})
    answer = door.send(json=CALL, headers=headers)
    base = door.url.removesuffix("/mcp")
    assert answer.status_code == 401
    assert error(answer)["message"].startswith("Send an access token for this server.")
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer resource_metadata="{base}/.well-known/oauth-protected-resource/mcp", '
        'scope="mcp:read mcp:request"'
    )
    assert "offline_access" not in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "sent", ["Bearer made-up", "bearer made-up", "Bearer a b", "Bearer a,b", 'Bearer "x"', "Bearer a;b"]
)
def test_rfc_6750_a_wrong_token_is_called_invalid(sent: str, door: RunningDoor) -> None:
    """RFC 6750, section 3.1: `invalid_token` with 401, also where it is malformed."""
    answer = door.send(json=CALL, headers=JSON | {"Authorization": sent})
    told = challenge(answer.headers["WWW-Authenticate"])
    assert (answer.status_code, told["error"]) == (401, "invalid_token")
    assert told["scope"] == "mcp:read mcp:request"
    assert "resource_metadata" in told
    assert sent.split()[-1] not in told["error_description"]


@pytest.mark.parametrize(
    ("spelling", "status"),
    [("Bearer {}", 200), ("bearer {}", 200), ("BEARER  {}", 200), (" Bearer {} \t ", 200), ("Bearer  ", 401)],
)
def test_rfc_9110_case_and_space_around_a_token_do_not_matter(
    spelling: str, status: int, door: RunningDoor, token: Token
) -> None:
    """RFC 9110, sections 5.5 and 11.1: a scheme's name has no case, and space around a value is none of it."""
    body = json.dumps(CALL).encode()
    lines = [f"{name}: {value}" for name, value in JSON.items()]
    lines += [f"Authorization:{spelling.format(token())}", f"Content-Length: {len(body)}"]
    assert on_the_wire(door, *lines, body=body)[0] == status


@pytest.mark.parametrize("second", ["Bearer {}", "Basic YTpi", ""])
def test_rfc_6750_two_authorization_headers_are_a_bad_request(
    second: str, door: RunningDoor, token: Token
) -> None:
    """RFC 6750, section 3.1: `invalid_request` where a token is sent in more than one way."""
    raw = token()
    twice = [*JSON.items(), ("Authorization", f"Bearer {raw}"), ("Authorization", second.format(raw))]
    answer = door.send(json=CALL, headers=twice)
    assert answer.status_code == 400
    assert challenge(answer.headers["WWW-Authenticate"])["error"] == "invalid_request"


@pytest.mark.parametrize("also_in_the_header", [True, False])
def test_oauth_2_1_a_token_in_the_query_string_is_refused_and_never_logged(
    also_in_the_header: bool, door: RunningDoor, token: Token
) -> None:
    """OAuth 2.1, section 5.1: the query is no place for a token; RFC 6750, section 3.1: `invalid_request`."""
    raw, trace = token(), uuid4().hex
    headers = (bearer(raw) if also_in_the_header else JSON) | {"traceparent": PARENT.format(trace)}
    answer = door.send(json=CALL, headers=headers, params={"x": "1", "access_token": raw})
    assert answer.status_code == 400
    assert challenge(answer.headers["WWW-Authenticate"])["error"] == "invalid_request"
    (line,) = door.logged("refused at the door", trace)
    assert (line["because"], line["path"]) == ("token_in_query", "/mcp")
    assert raw not in door.log_file.read_text()


# --- which tokens (RFC 8707, OAuth 2.1 section 5.2) -------------------------------------------------------


def other_application(world: World) -> dict[str, Any]:
    with world.processes.acting_as("migrator"):
        return {"application_id": Application.objects.get(client_id=world.other_agent.client_id).pk}


@pytest.mark.parametrize(
    ("because", "changes"),
    [
        ("audience", lambda _: {"resource": []}),
        ("audience", lambda _: {"resource": ["http://elsewhere.example/mcp"]}),
        ("expired", lambda _: {"expires": timezone.now() - timedelta(seconds=1)}),
        ("other_application", other_application),
    ],
)
def test_a_token_that_is_not_for_here_and_now_is_refused_and_the_log_says_why(
    because: str, changes: Callable[[World], dict[str, Any]], door: RunningDoor, token: Token, known: World
) -> None:
    trace = uuid4().hex
    headers = bearer(token(**changes(known)), traceparent=PARENT.format(trace))
    answer = door.send(json=CALL, headers=headers)
    assert answer.status_code == 401
    assert because not in answer.text + answer.headers["WWW-Authenticate"]
    (line,) = door.logged("refused at the door", trace)
    assert (line["status"], line["because"], line["authz_result"]) == (401, because, "deny")
    assert (line["subject_id"], line["tenant_id"]) == (str(known.agent.agent_id), str(known.tenant.pk))


@pytest.mark.parametrize("spelling", ["{door}/", "{door}/deeper", "{upper}", "{door}?", "{root}", " {door}"])
def test_rfc_8707_the_audience_is_this_door_alone_and_to_the_letter(
    spelling: str, door: RunningDoor, token: Token, environment: Environment
) -> None:
    """RFC 8707, section 2: a token for a longer, shorter or otherwise written URL is for somebody else."""
    here = environment["DOOR_URL"]
    other = spelling.format(door=here, upper=here.upper(), root=here.removesuffix("/mcp"))
    assert door.send(json=CALL, headers=bearer(token(resource=[other]))).status_code == 401
    assert door.send(json=CALL, headers=bearer(token(resource=[here, other]))).status_code == 401


def test_the_token_of_an_agent_that_was_switched_off_is_refused(
    door: RunningDoor, token: Token, known: World
) -> None:
    raw, trace = token(), uuid4().hex
    assert door.send(json=CALL, headers=bearer(raw)).status_code == 200
    with known.processes.acting_as("migrator"):
        Agent.objects.filter(pk=known.agent.id).update(is_active=False)
    sleep(FRESH_SECONDS)
    headers = bearer(raw, traceparent=PARENT.format(trace))
    assert door.send(json=CALL, headers=headers).status_code == 401
    assert [line["because"] for line in door.logged("refused at the door", trace)] == ["switched_off"]


def test_five_seconds_is_the_longest_that_a_revoked_token_is_honoured() -> None:
    assert FRESH_SECONDS < 5


def test_a_revoked_token_is_refused_and_a_token_of_no_agent_too(
    door: RunningDoor, token: Token, known: World
) -> None:
    raw, nobodys = token(), token(agent=None)
    assert door.send(json=CALL, headers=bearer(raw)).status_code == 200
    with known.processes.acting_as("migrator"):
        AccessToken.objects.filter(agent_id=known.agent.id).delete()
    sleep(FRESH_SECONDS)
    for gone in (raw, nobodys):
        trace = uuid4().hex
        answer = door.send(json=CALL, headers=bearer(gone, traceparent=PARENT.format(trace)))
        assert answer.status_code == 401
        (line,) = door.logged("refused at the door", trace)
        assert (line["status"], line["because"], line["tenant_id"]) == (401, "unknown", None)


# --- 403 (RFC 6750 section 3.1, RFC 9728 section 5.1) -----------------------------------------------------


@pytest.mark.parametrize("era", [MODERN, LEGACY])
@pytest.mark.parametrize(
    ("held", "name", "needed"),
    [
        ("mcp:read", "request_refund", "mcp:read mcp:request:refund_payment"),
        ("mcp:request:cancel_order", "request_refund", "mcp:request:cancel_order mcp:request:refund_payment"),
        ("mcp:read", "withdraw_request", "mcp:read mcp:request"),
        ("mcp:request", "lookup_order", "mcp:read mcp:request"),
        ("", "lookup_order", "mcp:read"),
    ],
)
def test_rfc_6750_a_missing_scope_is_403_naming_everything_a_new_token_should_carry(
    held: str, name: str, needed: str, era: str, door: RunningDoor, token: Token, environment: Environment
) -> None:
    """RFC 6750, section 3.1: `insufficient_scope`, all at once, what the token held included; RFC 9728, section 5.1."""
    message = modern("tools/call", name=name, arguments={})
    raw = token(scope=held)
    answer = (
        ask(door, raw, message) if era == MODERN else door.send(json=message_of(name), headers=bearer(raw))
    )
    told = challenge(answer.headers["WWW-Authenticate"])
    assert answer.status_code == 403
    assert (told["error"], told["scope"]) == ("insufficient_scope", needed)
    root = environment["DOOR_URL"].removesuffix("/mcp")
    assert told["resource_metadata"] == f"{root}/.well-known/oauth-protected-resource/mcp"
    assert error(answer)["message"].startswith("[scope_missing]")
    assert answer.json()["id"] in (1, 7)


def test_the_official_client_understands_the_challenge(door: RunningDoor, token: Token) -> None:
    """What its step-up takes from a 403: the error, the scopes to ask for, and where the metadata is."""
    answer = door.send(json=ASK, headers=bearer(token(scope="mcp:read")))
    read = httpx2.Response(answer.status_code, headers=answer.headers.multi_items())
    assert extract_field_from_www_auth(read, "error") == "insufficient_scope"
    asked = union_scopes("mcp:read", extract_scope_from_www_auth(read))
    assert asked == "mcp:read mcp:request:refund_payment"
    assert (
        extract_resource_metadata_from_www_auth(read)
        == challenge(answer.headers["WWW-Authenticate"])["resource_metadata"]
    )


def message_of(name: str) -> dict[str, Any]:
    return CALL | {"params": {"name": name, "arguments": {}}}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/read", {"uri": "agent://me"}),
        ("prompts/get", {"name": "investigate_failed_refund", "arguments": {"payment_id": "pay_1"}}),
        ("tasks/get", {"taskId": "x"}),
    ],
)
def test_what_is_read_needs_the_scope_to_read(
    method: str, params: dict[str, Any], door: RunningDoor, token: Token
) -> None:
    answer = ask(door, token(scope="mcp:request"), modern(method, **params))
    assert answer.status_code == 403
    assert challenge(answer.headers["WWW-Authenticate"])["scope"] == "mcp:read mcp:request"


def test_a_narrowed_scope_is_enough_for_its_action_and_the_broad_one_for_all(
    door: RunningDoor, token: Token
) -> None:
    """MCP 2026-07-28, authorization: a server accounts for scopes that imply others."""
    for held in ("mcp:request:refund_payment", "mcp:request"):
        assert door.send(json=ASK, headers=bearer(token(scope=held))).json()["result"]["isError"] is False


def is_one_a_minute(events: list[str]) -> bool:
    """Or one more for each minute of the door's that ended meanwhile, which left its count on the trail."""
    told, counts = events.count("access.denied"), events.count("access.turned_away")
    return 1 <= told <= 1 + counts and told + counts == len(events)


def test_headers_that_name_another_tool_do_not_help(door: RunningDoor, token: Token, known: World) -> None:
    """The scope is that of the body, which is what would be executed: no header, no duplicate key changes it."""
    raw = token(scope="mcp:read")
    lies = {"Mcp-Name": "lookup_order", "Mcp-Method": "tools/list"}
    assert door.send(json=ASK, headers=bearer(raw, **lies)).status_code == 403
    twice = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"name":"lookup_order"},"method":"tools/call",'
    twice += b'"params":{"name":"lookup_order","name":"request_refund","arguments":{}}}'
    assert door.send(content=twice, headers=bearer(raw, **lies)).status_code == 403
    assert is_one_a_minute(known.events())


def test_a_refused_scope_is_an_event_and_a_loop_of_them_is_one(
    door: RunningDoor, token: Token, known: World
) -> None:
    raw = token(scope="mcp:read")
    for _ in range(20):
        assert door.send(json=ASK, headers=bearer(raw)).status_code == 403
    assert is_one_a_minute(known.events())


def test_who_names_another_thing_in_each_refused_call_leaves_one_event_and_none_of_the_names(
    door: RunningDoor, token: Token, known: World
) -> None:
    raw = token(scope="mcp:request")
    for number in range(20):
        asked = modern("prompts/get", name=f"planted-{number}@example.org")
        assert door.send(json=asked, headers=bearer(raw, **described(asked))).status_code == 403
    assert is_one_a_minute(known.events())
    assert "planted-" not in door.log_file.read_text()


def test_a_challenge_carries_no_scope_of_others_and_nothing_that_could_end_its_quotes() -> None:
    held = frozenset(
        {"mcp:read", "openid", "files:write", 'mcp:request:x" , evil="', "mcp:request:x\r\nY: z"}
    )
    header = insufficient_scope("No.", held=held, needed="mcp:request")["WWW-Authenticate"]
    assert challenge(header)["scope"] == "mcp:read mcp:request"
    assert set(challenge(header)) == {"error", "error_description", "resource_metadata", "scope"}


# --- no token passed on -----------------------------------------------------------------------------------


def test_the_callers_token_is_not_passed_on_to_the_companys_api(
    door: RunningDoor, token: Token, known: World
) -> None:
    """MCP 2026-07-28, authorization, "Token Handling": the company's API meets a credential of ours."""
    raw = token()
    assert door.send(json=CALL, headers=bearer(raw)).json()["result"]["isError"] is False
    assert raw not in known.shop.log()
