"""Real MCP hosts for tests: the official client, over HTTP, over stdio, or in this process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.extension import ClientExtension
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, GetPromptResult, Implementation, TextContent, TextResourceContents, Tool

from approvals.management.plan import SERVED_WITH
from tests.scan import known, output

ROOT = Path(__file__).resolve().parents[2]
MODERN, LEGACY = "2026-07-28", "2025-11-25"
MODE = {MODERN: MODERN, LEGACY: "legacy", "auto": "auto"}
NAME = Implementation(name="test-host", version="1.0")


@dataclass
class Host:
    """A connected client whose methods can be called from a test that also uses the database."""

    portal: BlockingPortal
    client: Client

    def tools(self) -> list[Tool]:
        return self.portal.call(self.client.list_tools).tools

    def call(self, tool: str, /, *, meta: Any = None, **arguments: object) -> CallToolResult:
        return self.portal.call(partial(self.client.call_tool, tool, arguments, meta=meta))

    def ask(self, tool: str, /, **arguments: object) -> dict[str, Any]:
        """The structured answer of a call that has to succeed."""
        answer = self.call(tool, **arguments)
        assert not answer.is_error, text(answer)
        return dict(answer.structured_content or {})

    def refusal(self, tool: str, /, **arguments: object) -> str:
        """The words of a call that has to be refused."""
        answer = self.call(tool, **arguments)
        assert answer.is_error, answer
        return text(answer)

    def read(self, uri: str) -> str:
        (content,) = self.portal.call(self.client.read_resource, uri).contents
        assert isinstance(content, TextResourceContents)
        return content.text

    def prompt(self, name: str, **arguments: str) -> GetPromptResult:
        return self.portal.call(self.client.get_prompt, name, arguments)


def text(answer: CallToolResult) -> str:
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


@contextmanager
def connected(
    server: Any, era: str = MODERN, extensions: Sequence[ClientExtension] = (), **can: Any
) -> Iterator[Host]:
    """`can` is what else the client is able to do, such as answering questions."""
    client = Client(
        server,
        mode=MODE[era],
        client_info=NAME,
        read_timeout_seconds=30,
        cache=None,
        extensions=extensions,
        **can,
    )
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(client):
        yield Host(portal, client)


@dataclass
class RunningDoor:
    """The door in its own process, with its own database role."""

    url: str
    log_file: Path

    @contextmanager
    def host(
        self, token: str, era: str = MODERN, extensions: Sequence[ClientExtension] = (), **headers: str
    ) -> Iterator[Host]:
        headers["Authorization"] = f"Bearer {token}"
        http = httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30)
        with connected(streamable_http_client(self.url, http_client=http), era, extensions) as host:
            yield host

    def send(self, method: str = "POST", path: str = "/mcp", **how: Any) -> httpx.Response:
        base = self.url.removesuffix("/mcp")
        with httpx.Client(base_url=base, trust_env=False, timeout=30) as client:
            return client.request(method, path, **how)

    def logged(self, event: str, trace_id: str) -> list[dict[str, Any]]:
        """The log lines of one event on one trace."""
        lines = [json.loads(line) for line in self.log_file.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event and line.get("trace_id") == trace_id]


@contextmanager
def running_door(
    environment: Mapping[str, str], port: int, log_file: Path, *, health: int = 200
) -> Iterator[RunningDoor]:
    """`uvicorn approvals.asgi:application` as the door, from when its health is as expected."""
    command = [sys.executable, "-m", "uvicorn", "approvals.asgi:application"]
    command += ["--host", "127.0.0.1", "--port", str(port), *SERVED_WITH]
    known.environment("the door", environment)
    with log_file.open("w") as log:
        output.keep(log_file)
        process = subprocess.Popen(command, cwd=ROOT, env=bare(environment), stdout=log, stderr=log)
    door = RunningDoor(f"http://127.0.0.1:{port}/mcp", log_file)
    try:
        deadline = monotonic() + 30
        while _health(door) != health:
            assert process.poll() is None and monotonic() < deadline, log_file.read_text()
            sleep(0.05)
        yield door
    finally:
        process.terminate()
        process.wait(timeout=20)


def _health(door: RunningDoor) -> int | None:
    try:
        return door.send("GET", "/healthz").status_code
    except httpx.TransportError:
        return None


@contextmanager
def over_stdio(
    environment: Mapping[str, str], log_file: Path, era: str = MODERN, command: tuple[str, ...] = ()
) -> Iterator[Host]:
    """A host that starts `manage.py mcp_stdio` as its own process, or another script in its place."""
    program, *arguments = command or ("manage.py", "mcp_stdio")
    server = StdioServerParameters(
        command=sys.executable, args=[program, *arguments], env=dict(environment), cwd=str(ROOT)
    )
    known.environment("a stdio host", environment)
    log_file.touch()
    output.keep(log_file)
    with log_file.open("w") as log, connected(stdio_client(server, errlog=log), era) as host:
        yield host


def bare(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what this test run has set for itself."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | dict(environment)
