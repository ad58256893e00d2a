"""Switches as an agent meets them at the door."""

import json
from time import sleep
from uuid import uuid4

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST

from approvals import switches
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.models import Switch
from mcp_bridge.gate import STANDS_FOR
from mcp_bridge.needs import METHODS
from mcp_bridge.server import tools
from tests import courses
from tests.mcp_bridge.conftest import Token
from tests.mcp_bridge.hosts import LEGACY, MODERN, Host, RunningDoor
from tests.mcp_bridge.sending import PARENT
from tests.mcp_bridge.watched import uri, watching
from tests.world import REFUND, World

FOLLOWS = switches.reach.FRESH_SECONDS + 0.2  # what a door process knows is no older than that


def stop(world: World, **how: object) -> Switch:
    with world.processes.acting_as("migrator"):
        told = {"tenant_id": world.tenant.pk, "reason": "The refunds look wrong.", "by": None} | how
        switch = switches.turn_on(**told)  # type: ignore[arg-type]
    sleep(FOLLOWS)
    return switch


def denials(world: World) -> list[dict[str, object]]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        found = Event.objects.filter(tenant_id=world.tenant.pk, kind="access.denied").order_by("at")
        return [dict(json.loads(event.text)["data"]) for event in found]


def test_everything_that_the_door_offers_can_be_stopped_by_its_name() -> None:
    assert set(switches.tools()) == {tool.name for tool in tools()}


def test_the_gate_knows_what_everything_else_that_is_offered_stands_for(host: Host) -> None:
    resources = {each.uri for each in host.portal.call(host.client.list_resources).resources}
    templates = host.portal.call(host.client.list_resource_templates).resource_templates
    offered = resources | {each.uri_template for each in templates} | METHODS.keys() - {"resources/read"}
    assert offered == STANDS_FOR.keys()
    assert set(STANDS_FOR.values()) <= {"", *switches.tools()}


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_a_tool_that_is_stopped_can_not_be_read_as_a_resource(
    era: str, door: RunningDoor, token: Token, known: World
) -> None:
    request, trace = courses.pending(known), uuid4().hex
    switch = stop(known, tool="get_request_status")
    with door.host(token(), era, traceparent=PARENT.format(trace)) as host:
        with pytest.raises(MCPError) as caught:
            host.read(uri(request))
        assert host.read("agent://me")
    assert caught.value.code == INVALID_REQUEST
    assert caught.value.message == (
        "[switched_off] An operator has stopped the tool get_request_status for all agents of this company, and "
        'says: "The refunds look wrong." Nothing was done. Do not repeat the call: it stays stopped until an '
        "operator lets it go on. Tell your user."
    )
    lines = {line["resource_id"]: line for line in door.logged("call", trace)}
    assert lines[uri(request)]["authz_result"] == "switched_off"
    assert lines["agent://me"]["authz_result"] == "allow"
    written = door.log_file.read_text().splitlines()
    assert not [line for line in written if trace in line and '"level": "error"' in line]
    (denied,) = denials(known)
    assert (denied["wanted"], denied["switch"]) == ("get_request_status", str(switch.pk))


def test_a_tool_that_is_stopped_can_not_be_watched(door: RunningDoor, token: Token, known: World) -> None:
    request = courses.pending(known)
    stop(known, tool="get_request_status")
    with (
        door.host(token()) as host,
        pytest.raises(MCPError, match="switched_off") as caught,
        watching(host, request),
    ):
        pass
    assert caught.value.code == INVALID_REQUEST


def test_requests_are_refused_in_words_and_look_ups_stay_on(host: Host, known: World) -> None:
    mine = host.ask("request_refund", **REFUND)["request_id"]
    switch = stop(known)
    assert host.refusal("request_refund", **REFUND) == (
        "[switched_off] An operator has stopped all requests of this company's agents, and says: "
        '"The refunds look wrong." Nothing was done; look-ups and withdraw_request go on. '
        "Do not repeat the call: it stays stopped until an operator lets it go on. Tell your user."
    )
    assert host.ask("lookup_order", order_id="ord_10001")
    assert host.ask("get_request_status", request_id=mine)
    assert "refund" in host.read("policy://refunds")
    assert host.ask("withdraw_request", request_id=mine)["status"] == "withdrawn"
    with known.processes.acting_as("migrator"):
        switches.turn_off(switch.pk, by=None)
    sleep(FOLLOWS)
    assert host.ask("request_refund", **REFUND)["status"] == "pending"


def test_everything_means_look_ups_and_resources_too(host: Host, known: World) -> None:
    stop(known, stops=Switch.EVERYTHING)
    calls: dict[str, dict[str, object]] = {
        "lookup_order": {"order_id": "ord_10001"},
        "get_request_status": {"request_id": str(uuid4())},
        "withdraw_request": {"request_id": str(uuid4())},
        "request_refund": dict(REFUND),
    }
    for tool, arguments in calls.items():
        assert host.refusal(tool, **arguments).startswith("[switched_off] An operator has stopped every call")
    with pytest.raises(MCPError, match="switched_off"):
        host.read("agent://me")
    assert host.tools()


def test_a_refused_call_leaves_a_line_that_says_so_and_one_event_a_minute(
    door: RunningDoor, token: Token, known: World
) -> None:
    switch, trace = stop(known), uuid4().hex
    with door.host(token(), traceparent=PARENT.format(trace)) as host:
        for _ in range(20):
            host.refusal("request_refund", **REFUND)
    lines = [line for line in door.logged("call", trace) if line["tool_name"] == "request_refund"]
    assert {(line["authz_result"], line["is_error"]) for line in lines} == {("switched_off", True)}
    assert len(lines) == 20
    (denied,) = denials(known)
    assert (denied["code"], denied["wanted"], denied["switch"]) == (
        "switched_off",
        "request_refund",
        str(switch.pk),
    )


def test_what_was_filed_before_is_told_as_held(door: RunningDoor, token: Token, known: World) -> None:
    with door.host(token()) as host:
        request_id = host.ask("request_refund", **REFUND)["request_id"]
        stop(known)
        with known.processes.acting_as("sweeper"):
            for due in switches.Clocks().due():
                switches.tend(due)
        told = host.ask("get_request_status", request_id=request_id)
    assert "An operator has stopped this for now" in told["message"]
