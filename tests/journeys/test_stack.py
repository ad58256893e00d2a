"""`make run` with all its real parts: what a stranger sees, and what a bad day does to it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from standardwebhooks import Webhook

from approvals.management.banner import banner, token_command
from approvals.management.development import Stack, stack
from tests.management import proc
from tests.scan import issued, output
from tests.scan.known import secret
from tests.scan.scratch import scratch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def live() -> Iterator[Stack]:
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


def agent(live: Stack) -> Any:
    return live.seed["agents"][0]


def token(live: Stack) -> str:
    """With the very command that the banner prints."""
    answer = subprocess.run(
        token_command(live, agent(live)), shell=True, capture_output=True, text=True, check=True
    )
    return str(json.loads(answer.stdout)["access_token"])


def call(live: Stack, tool: str, **arguments: object) -> dict[str, Any]:
    """One tool call over HTTP, as a host of the older protocol sends it."""
    answer = httpx.post(
        live.addresses.door_url,
        headers={
            "Authorization": f"Bearer {token(live)}",
            "Accept": "application/json, text/event-stream",
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


def credit(live: Stack, amount_minor: int) -> str:
    """File what the demo policy approves by itself: a small store credit."""
    filed = call(
        live,
        "request_store_credit",
        customer_id="cus_1001",
        amount_minor=amount_minor,
        currency="USD",
        reason="An apology for the late parcel.",
    )["structuredContent"]
    assert filed["status"] == "pending"
    return str(filed["request_id"])


def status(live: Stack, request_id: str) -> str:
    return str(call(live, "get_request_status", request_id=request_id)["structuredContent"]["status"])


def ledger(live: Stack, request_id: str) -> list[Any]:
    """What the shop really did."""
    answer = httpx.get(
        f"{live.addresses.backing_url}/v1/ledger",
        params={"reference": request_id},
        headers={"Authorization": f"Bearer {live.shop_control_token}"},
        trust_env=False,
    )
    return list(answer.json()["entries"])


@dataclass
class Receiver:
    url: str = ""
    received: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Somebody's server, which writes down what it is told."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            receiver.received.append((body, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not on the terminal of a test run."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    receiver.url = secret("a receiver's URL", f"http://127.0.0.1:{server.server_port}/hook")
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_listening_socket_is_on_loopback(live: Stack) -> None:
    names = ("database", "broker", "shop", "web", "door", "worker", "sweeper")
    sockets = proc.listening({pid for name in names for pid in proc.family(live[name].pid)})
    assert len(sockets) >= 5
    assert all(sockets.values()), sockets


def test_the_banner_says_where_to_go_who_to_be_and_how_to_connect(live: Stack) -> None:
    printed = banner(live)
    assert live.addresses.public_url in printed
    assert "lena@acme.example.com" in printed
    assert '"mcpServers"' in printed
    assert "grant_type=client_credentials" in printed


def test_who_types_the_address_in_numbers_is_told_the_name(live: Stack) -> None:
    """What a server prints when it starts is easily taken for its address."""
    public = live.addresses.public_url
    answer = httpx.get(public.replace("localhost", "127.0.0.1"), trust_env=False)
    assert answer.status_code == 400
    assert f'This service answers at <a href="{public}/">{public}</a>' in answer.text


def test_an_agent_connects_with_what_the_banner_prints(live: Stack) -> None:
    order = call(live, "lookup_order", order_id="ord_10001")
    assert order["structuredContent"]["currency"] == "USD"


def test_what_a_rule_approves_is_carried_out_without_a_hand(live: Stack) -> None:
    request_id = credit(live, 400)
    assert within(20, lambda: status(live, request_id) == "succeeded")


def test_a_worker_that_is_killed_comes_back_and_nothing_is_lost(live: Stack) -> None:
    before = live["worker"].pid
    for pid in proc.family(before):
        os.kill(pid, signal.SIGKILL)
    request_id = credit(live, 300)
    assert within(60, lambda: status(live, request_id) == "succeeded")
    assert live["worker"].pid != before
    assert len(ledger(live, request_id)) == 1


def test_an_answer_that_got_lost_is_settled_by_asking(live: Stack) -> None:
    """Nobody helps: the sweeper finds the doubt, a worker asks the shop."""
    httpx.post(
        f"{live.addresses.backing_url}/control/faults",
        json={"fault": "drop_after_commit", "method": "POST"},
        headers={"Authorization": f"Bearer {live.shop_control_token}"},
        trust_env=False,
    ).raise_for_status()
    request_id = credit(live, 200)
    assert within(30, lambda: status(live, request_id) == "succeeded")
    assert len(ledger(live, request_id)) == 1


def test_a_webhook_is_told_of_what_was_filed_decided_and_done(live: Stack) -> None:
    with receiving() as receiver:
        added = manage(live, "add_receiver", "acme", "webhook", "a test", stdin=receiver.url)
        assert added.returncode == 0, added.stderr
        verify = Webhook(added.stdout.split()[-1]).verify
        request_id = credit(live, 100)
        wanted = {"request.created", "request.approved", "request.succeeded"}

        def told() -> set[str]:
            messages = [verify(body, headers) for body, headers in list(receiver.received)]
            return {one["type"] for one in messages if one["data"]["request_id"] == request_id}

        assert within(20, lambda: told() == wanted), told()


def test_an_auditor_verifies_the_trail_from_another_shell(live: Stack) -> None:
    verified = manage(live, "verify_audit")
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.startswith("trail intact:")


def test_seeding_again_changes_nothing(live: Stack) -> None:
    again = manage(live, "seed")
    assert again.returncode == 0, again.stderr
    assert token(live)


def test_a_row_that_the_databases_owner_edits_is_named(live: Stack) -> None:
    """Last, because nothing puts a broken trail right."""
    assert within(20, lambda: " 0 not yet sealed" in manage(live, "verify_audit").stdout)
    with psycopg.connect(live.env["migrator"]["DATABASE_URL"]) as owner:
        owner.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
        owner.execute("ALTER TABLE audit_event DROP CONSTRAINT audit_event_leaf")
        (row,) = owner.execute("SELECT id FROM audit_event ORDER BY at LIMIT 1").fetchone() or (None,)
        owner.execute("UPDATE audit_event SET text = text || ' ' WHERE id = %s", (row,))
        owner.execute("ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_no_change")
    broken = manage(live, "verify_audit")
    assert broken.returncode == 1
    assert str(row) in broken.stderr
