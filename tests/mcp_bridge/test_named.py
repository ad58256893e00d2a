"""What a caller names is looked for among our own names; its words reach no log, no span and no trail.

A canary stands in every place that a caller can write to, in both eras of the protocol and over both transports.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.management.ports import any_free
from mcp_bridge import named, prompts, resources
from mcp_bridge.server import tools
from tests.mcp_bridge.collecting import Collector, collecting
from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.hosts import LEGACY, MODERN, ROOT, Host, RunningDoor, bare, running_door
from tests.mcp_bridge.sending import JSON, PARENT, bearer, described, modern, on_the_wire
from tests.scan import known as secrets
from tests.scan import output
from tests.world import World

Message = dict[str, Any]
NOBODYS = "@nobody.invalid"  # makes an e-mail address of a canary, and no identifier


@pytest.fixture
def canary() -> str:
    return f"canary{uuid4().hex[:12]}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def named_everywhere(canary: str) -> list[tuple[str, Message]]:
    """Methods and parameters."""
    address = canary + NOBODYS
    return [
        ("tools/call", {"name": canary, "arguments": {canary: canary}}),
        ("tools/call", {"name": address}),
        ("tools/call", {"name": "lookup_order", "arguments": {"order_id": address, canary: canary}}),
        ("tools/call", {"name": "get_request_status", "arguments": {"request_id": canary}}),
        ("prompts/get", {"name": canary}),
        ("prompts/get", {"name": "investigate_failed_refund", "arguments": {canary: canary}}),
        ("prompts/get", {"name": "investigate_failed_refund", "arguments": {"payment_id": address}}),
        ("resources/read", {"uri": f"customer://{address}"}),
        ("resources/read", {"uri": f"approval://{canary}"}),
        ("resources/read", {"uri": f"policy://{canary}"}),
        ("resources/read", {"uri": f"{canary}://refunds"}),
        ("resources/subscribe", {"uri": f"approval://{canary}"}),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": [f"approval://{canary}"]}}),
        ("tasks/get", {"taskId": canary}),
        ("completion/complete", {
            "ref": {"type": "ref/prompt", "name": canary}, "argument": {"name": canary, "value": canary},
        }),
        ("logging/setLevel", {"level": canary}),
        ("tools/list", {"cursor": canary, "name": canary, "uri": canary}),
        (canary, {"name": canary, "uri": canary}),
        (f"notifications/{canary}", {"name": canary}),
    ]  # fmt: skip


def as_sent(era: str, canary: str) -> list[Message]:
    sent: list[Message] = []
    for at, (method, params) in enumerate(named_everywhere(canary)):
        message = modern(method, **params) if era == MODERN else {"method": method, "params": params}
        numbered = {} if method.startswith("notifications/") else {"id": f"{canary}-{at}"}
        sent.append({"jsonrpc": "2.0", **message, **numbered})
        if numbered == {}:
            sent[-1].pop("id", None)
    return sent


def trail(world: World) -> str:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return "".join(Event.objects.filter(tenant_id=world.tenant.pk).values_list("text", flat=True))


def over_http(door: RunningDoor, raw: str, canary: str, trace: str) -> None:
    """Every message in both eras, and what is turned away before it is one."""
    for era in (MODERN, LEGACY):
        for message in as_sent(era, canary):
            headers = bearer(raw, traceparent=PARENT.format(trace))
            door.send(json=message, headers=headers | (described(message) if era == MODERN else {}))
    good, bad = bearer(raw), {"traceparent": PARENT.format(trace)}
    ping = {"jsonrpc": "2.0", "id": canary, "method": "ping"}
    door.send(json=ping, headers=good | {"Host": f"{canary}.invalid"} | bad)
    door.send(json=ping, headers=good | {"Origin": f"https://{canary}.invalid"} | bad)
    door.send(json=ping, headers=good | {"MCP-Protocol-Version": canary} | bad)
    door.send(json=ping, headers=good | {"Mcp-Session-Id": canary} | bad)
    door.send(json=modern("ping", version=canary), headers=good | {"MCP-Protocol-Version": canary} | bad)
    door.send(json=ping, headers=JSON | {"Authorization": f"Bearer {canary}"} | bad)
    door.send(path=f"/{canary}", params={canary: canary}, headers=bad)
    door.send(path=f"/mcp/{canary}", headers=bad)
    door.send("PROPFIND", path="/mcp", headers=bad)
    on_the_wire(door, f"{canary}: {canary}", f"traceparent: {canary}", "Content-Type: text/plain")
    hello = {"protocolVersion": canary, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    door.send(json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}, headers=good | bad)


def test_over_http_no_word_of_a_caller_reaches_log_span_or_trail(
    environment: Environment, known: World, token: Token, canary: str, collector: Collector, tmp_path: Path
) -> None:
    port, trace = any_free(), uuid4().hex
    own = environment | {"DOOR_URL": f"http://127.0.0.1:{port}/mcp", "LOG_LEVEL": "DEBUG"}
    own |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    with running_door(own, port, tmp_path / "log") as door:
        over_http(door, token(resource=[door.url]), canary, trace)
    lines, refused = door.logged("call", trace), door.logged("refused at the door", trace)
    assert len(lines) > 1.5 * len(named_everywhere(canary)) and len(refused) > 7
    assert canary not in door.log_file.read_text()
    assert any(span.trace == trace for span in collector.spans)
    assert canary.encode() not in collector.raw
    assert canary not in trail(known)
    assert [line["tool_name"] for line in lines if line["method"] == "tools/call"] == 2 * [
        "unknown", "unknown", "lookup_order", "get_request_status",
    ]  # fmt: skip
    assert [line["tool_name"] for line in lines if line["method"] == "prompts/get"] == 2 * [
        "unknown", "investigate_failed_refund", "investigate_failed_refund",
    ]  # fmt: skip
    assert {line["resource_id"] for line in lines if line["method"] == "resources/read"} == {"unknown"}
    assert {line["path"] for line in refused} == {"/mcp", "unknown"}


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_over_stdio_no_word_of_a_caller_reaches_log_span_or_trail(
    era: str, stdio_environment: Environment, known: World, canary: str, collector: Collector
) -> None:
    hello = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    sent = as_sent(era, canary)
    if era == LEGACY:
        sent.insert(0, {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})
        sent.insert(1, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    told = stdio_environment | {"LOG_LEVEL": "DEBUG", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    secrets.environment("a stdio host", told)
    said = spoken(told, sent)
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    methods = [line["method"] for line in lines if line["event"] == "call"]
    assert "unknown" in methods and len(methods) > 0.7 * len(sent)
    assert canary not in said
    assert collector.spans
    assert canary.encode() not in collector.raw
    assert canary not in trail(known)


def spoken(told: Environment, sent: list[Message]) -> str:
    """What the process says on stderr; each request is answered before the next one goes out."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "mcp_stdio"],
        cwd=ROOT,
        env=bare(told),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout and process.stderr
    with process:
        for message in [{"not": "a message"}, *sent]:
            process.stdin.write(f"{json.dumps(message)}\n")
            process.stdin.flush()
            if "id" in message:
                assert process.stdout.readline()
        process.stdin.close()
        said = process.stderr.read()
        output.told("stdio", said)
    return said


