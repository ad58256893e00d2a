"""What an agent can call, and what comes back."""

import base64
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema  # type: ignore[import-untyped]
import pytest
from mcp.shared.exceptions import MCPError

from approvals import actions
from approvals.models import ApprovalRequest
from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.hosts import Host, RunningDoor, text
from tests.world import REFUND, World

KEY = "refund-pay_10001-ticket-42"


def test_each_action_is_a_tool_with_its_own_arguments_and_a_key(host: Host) -> None:
    tools = {tool.name: tool for tool in host.tools()}
    for action in actions.every():
        schema = tools[action.tool].input_schema
        assert set(schema["properties"]) == {*action.arguments.model_fields, "idempotency_key"}
        assert "idempotency_key" not in schema["required"]
        assert schema["additionalProperties"] is False


def test_the_list_of_tools_is_complete_and_always_in_the_same_order(host: Host) -> None:
    names = [tool.name for tool in host.tools()]
    assert names == [
        "get_request_status",
        "list_my_requests",
        "list_recent_failed_payments",
        "lookup_customer_invoice",
        "lookup_order",
        "request_address_change",
        "request_order_cancellation",
        "request_refund",
        "request_store_credit",
        "request_undo",
        "revise_request",
        "withdraw_request",
    ]


def test_every_tool_says_what_it_does_to_the_world(host: Host) -> None:
    for tool in host.tools():
        hints = tool.annotations
        assert tool.title and tool.description and tool.output_schema and hints
        assert hints.read_only_hint is not tool.name.startswith(("request_", "revise_", "withdraw_"))
    hints_of = {tool.name: tool.annotations for tool in host.tools()}
    assert hints_of["request_refund"].destructive_hint  # type: ignore[union-attr]
    assert not hints_of["request_address_change"].destructive_hint  # type: ignore[union-attr]


def test_a_refund_that_is_asked_for_moves_nothing_and_says_where_to_look(
    host: Host, known: World, environment: Environment
) -> None:
    filed = host.ask("request_refund", **REFUND, idempotency_key=KEY)
    assert set(filed) == {"request_id", "status", "review_url", "expires_at", "message"}
    assert filed["status"] == "pending"
    assert filed["review_url"] == f"{environment['PUBLIC_URL']}/requests/{filed['request_id']}/"
    assert known.shop.ledger() == []


def test_the_same_key_is_the_same_request(host: Host) -> None:
    first = host.ask("request_refund", **REFUND, idempotency_key=KEY)
    again = host.ask("request_refund", **REFUND, idempotency_key=KEY)
    assert again["request_id"] == first["request_id"]
    assert "nothing new was filed" in again["message"]
    assert host.refusal("request_refund", **(REFUND | {"amount_minor": 1}), idempotency_key=KEY).startswith(
        "[key_reused]"
    )


def test_without_a_key_each_call_asks_anew(host: Host) -> None:
    ids = {host.ask("request_refund", **REFUND)["request_id"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"amount_minor": "12900"}, "amount_minor"),
        ({"amount_minor": 12900.0}, "amount_minor"),
        ({"amount_minor": True}, "amount_minor"),
        ({"approved": True}, "approved"),
        ({"reason": "too short"}, "reason"),
        ({"reason": None}, "reason"),
        ({"reason": "A reason with a NUL\x00 in it."}, "reason"),
        ({"idempotency_key": "short"}, "idempotency_key"),
        ({"idempotency_key": "x" * 201}, "idempotency_key"),
        ({"idempotency_key": 12345678}, "idempotency_key"),
        ({"idempotency_key": "line\nbreak"}, "idempotency_key"),
    ],
)
def test_arguments_are_judged_strictly_whatever_the_sdk_does(
    change: dict[str, Any], named: str, host: Host
) -> None:
    words = host.refusal("request_refund", **{**REFUND, **change})
    assert words.startswith("[arguments_invalid]")
    assert named in words


@pytest.mark.parametrize("amount", ["129.00", 129.0, True])
def test_an_amount_that_is_no_integer_is_told_its_unit(host: Host, amount: object) -> None:
    words = host.refusal("request_refund", **{**REFUND, "amount_minor": amount})
    assert "amount_minor: Input should be a valid integer, in minor units: 12900 is 129.00 USD" in words


def test_a_currency_in_the_wrong_form_is_told_the_right_one(host: Host) -> None:
    words = host.refusal("request_refund", **{**REFUND, "currency": "usd"})
    assert "currency: Input should be three capital letters, an ISO 4217 code such as USD" in words
    assert "pattern" not in words


