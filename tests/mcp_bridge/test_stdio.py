"""The door over stdin and stdout."""

import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest
from mcp.shared.exceptions import MCPError

from approvals.errors import CredentialRefused
from approvals.identity.models import Agent
from mcp_bridge import stdio
from mcp_bridge.stdio import Credential
from tests.mcp_bridge.conftest import Environment
from tests.mcp_bridge.hosts import LEGACY, MODERN, ROOT, Host, bare, over_stdio
from tests.scan import output
from tests.world import REFUND, SECRET, World

FIFTH = ("tests/mcp_bridge/with_a_fifth_action.py", "mcp_stdio")


def test_an_agent_asks_and_follows_over_stdio(stdio_host: Host, known: World) -> None:
    filed = stdio_host.ask("request_refund", **REFUND, idempotency_key="stdio-ticket-1")
    again = stdio_host.ask("request_refund", **REFUND, idempotency_key="stdio-ticket-1")
    assert again["request_id"] == filed["request_id"]
    assert stdio_host.ask("get_request_status", request_id=filed["request_id"])["status"] == "pending"
    assert stdio_host.refusal("lookup_order", order_id="ord_20001").startswith("[not_found]")
    assert known.tenant.slug in stdio_host.read("agent://me")


@pytest.mark.parametrize(
    "change",
    [
        {"COUNTERSIGN_CLIENT_SECRET": "wrong"},
        {"COUNTERSIGN_CLIENT_SECRET": ""},
        {"COUNTERSIGN_CLIENT_ID": "nobody"},
        {"COUNTERSIGN_CLIENT_ID": ""},
    ],
)
def test_a_wrong_credential_ends_the_process_with_a_sentence(
    change: dict[str, str], stdio_environment: Environment
) -> None:
    """MCP 2026-07-28, authorization, "Protocol Requirements": over stdio the credential is in the environment, and no
    OAuth takes its place; "stdio", transports: whatever is not the protocol goes to stderr."""
    ended = subprocess.run(
        [sys.executable, "manage.py", "mcp_stdio"],
        cwd=ROOT,
        env=bare(stdio_environment | change),
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    output.told("stdio", ended.stdout, ended.stderr)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "The client id or the client secret is wrong" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_a_fifth_action_is_one_file_and_what_it_prints_never_reaches_stdout(
    era: str, stdio_environment: Environment, tmp_path: Path, known: World
) -> None:
    with over_stdio(stdio_environment | {"PYTHONUNBUFFERED": "1"}, tmp_path / "stderr", era, FIFTH) as host:
        (tool,) = [tool for tool in host.tools() if tool.name == "request_bell"]
        assert set(tool.input_schema["properties"]) == {"order_id", "times", "reason", "idempotency_key"}
        filed = host.ask("request_bell", order_id="ord_10001", times=2, reason="The customer asked for it.")
        assert filed["status"] == "pending"
        assert host.ask("get_request_status", request_id=filed["request_id"])["headline"].startswith("Ring")
    said = (tmp_path / "stderr").read_text()
    for noise in ("printed at import", "printed while looking up", "written to the original stdout",
                  "written to descriptor 1", "printed by a child"):  # fmt: skip
        assert noise in said
    assert known.events() == ["request.created"]


def test_every_byte_on_stdout_is_the_protocols(stdio_environment: Environment) -> None:
    """By hand, since a client would forgive a stray line; buffered output at the end of the process counts too."""
    call = (
        '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"request_bell","arguments":'
        '{"order_id":"ord_10001","reason":"The customer asked for it."}}}'
    )
    hello = (
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
        '"capabilities":{},"clientInfo":{"name":"by-hand","version":"1"}}}'
    )
    ready = '{"jsonrpc":"2.0","method":"notifications/initialized"}'
    process = subprocess.Popen(
        [sys.executable, *FIFTH],
        cwd=ROOT,
        env=bare(stdio_environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout and process.stderr
    with process:
        lines = []
        for message, answered in ((hello, True), (ready, False), (call, True)):
            process.stdin.write(f"{message}\n")
            process.stdin.flush()
            lines += [process.stdout.readline()] if answered else []
        process.stdin.close()
        rest = process.stdout.read()
        output.told("stdio", *lines, rest, process.stderr.read())
    assert process.returncode == 0
    assert all(line.startswith('{"jsonrpc":"2.0"') for line in lines)
    assert "pending" in lines[-1]
    assert rest == ""


def test_an_agent_that_is_switched_off_loses_access_within_seconds(
    known: World, stdio_environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = Credential(known.agent.client_id, SECRET)
    with known.processes.acting_as("door"):
        assert credential.requester().agent_id == known.agent.agent_id
    switch(known, on=False)
    assert stdio.FRESH_SECONDS <= 5
    monkeypatch.setattr(stdio, "FRESH_SECONDS", 0.0)
    with known.processes.acting_as("door"), pytest.raises(CredentialRefused):
        credential.requester()
    switch(known, on=True)
    with over_stdio(stdio_environment, tmp_path / "stderr") as host:
        assert host.ask("list_my_requests")
        switch(known, on=False)
        assert "the agent was switched off" in refused_within(host, seconds=10)


def refused_within(host: Host, *, seconds: float) -> str:
    """The words with which calls are refused from some moment on; "" when they never are."""
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        try:
            host.ask("list_my_requests")
        except MCPError as refused:
            return refused.message
        sleep(0.5)
    return ""


def switch(world: World, *, on: bool) -> None:
    with world.processes.acting_as("migrator"):
        Agent.objects.filter(pk=world.agent.id).update(is_active=on)
