"""Who and what comes in over HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.management.ports import any_free
from mcp_bridge import threads
from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.hosts import LEGACY, MODERN, RunningDoor, running_door
from tests.mcp_bridge.sending import CALL, bearer
from tests.world import REFUND, World


def denials(world: World) -> list[dict[str, Any]]:
    """What the trail holds of refused accesses."""
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        found = Event.objects.filter(tenant_id=world.tenant.pk, kind="access.denied")
        return [json.loads(event.text) for event in found]


# --- tokens -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_an_agent_with_a_token_for_this_door_comes_in(era: str, door: RunningDoor, token: Token) -> None:
    with door.host(token(), era) as host:
        assert host.client.protocol_version == era
        assert host.ask("lookup_order", order_id="ord_10001")["order_id"] == "ord_10001"


# --- scopes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_each_tool_asks_for_its_scope(era: str, door: RunningDoor, token: Token, known: World) -> None:
    with door.host(token(scope="mcp:read"), era) as reader:
        assert reader.ask("lookup_order", order_id="ord_10001")
        for tool in reader.tools():
            if not tool.annotations.read_only_hint:  # type: ignore[union-attr]
                with pytest.raises(MCPError, match=r"^\[scope_missing\].* mcp:request"):
                    reader.call(tool.name)
    assert {event["data"]["wanted"] for event in denials(known)} >= {"request_refund", "withdraw_request"}
    with door.host(token(scope="mcp:request"), era) as asker:
        assert asker.ask("request_refund", **REFUND)["status"] == "pending"
        with pytest.raises(MCPError, match="scope_missing"):
            asker.call("lookup_order", order_id="ord_10001")


# --- around it --------------------------------------------------------------------------------------------


def test_the_door_says_that_it_is_well(door: RunningDoor) -> None:
    answer = door.send("GET", "/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")


def test_a_door_without_its_database_says_that_it_is_not_well(
    environment: Environment, tmp_path: Path
) -> None:
    nowhere = environment | {"DATABASE_URL": "postgresql://nobody:demo-of-nobody-at-all@127.0.0.1:1/nothing"}
    with running_door(nowhere, any_free(), tmp_path / "log", health=503) as door:
        assert door.send("GET", "/healthz").text == "the database does not answer"


def test_a_slow_company_api_keeps_neither_health_nor_tokens_waiting(
    door: RunningDoor, token: Token, known: World
) -> None:
    raw, slow = token(), threads._SHARE  # as many as one tenant may have under way
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
