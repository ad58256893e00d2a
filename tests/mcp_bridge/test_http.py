"""Who and what comes in over HTTP."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.identity.models import AccessToken, Agent, Application
from approvals.management.ports import any_free
from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.hosts import LEGACY, MODERN, RunningDoor, running_door
from tests.world import REFUND, World

CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "lookup_order", "arguments": {"order_id": "ord_10001"}},
}
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


def bearer(token: str, **more: str) -> dict[str, str]:
    return JSON | {"Authorization": f"Bearer {token}"} | more


def denials(world: World) -> list[dict[str, Any]]:
    """What the trail holds of refused accesses, as (trace id, data)."""
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        found = Event.objects.filter(tenant_id=world.tenant.pk, kind="access.denied")
        return [json.loads(event.text) for event in found]


# --- tokens -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_an_agent_with_a_token_for_this_door_comes_in(era: str, door: RunningDoor, token: Token) -> None:
    with door.host(token(), era) as host:
        assert host.client.protocol_version == era
        assert host.ask("lookup_order", order_id="ord_10001")["order_id"] == "ord_10001"


def test_without_a_token_the_door_says_where_to_get_one(door: RunningDoor) -> None:
    answer = door.send(json=CALL, headers=JSON)
    base = door.url.removesuffix("/mcp")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer resource_metadata="{base}/.well-known/oauth-protected-resource/mcp", '
        'scope="mcp:read mcp:request"'
    )


@pytest.mark.parametrize("sent", ["Bearer made-up", "bearer", "Basic YTpi"])
def test_a_wrong_token_is_called_invalid(sent: str, door: RunningDoor) -> None:
    answer = door.send(json=CALL, headers=JSON | {"Authorization": sent})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", ')
    assert "resource_metadata=" in answer.headers["WWW-Authenticate"]


def test_two_tokens_at_once_are_none(door: RunningDoor, token: Token) -> None:
    twice = [*JSON.items(), *(("Authorization", f"Bearer {token()}") for _ in range(2))]
    assert door.send(json=CALL, headers=twice).status_code == 401


def test_a_token_in_the_query_string_is_not_looked_at(door: RunningDoor, token: Token) -> None:
    answer = door.send(json=CALL, headers=JSON, params={"access_token": token()})
    assert answer.status_code == 401
    assert "invalid_token" not in answer.headers["WWW-Authenticate"]


@contextmanager
def switched_off(world: World) -> Iterator[None]:
    with world.processes.acting_as("migrator"):
        Agent.objects.filter(pk=world.agent.id).update(is_active=False)
    yield


def other_application(world: World) -> dict[str, Any]:
    with world.processes.acting_as("migrator"):
        application = Application.objects.get(client_id=world.other_agent.client_id)
        return {"application_id": application.pk}


@pytest.mark.parametrize(
    ("because", "change"),
    [
        ("audience", {"resource": []}),
        ("audience", {"resource": ["http://elsewhere.example/mcp"]}),
        ("expired", {"expires": timezone.now() - timedelta(seconds=1)}),
    ],
)
def test_a_token_that_is_not_for_here_and_now_is_refused_and_on_the_trail(
    because: str, change: dict[str, Any], door: RunningDoor, token: Token, known: World
) -> None:
    trace = uuid4().hex
    headers = bearer(token(**change), traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    assert door.send(json=CALL, headers=headers).status_code == 401
    (event,) = denials(known)
    assert (event["trace"], event["actor"]["id"]) == (trace, str(known.agent.agent_id))
    assert event["data"] == {"code": "token_refused", "wanted": "connect", "because": because}


@pytest.mark.parametrize("spelling", ["{door}/", "{door}/deeper", "{upper}"])
def test_the_audience_is_compared_to_the_letter(
    spelling: str, door: RunningDoor, token: Token, environment: Environment
) -> None:
    other = spelling.format(door=environment["DOOR_URL"], upper=environment["DOOR_URL"].upper())
    assert door.send(json=CALL, headers=bearer(token(resource=[other]))).status_code == 401
    both = [environment["DOOR_URL"], other]
    assert door.send(json=CALL, headers=bearer(token(resource=both))).status_code == 401


def test_the_token_of_an_agent_that_was_switched_off_is_refused(
    door: RunningDoor, token: Token, known: World
) -> None:
    raw = token()
    with switched_off(known):
        assert door.send(json=CALL, headers=bearer(raw)).status_code == 401
    assert [event["data"]["because"] for event in denials(known)] == ["switched_off"]


def test_a_token_of_another_application_than_its_agents_is_refused(
    door: RunningDoor, token: Token, known: World
) -> None:
    raw = token(**other_application(known))
    assert door.send(json=CALL, headers=bearer(raw)).status_code == 401
    assert [event["data"]["because"] for event in denials(known)] == ["other_application"]


def test_a_revoked_token_is_refused_and_a_token_of_no_agent_too(
    door: RunningDoor, token: Token, known: World
) -> None:
    raw, nobodys = token(), token(agent=None)
    assert door.send(json=CALL, headers=bearer(raw)).status_code == 200
    with known.processes.acting_as("migrator"):
        AccessToken.objects.filter(agent_id=known.agent.id).delete()
    for gone in (raw, nobodys):
        trace = uuid4().hex
        headers = bearer(gone, traceparent=f"00-{trace}-00f067aa0ba902b7-01")
        assert door.send(json=CALL, headers=headers).status_code == 401
        (line,) = door.logged("refused at the door", trace)
        assert (line["status"], line["because"]) == (401, "unknown")
    assert denials(known) == []


# --- scopes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_each_tool_asks_for_its_scope(era: str, door: RunningDoor, token: Token, known: World) -> None:
    with door.host(token(scope="mcp:read"), era) as reader:
        assert reader.ask("lookup_order", order_id="ord_10001")
        for tool in reader.tools():
            if not tool.annotations.read_only_hint:  # type: ignore[union-attr]
                words = reader.refusal(tool.name)
                assert words.startswith("[scope_missing]")
                assert "mcp:request" in words
    assert {event["data"]["wanted"] for event in denials(known)} >= {"request_refund", "withdraw_request"}
    with door.host(token(scope="mcp:request"), era) as asker:
        assert asker.ask("request_refund", **REFUND)["status"] == "pending"
        assert asker.refusal("lookup_order", order_id="ord_10001").startswith("[scope_missing]")


def test_a_header_that_names_another_tool_does_not_help(door: RunningDoor, token: Token) -> None:
    params = {"name": "request_refund", "arguments": REFUND}
    answer = door.send(
        json=CALL | {"params": params},
        headers=bearer(token(scope="mcp:read"), **{"Mcp-Name": "lookup_order", "Mcp-Method": "tools/list"}),
    )
    result = answer.json()["result"]
    assert result["isError"] is True
    assert result["content"][0]["text"].startswith("[scope_missing]")


# --- the guard --------------------------------------------------------------------------------------------


def test_a_foreign_origin_is_refused_before_any_token_is_looked_at(door: RunningDoor) -> None:
    assert door.send(json=CALL, headers=JSON | {"Origin": "https://evil.example"}).status_code == 403


def test_the_pages_own_origin_is_let_through_to_the_token_check(
    door: RunningDoor, environment: Environment
) -> None:
    assert door.send(json=CALL, headers=JSON | {"Origin": environment["PUBLIC_URL"]}).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1"])
def test_a_name_that_is_not_ours_is_misdirected(host: str, door: RunningDoor, token: Token) -> None:
    assert door.send(json=CALL, headers=bearer(token(), Host=host)).status_code == 421


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS"])
def test_only_post_is_served(method: str, door: RunningDoor, token: Token) -> None:
    answer = door.send(method, headers=bearer(token()))
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("kind", ["text/plain", "application/jsonp", "application/json-seq", ""])
def test_only_json_is_read(kind: str, door: RunningDoor, token: Token) -> None:
    headers = bearer(token()) | {"Content-Type": kind}
    assert door.send(content=json.dumps(CALL), headers=headers).status_code == 415


def test_json_with_a_charset_is_json(door: RunningDoor, token: Token) -> None:
    headers = bearer(token()) | {"Content-Type": "application/json; charset=utf-8"}
    assert door.send(content=json.dumps(CALL), headers=headers).status_code == 200


def test_a_body_over_four_mebibytes_is_refused_declared_or_not(door: RunningDoor, token: Token) -> None:
    large = b"x" * (4 * 1024 * 1024 + 1)
    assert door.send(content=large, headers=bearer(token())).status_code == 413
    assert door.send(content=iter([large[:9], large[9:]]), headers=bearer(token())).status_code == 413


@pytest.mark.parametrize("body", [b"{", b"[]", b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]'])
def test_bad_json_and_batches_are_bad_requests(body: bytes, door: RunningDoor, token: Token) -> None:
    assert door.send(content=body, headers=bearer(token())).status_code == 400


# --- around it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["", "/mcp"])
def test_both_forms_of_the_metadata_describe_the_door(
    form: str, door: RunningDoor, environment: Environment
) -> None:
    answer = door.send("GET", f"/.well-known/oauth-protected-resource{form}")
    assert answer.json() == {
        "resource": environment["DOOR_URL"],
        "authorization_servers": [environment["PUBLIC_URL"]],
        "scopes_supported": ["mcp:read", "mcp:request"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Countersign",
    }


def test_the_door_says_that_it_is_well(door: RunningDoor) -> None:
    answer = door.send("GET", "/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")


def test_a_door_without_its_database_says_that_it_is_not_well(
    environment: Environment, tmp_path: Path
) -> None:
    nowhere = environment | {"DATABASE_URL": "postgresql://nobody:demo@127.0.0.1:1/nothing"}
    with running_door(nowhere, any_free(), tmp_path / "log", health=503) as door:
        assert door.send("GET", "/healthz").text == "the database does not answer"


def test_a_slow_company_api_keeps_neither_health_nor_tokens_waiting(
    door: RunningDoor, token: Token, known: World
) -> None:
    raw, slow = token(), 8
    known.shop.arm("latency", seconds=4, times=slow)
    before = known.shop.log().count("fault latency")
    with ThreadPoolExecutor(slow) as pool:
        calls = [pool.submit(door.send, json=CALL, headers=bearer(raw)) for _ in range(slow)]
        while known.shop.log().count("fault latency") < before + slow:
            sleep(0.02)
        assert door.send("GET", "/healthz").status_code == 200
        assert door.send(json=CALL, headers=bearer("made-up")).status_code == 401
        assert not any(call.done() for call in calls)
    assert {call.result().status_code for call in calls} == {200}


def test_the_door_serves_no_page(door: RunningDoor) -> None:
    assert {door.send("GET", path).status_code for path in ("/", "/accounts/login/", "/oauth/token/")} == {
        404
    }


def test_a_killed_database_connection_costs_no_later_call(
    door: RunningDoor, token: Token, known: World
) -> None:
    with door.host(token()) as host:
        assert host.ask("list_my_requests")
        with known.processes.cursor("admin") as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename LIKE '%_door'"
            )
        for _ in range(10):
            assert host.ask("list_my_requests") == {"requests": [], "next_cursor": None}