def test_the_wrong_kind_of_id_is_told_what_it_should_be_and_where_to_find_it(host: Host) -> None:
    words = {
        wrong: host.refusal("request_refund", **{**REFUND, "payment_id": wrong})
        for wrong in ("ord_10001", "pay_99999", "pay_20001")
    }
    assert words["ord_10001"].startswith("[not_found] There is no payment ord_10001 here.")
    assert "lookup_order gives an order's payment_id." in words["ord_10001"]
    assert (
        len({said.replace(wrong, "") for wrong, said in words.items()}) == 1
    )  # missing and foreign read alike


def test_a_name_that_is_nothing_here_is_told_in_the_protocols_own_words(host: Host) -> None:
    """As docs/tools.md says: no code of ours, for nothing of ours was asked."""
    assert host.refusal("request_everything") == "Unknown tool: request_everything"
    with pytest.raises(MCPError, match=r"^Unknown resource: policy://everything$") as refused:
        host.read("policy://everything")
    assert refused.value.error.code == -32602


def test_unknown_and_loose_arguments_of_reading_tools_are_refused(host: Host) -> None:
    assert "colour" in host.refusal("lookup_order", order_id="ord_10001", colour="red")
    assert "limit" in host.refusal("list_recent_failed_payments", limit="5")
    assert "limit" in host.refusal("list_recent_failed_payments", limit=51)
    assert "limit" in host.refusal("list_my_requests", limit=0)
    assert "request_id" in host.refusal("get_request_status", request_id="not-a-uuid")
    assert "order_id" in host.refusal("lookup_order", order_id="../customers/cus_1001")


def test_a_doomed_request_is_refused_in_the_policys_public_words(host: Host, known: World) -> None:
    words = host.refusal("request_refund", **(REFUND | {"amount_minor": 99_999_999}))
    assert words == "[doomed] The amount is larger than what is left to refund. No request was filed."
    assert "request.refused" in known.events()


def test_an_order_is_shown_as_far_as_an_agent_may_know_it(host: Host) -> None:
    order = host.ask("lookup_order", order_id="ord_10001")
    assert (order["status"], order["total"]) == ("paid", "129.00 USD")
    assert order["payment_id"] == "pay_10001"
    assert order["customer_note"]["untrusted"] is True
    assert all(line["title"]["untrusted"] for line in order["lines"])
    assert "shipping_address" not in order


def test_an_invoice_is_shown(host: Host) -> None:
    invoice = host.ask("lookup_customer_invoice", invoice_id="inv_10001")
    assert (invoice["order_id"], invoice["total_minor"]) == ("ord_10001", 12900)


def test_nothing_internal_leaves_by_any_reading_tool(host: Host) -> None:
    answers = [
        host.call("lookup_order", order_id="ord_10001"),
        host.call("lookup_customer_invoice", invoice_id="inv_10001"),
        host.call("list_recent_failed_payments", limit=50),
    ]
    for answer in answers:
        assert not answer.is_error
        said = answer.model_dump_json()
        assert "internal" not in said.lower()
        assert "@example.com" not in said


@pytest.mark.parametrize(
    ("tool", "missing", "foreign"),
    [
        ("lookup_order", {"order_id": "ord_99999"}, {"order_id": "ord_20001"}),
        ("lookup_customer_invoice", {"invoice_id": "inv_99999"}, {"invoice_id": "inv_20001"}),
    ],
)
def test_a_foreign_object_reads_as_a_missing_one(
    tool: str, missing: dict[str, str], foreign: dict[str, str], host: Host
) -> None:
    words = set()
    for asked in (missing, foreign):
        (identifier,) = asked.values()
        words.add(host.refusal(tool, **asked).replace(identifier, "ID"))
    assert len(words) == 1
    assert "Check the id" in words.pop()


def test_failed_payments_come_in_pages(host: Host) -> None:
    whole = host.ask("list_recent_failed_payments", limit=50)
    first = host.ask("list_recent_failed_payments", limit=1)
    second = host.ask("list_recent_failed_payments", limit=1, cursor=first["next_cursor"])
    assert whole["payments"][:2] == first["payments"] + second["payments"]
    assert whole["next_cursor"] is None
    assert "cursor" in host.refusal("list_recent_failed_payments", cursor="bm9uc2Vuc2U=")


def test_my_requests_come_in_pages_newest_first(host: Host) -> None:
    filed = [host.ask("request_refund", **REFUND)["request_id"] for _ in range(3)]
    first = host.ask("list_my_requests", limit=2)
    second = host.ask("list_my_requests", limit=2, cursor=first["next_cursor"])
    assert [one["request_id"] for one in first["requests"] + second["requests"]] == filed[::-1]
    assert second["next_cursor"] is None
    for wrong in ("bm9uc2Vuc2U=", "MjAyNi0wMS0wMVQwMDowMDowMCAx", "____"):
        assert "cursor" in host.refusal("list_my_requests", cursor=wrong)


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00+00:00",
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59+00:00",
        "1700000000",
        "1e300",
        "2026-01-01T00:00:00",
    ],
)
def test_a_cursor_that_names_no_moment_of_ours_is_refused_as_such(host: Host, moment: str) -> None:
    cursor = base64.urlsafe_b64encode(f"{moment} {uuid4()}".encode()).decode()
    assert host.refusal("list_my_requests", cursor=cursor).startswith("[arguments_invalid]")