def test_what_is_ours_stands_in_the_line(door: RunningDoor, token: Token, known: World) -> None:
    trace, missing = uuid4().hex, uuid4()
    with door.host(token(), traceparent=PARENT.format(trace)) as host:
        for uri in (*resources.URIS, "customer://cus_1001"):
            host.read(uri)
        with pytest.raises(Exception, match="not_found"):
            host.read(f"approval://{{{str(missing).upper()}}}")
    read = [line["resource_id"] for line in door.logged("call", trace) if line["method"] == "resources/read"]
    # Of a company's object its id stands there, as in the line of a tool that looks it up.
    assert read == [*resources.URIS, "cus_1001", f"approval://{missing}"]


def test_every_name_that_is_offered_is_known(host: Host) -> None:
    """Whoever adds a resource or a prompt names it for the log too."""
    assert {tool.name for tool in host.tools()} == {tool.name for tool in tools()}
    assert {one.name for one in host.portal.call(host.client.list_prompts).prompts} == set(prompts.NAMES)
    listed = host.portal.call(host.client.list_resources).resources
    assert {str(one.uri) for one in listed} == set(resources.URIS)
    templates = host.portal.call(host.client.list_resource_templates).resource_templates
    assert {one.uri_template.partition("{")[0] for one in templates} == set(resources.IDS)


def test_how_a_program_calls_itself_is_short_and_of_plain_letters() -> None:
    assert named.program("Claude Code (beta)", "2.1+dev/x") == "Claude Code (beta) 2.1+dev/x"
    assert named.program("jane@nobody.invalid\n\u202e", "<b>") == "jane?nobody.invalid ? ?b?"
    assert len(named.program("x" * 5000, "y" * 5000)) <= 100
