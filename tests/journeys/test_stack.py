"""`make run` with all its real parts: what a stranger sees, and what a bad day does to it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psycopg
from standardwebhooks import Webhook

from approvals.management.banner import banner
from approvals.management.development import Stack
from tests.journeys.live import call, ledger, manage, token, within
from tests.management import proc
from tests.scan.known import secret

ROOT = Path(__file__).resolve().parents[2]


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