def test_the_status_tells_what_came_of_it(host: Host, known: World) -> None:
    request_id = host.ask("request_refund", **REFUND)["request_id"]
    assert host.ask("get_request_status", request_id=request_id)["outcome"] is None
    known.vote(
        known.reload(ApprovalRequest(pk=request_id, tenant_id=known.tenant.pk)),
        "deny",
        "lena",
        comment="The parcel \u202enever came back.",
    )
    denied = host.ask("get_request_status", request_id=request_id)
    assert denied["status"] == "denied"
    assert denied["message"] == "Denied: The parcel \N{REPLACEMENT CHARACTER}never came back."
    assert denied["outcome"] == {
        "untrusted": True,
        "text": "The parcel \N{REPLACEMENT CHARACTER}never came back.",
        "cut": False,
    }


def test_a_request_can_be_withdrawn_once(host: Host) -> None:
    request_id = host.ask("request_refund", **REFUND)["request_id"]
    assert host.ask("withdraw_request", request_id=request_id)["status"] == "withdrawn"
    assert host.refusal("withdraw_request", request_id=request_id).startswith("[move_refused]")


def test_another_agents_request_reads_as_a_missing_one(
    host: Host, door: RunningDoor, token: Token, known: World
) -> None:
    foreign = str(known.submit().pk)
    missing = str(uuid4())
    with door.host(token(known.other_agent)) as stranger:
        for tool in ("get_request_status", "withdraw_request"):
            blank = {
                stranger.refusal(tool, request_id=each).replace(each, "ID") for each in (foreign, missing)
            }
            assert len(blank) == 1
    assert host.ask("get_request_status", request_id=foreign)["status"] == "pending"


def test_what_comes_back_fits_the_schema_that_is_listed(host: Host) -> None:
    """MCP 2026-07-28, server/tools, "Output Schema": structured results must conform to it."""
    schemas = {tool.name: tool.output_schema for tool in host.tools()}
    filed = host.ask("request_refund", **REFUND)
    for tool, arguments in (
        ("lookup_order", {"order_id": "ord_10001"}),
        ("lookup_customer_invoice", {"invoice_id": "inv_10001"}),
        ("list_recent_failed_payments", {}),
        ("list_my_requests", {}),
        ("get_request_status", {"request_id": filed["request_id"]}),
        ("withdraw_request", {"request_id": filed["request_id"]}),
    ):
        jsonschema.validate(host.ask(tool, **arguments), schemas[tool] or {})
    jsonschema.validate(filed, schemas["request_refund"] or {})


def test_text_and_structure_say_the_same(host: Host) -> None:
    answer = host.call("lookup_order", order_id="ord_10001")
    assert json.loads(text(answer)) == answer.structured_content


def test_when_the_shop_does_not_answer_the_agent_is_told_to_try_again(host: Host, known: World) -> None:
    known.shop.arm("error_500")
    assert host.refusal("lookup_order", order_id="ord_10001").startswith("[no_answer]")
    known.shop.arm("rate_limited", retry_after=7)
    assert "7 s" in host.refusal("lookup_order", order_id="ord_10001")


def test_a_credential_that_the_company_does_not_take_is_told_as_that(
    door: RunningDoor, token: Token, known: World, credentials: Path
) -> None:
    """Not as an order that is not there, nor as a cursor that was made up."""
    (credentials / known.tenant.slug).write_text("demo-a-token-of-nobody")
    with door.host(token()) as host:
        for tool, asked in (("lookup_order", {"order_id": "ord_10001"}), ("list_recent_failed_payments", {})):
            assert host.refusal(tool, **asked).startswith("[credential_not_taken]")


def test_a_credential_that_is_not_here_is_told_in_plain_words_that_name_no_setting(
    door: RunningDoor, token: Token, known: World, credentials: Path
) -> None:
    (credentials / known.tenant.slug).unlink()
    with door.host(token()) as host:
        for tool, asked in (("lookup_order", {"order_id": "ord_10001"}), ("list_recent_failed_payments", {})):
            refusal = host.refusal(tool, **asked)
            assert refusal.startswith("[not_set_up] The company's system cannot be asked")
            assert "BACKING_READ_CREDENTIALS" not in refusal
