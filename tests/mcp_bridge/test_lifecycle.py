"""What the log keeps of a call, and how a trace goes from the host to the trail."""

import json
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from mcp.shared.exceptions import MCPError

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.models import PolicyVersion
from mcp_bridge.contract.catalogue import committed
from mcp_bridge.trace import trace_of
from tests.mcp_bridge.conftest import Token
from tests.mcp_bridge.hosts import LEGACY, MODERN, RunningDoor
from tests.world import REFUND, World

FIELDS = {
    "trace_id", "method", "host", "mcp_client_id", "protocol_version", "tool_name", "tool_version", "subject_id",
    "tenant_id", "resource_id", "policy_version", "approval_state", "authz_result", "input_schema_version",
    "output_schema_version", "backing_api_status", "is_error", "latency_ms",
}  # fmt: skip
OF_EVERY_LINE = {"event", "level", "logger", "timestamp"}
PARENT = "00-{}-00f067aa0ba902b7-01"


def calls(door: RunningDoor, trace: str, *methods: str) -> list[dict[str, Any]]:
    """The lines of these methods on one trace."""
    return [line for line in door.logged("call", trace) if line["method"] in methods]


def traces(world: World) -> set[str]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return set(Event.objects.filter(tenant_id=world.tenant.pk).values_list("trace_id", flat=True))


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_a_call_leaves_one_line_with_everything_that_is_known(
    era: str, door: RunningDoor, token: Token, known: World
) -> None:
    trace, raw = uuid4().hex, token()
    with door.host(raw, era, traceparent=PARENT.format(trace)) as host:
        assert host.ask("request_refund", **REFUND)
    (line,) = calls(door, trace, "tools/call")
    assert set(line) == FIELDS | OF_EVERY_LINE
    assert (line["tool_name"], line["tool_version"], line["resource_id"]) == (
        "request_refund",
        1,
        "pay_10001",
    )
    assert (line["mcp_client_id"], line["subject_id"]) == (known.agent.client_id, str(known.agent.agent_id))
    assert (line["tenant_id"], line["protocol_version"]) == (str(known.tenant.pk), era)
    assert (line["approval_state"], line["authz_result"]) == ("pending", "allow")
    assert (line["backing_api_status"], line["is_error"]) == (200, False)
    frozen = committed().offered.tools["request_refund"]
    assert line["input_schema_version"] == f"{frozen.input.version}+{frozen.input.digest}"
    assert line["output_schema_version"] == f"{frozen.output.version}+{frozen.output.digest}"
    assert line["policy_version"]
    # A stateless request of the older protocol does not say which host sends it.
    assert line["host"] == ("test-host 1.0" if era == MODERN else None)


def test_refusals_are_lines_too(door: RunningDoor, token: Token, known: World) -> None:
    trace = uuid4().hex
    known.shop.arm("error_500")
    with door.host(token(scope="mcp:read"), traceparent=PARENT.format(trace)) as host:
        host.refusal("lookup_order", order_id="ord_10001")
        host.refusal("lookup_order", order_id="ord_99999")
        with pytest.raises(MCPError, match="scope_missing"):
            host.call("request_refund", **REFUND)
        with pytest.raises(MCPError):
            host.read("customer://cus_99999")
    said = [
        (line["tool_name"], line["authz_result"], line["backing_api_status"], line["is_error"])
        for line in calls(door, trace, "tools/call", "resources/read")
    ]
    assert said == [
        ("lookup_order", "allow", 500, True),
        ("lookup_order", "allow", 404, True),
        (None, "allow", 404, True),
    ]
    # Refused before it became a call: one line at the edge, and none of a call.
    (edge,) = door.logged("refused at the door", trace)
    assert (edge["wanted"], edge["authz_result"], edge["status"]) == ("request_refund", "deny", 403)


def test_reading_a_resource_and_getting_a_prompt_leave_a_line(door: RunningDoor, token: Token) -> None:
    trace = uuid4().hex
    with door.host(token(), traceparent=PARENT.format(trace)) as host:
        host.read("policy://refunds")
        host.prompt("investigate_failed_refund", payment_id="pay_15001")
    lines = calls(door, trace, "resources/read", "prompts/get")
    assert [line["method"] for line in lines] == ["resources/read", "prompts/get"]
    assert lines[0]["resource_id"] == "policy://refunds"


def test_what_decides_nothing_leaves_a_line_too(door: RunningDoor, token: Token, known: World) -> None:
    trace = uuid4().hex
    with door.host(token(), LEGACY, traceparent=PARENT.format(trace)) as host:
        host.portal.call(host.client.send_ping)
        for listed in (host.client.list_tools, host.client.list_resources, host.client.list_prompts):
            host.portal.call(listed)
    with door.host(token(), "auto", traceparent=PARENT.format(trace)) as host:
        host.tools()
    lines = door.logged("call", trace)
    older = {"initialize", "notifications/initialized", "ping", "resources/list", "prompts/list"}
    assert {line["method"] for line in lines} == {*older, "tools/list", "server/discover"}
    assert all(set(line) == FIELDS | OF_EVERY_LINE for line in lines)
    assert {line["tenant_id"] for line in lines} == {str(known.tenant.pk)}
    # Nobody had to decide who may do it: whoever is let in may.
    assert {line["authz_result"] for line in lines} == {None}


