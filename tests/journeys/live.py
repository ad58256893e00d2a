"""What tests do with a whole running stack: start it, call its door, read the shop's ledger, type commands."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from approvals.management.banner import token_command
from approvals.management.development import Stack, stack
from tests.scan import issued, output
from tests.scan.scratch import scratch

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def running_stack() -> Iterator[Stack]:
    """All the processes of `make run`, with a data folder of their own."""
    environ = {name: value for name, value in os.environ.items() if name != "COUNTERSIGN_ENV"}
    with scratch() as data, stack(data, quiet=True, environ=environ) as running:
        issued.remember(running.env["migrator"]["DATABASE_URL"])
        yield running
        issued.collect(running.env["migrator"]["DATABASE_URL"])


def manage(live: Stack, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`manage.py` in another shell, which was told nothing but where the run lives."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "COUNTERSIGN_DATA": str(live.ground.data)},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    # Standard output answers whoever typed the command: that of add_receiver is a secret, told this once.
    output.told("manage", done.stderr)
    return done


def within(seconds: float, holds: Callable[[], Any]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def token(live: Stack) -> str:
    """With the very command that the banner prints."""
    answer = subprocess.run(
        token_command(live, live.seed["agents"][0]), shell=True, capture_output=True, text=True, check=True
    )
    return str(json.loads(answer.stdout)["access_token"])


def call(live: Stack, tool: str, **arguments: object) -> dict[str, Any]:
    """One tool call over HTTP, as a host of the older protocol sends it."""
    return call_at(live.addresses.door_url, live, token(live), tool, **arguments)


def call_at(door: str, live: Stack, bearer: str, tool: str, **arguments: object) -> dict[str, Any]:
    """`call` at one of several processes that serve the same door."""
    answer = httpx.post(
        door,
        headers={
            "Authorization": f"Bearer {bearer}",
            "Accept": "application/json, text/event-stream",
            "Host": urlsplit(live.addresses.door_url).netloc,
            "MCP-Protocol-Version": "2025-11-25",
        },
        json={
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        },
        timeout=30,
        trust_env=False,
    )
    result: dict[str, Any] = answer.raise_for_status().json()["result"]
    return result


def ledger(live: Stack, request_id: str) -> list[Any]:
    """What the shop really did."""
    answer = httpx.get(
        f"{live.addresses.backing_url}/v1/ledger",
        params={"reference": request_id},
        headers={"Authorization": f"Bearer {live.shop_control_token}"},
        trust_env=False,
    )
    return list(answer.json()["entries"])
