"""Text that others wrote can neither hide nor overflow, and the largest answer of each tool is known."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.conf import settings

from approvals.identity.requester import Requester
from mcp_bridge.lifecycle import Context
from mcp_bridge.server import create, tools
from mcp_bridge.untrusted import LONGEST, plain, short, untrusted
from tests import courses
from tests.mcp_bridge.hosts import ROOT, Host, connected
from tests.undoing import done
from tests.world import REFUND, World

MARK = "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "hidden",
    [
        "\u202e",
        "\u200b",
        "\U000e0041",
        "\x1b",
        "\x00",
        "\ufe0f",
        "\U000e0101",
        "\u3164",
        "\ud800",
        "\ue000",
        "\ufeff",
    ],
)
def test_a_hidden_character_becomes_visible(hidden: str) -> None:
    assert plain(f"pay{hidden}me", 100) == f"pay{MARK}me"


def test_lines_become_one_and_ordinary_letters_stay() -> None:
    assert plain("  Zoë\r\n\t“ありがとう” \u2028 ok ", 100) == "Zoë “ありがとう” ok"


def test_long_text_is_cut_and_says_so() -> None:
    assert untrusted("x" * LONGEST).cut is False
    cut = untrusted("x" * (LONGEST + 1))
    assert (len(cut.text), cut.cut) == (LONGEST, True)


def test_a_letter_that_passes_for_another_one_stands_with_its_number() -> None:
    assert plain("p\u0430ypal", 100) == "p\u0430[U+0430]ypal"
    assert untrusted("\u0430b" * 400).cut is True


def test_a_sentence_that_had_to_be_cut_says_so() -> None:
    assert short("x" * 31, 30) == "x" * 17 + "… (shortened)"
    assert short("x" * 30, 30) == "x" * 30


# Four bytes in UTF-8, or four in a JSON string inside a JSON string.
WORST = "\N{PILE OF POO}" * 1000
QUOTES = '"' * 1000


class Worst(BaseHTTPRequestHandler):
    """A company's API whose every text is as long as it likes; otherwise it answers as documented."""

    text = WORST

    def do_GET(self) -> None:
        body = json.dumps(self.answer()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self) -> dict[str, Any]:
        if "status=failed" in self.path:
            return {"payments": [self.thing() | {"lines": []}] * 60, "next_cursor": "c" * 200}
        return self.thing()

    def thing(self) -> dict[str, Any]:
        words = (
            "customer_id order_id payment_id status currency placed_at issued_at created_at number card_last4 "
            "failure_code failure_message customer_note internal_notes name email phone country store_credit_currency"
        )
        line = {"sku": self.text, "title": self.text, "quantity": 2**53, "unit_minor": 2**53}
        numbers = "total_minor refunded_minor tax_minor amount_minor store_credit_minor orders_count"
        return {
            **dict.fromkeys(words.split(), self.text),
            **dict.fromkeys(numbers.split(), 2**53),
            "id": self.path.partition("?")[0].rpartition("/")[2],  # or it would be about another object
            "lines": [line] * 50,
            "shipping_address": {"country": self.text},
            "shipped": False,
        }

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


class Quotes(Worst):
    text = QUOTES


@pytest.fixture(params=[Worst, Quotes])
def inside(request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """The server in this process, as this world's agent, before the worst of all company APIs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), request.param)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(settings, "BACKING_URL", f"http://127.0.0.1:{server.server_port}")

    async def identify(_: Context) -> Requester:
        return world.agent

    with world.processes.acting_as("door"), connected(create(identify)) as host:
        yield host
    server.shutdown()
    server.server_close()


def size(host: Host, tool: str, **arguments: object) -> int:
    answer = host.call(tool, **arguments)
    assert not answer.is_error, answer
    return len(answer.model_dump_json(by_alias=True, exclude_none=True).encode())


LIMITS = {tool.name: tool.max_bytes for tool in tools()}


def test_no_look_up_answers_more_than_its_limit(inside: Host) -> None:
    sizes = {
        "lookup_order": size(inside, "lookup_order", order_id="ord_1"),
        "lookup_customer_invoice": size(inside, "lookup_customer_invoice", invoice_id="inv_1"),
        "list_recent_failed_payments": size(inside, "list_recent_failed_payments", limit=50),
    }
    assert {name: found for name, found in sizes.items() if found > LIMITS[name]} == {}
    assert len(inside.read("customer://cus_1").encode()) < 4_000


def test_what_is_left_out_is_counted(inside: Host) -> None:
    order = inside.ask("lookup_order", order_id="ord_1")
    assert (len(order["lines"]), order["lines_left_out"]) == (20, 30)
    assert order["customer_note"]["cut"] is True


def test_no_answer_about_requests_is_larger_than_its_limit(world: World) -> None:
    async def identify(_: Context) -> Requester:
        return world.agent

    requests = [world.submit() for _ in range(50)]
    world.vote(requests[0], "deny", "lena", comment=WORST[:1000])
    every = dict.fromkeys(REFUND, QUOTES[:500])
    courses.ask_for_changes(world, requests[2], message=WORST[:1000], **every)
    courses.ask_for_changes(world, requests[3])
    moved = done(world)
    with world.processes.cursor("admin") as cursor:
        cursor.execute(
            "UPDATE approval_request SET headline = %s, backing_reference = %s WHERE tenant_id = %s",
            [WORST[:300], WORST[:200], world.tenant.pk],
        )
    with world.processes.acting_as("door"), connected(create(identify)) as host:
        sizes = {
            "list_my_requests": size(host, "list_my_requests", limit=50),
            "get_request_status": size(host, "get_request_status", request_id=str(requests[0].pk)),
            "request_refund": size(host, "request_refund", **REFUND),
            "withdraw_request": size(host, "withdraw_request", request_id=str(requests[1].pk)),
            "revise_request": size(
                host,
                "revise_request",
                request_id=str(requests[3].pk),
                arguments={**REFUND, "amount_minor": 1},
            ),
            "request_undo": size(host, "request_undo", request_id=str(moved.pk), reason=QUOTES[:500]),
        }
        asked = size(host, "get_request_status", request_id=str(requests[2].pk))
        assert asked <= LIMITS["get_request_status"]
    assert {name: found for name, found in sizes.items() if found > LIMITS[name]} == {}


def test_the_documentation_has_every_tool_with_its_limit() -> None:
    documented = dict(
        re.findall(r"^\| `(\w+)` \|.*\| ([\d,]+) \|$", Path(ROOT / "docs/tools.md").read_text(), re.M)
    )
    assert {name: int(limit.replace(",", "")) for name, limit in documented.items()} == LIMITS