def test_a_method_that_nobody_serves_leaves_a_line_without_its_name(
    door: RunningDoor, token: Token, known: World
) -> None:
    trace, method = uuid4().hex, "approve\u202eall" + "x" * 500
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"secret": "purple-hippopotamus"}}
    headers = {"Authorization": f"Bearer {token()}", "traceparent": PARENT.format(trace)}
    headers["Accept"] = "application/json, text/event-stream"
    door.send(json=message, headers=headers)
    (line,) = door.logged("call", trace)
    assert (line["is_error"], line["method"]) == (True, "unknown")


def test_what_the_policy_refuses_is_a_denial_of_that_policy(
    door: RunningDoor, token: Token, known: World
) -> None:
    trace = uuid4().hex
    with door.host(token(), traceparent=PARENT.format(trace)) as host:
        said = host.refusal("request_refund", **(REFUND | {"amount_minor": 9_999_999}))
    assert said.startswith("[doomed]")
    (line,) = calls(door, trace, "tools/call")
    assert (line["authz_result"], line["resource_id"], line["is_error"]) == ("deny", "pay_10001", True)
    with known.processes.acting_as("web"), tenant_scope(known.tenant.pk):
        in_force = PolicyVersion.objects.get(tenant_id=known.tenant.pk, is_active=True)
    assert line["policy_version"] == str(in_force.pk)


def test_neither_tokens_nor_payloads_reach_the_log(door: RunningDoor, token: Token) -> None:
    raw, reason = token(), "A reason with the words purple-hippopotamus in it."
    with door.host(raw) as host:
        host.ask("request_refund", **(REFUND | {"reason": reason}))
        host.refusal("request_refund", **(REFUND | {"reason": reason, "colour": "purple-hippopotamus"}))
        host.ask("lookup_order", order_id="ord_10001")
    log = door.log_file.read_text()
    assert raw not in log
    assert "purple-hippopotamus" not in log


def test_a_trace_goes_from_the_host_to_the_trail(door: RunningDoor, token: Token, known: World) -> None:
    by_header, by_meta = uuid4().hex, uuid4().hex
    with door.host(token(), traceparent=PARENT.format(by_header)) as host:
        host.ask("request_refund", **REFUND)
        host.call("request_refund", meta={"traceparent": PARENT.format(by_meta)}, **REFUND)
    assert traces(known) == {by_header, by_meta}


def test_without_a_valid_trace_each_call_gets_a_new_one(
    door: RunningDoor, token: Token, known: World
) -> None:
    with door.host(token(), traceparent="00-zz-xx-01") as host:
        host.ask("request_refund", **REFUND)
        host.ask("request_refund", **REFUND)
    assert len(traces(known)) == 2
    assert all(len(trace) == 32 and trace != "zz" for trace in traces(known))


@pytest.mark.parametrize(
    ("traceparent", "trace"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"),
        ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later", "0af7651916cd43dd8448eb211c80319c"),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later", None),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", None),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", None),
        ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", None),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n-02", None),
        (None, None),
        (7, None),
    ],
)
def test_only_a_valid_traceparent_counts(traceparent: object, trace: str | None) -> None:
    assert trace_of(traceparent) == trace


def test_an_unexpected_error_is_masked_and_found_by_its_trace(
    door: RunningDoor, token: Token, known: World
) -> None:
    """The door's role may not read requests any more: a defect of ours, which an agent need not know."""
    trace = uuid4().hex
    role = psycopg.sql.Identifier(f"{known.processes.prefix}_door")
    with known.processes.cursor("admin") as shell:
        shell.execute(psycopg.sql.SQL("REVOKE SELECT ON approval_request FROM {}").format(role))
        shell.connection.commit()
        try:
            with door.host(token(), traceparent=PARENT.format(trace)) as host:
                words = host.refusal("get_request_status", request_id=str(uuid4()))
        finally:
            shell.execute(psycopg.sql.SQL("GRANT SELECT ON approval_request TO {}").format(role))
    assert words == f"Error executing tool get_request_status. Trace {trace} has the details."
    lines = [json.loads(line) for line in door.log_file.read_text().splitlines() if trace in line]
    errors = [line for line in lines if line["level"] == "error"]
    assert any("psycopg.errors.InsufficientPrivilege" in line["exception"] for line in errors)
    assert {line["trace_id"] for line in errors} == {trace}
