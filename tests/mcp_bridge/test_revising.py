"""The agent reads what a reviewer asks for and answers with a revision, as a tool or in the words of a task."""

import json
from typing import Any
from uuid import uuid4

import pytest

from approvals import switches
from approvals.models import ApprovalRequest
from tests import courses
from tests.mcp_bridge.conftest import Token
from tests.mcp_bridge.hosts import Host, RunningDoor
from tests.mcp_bridge.wire import TASKS, error, result, sent
from tests.world import REFUND, World

LESS: dict[str, Any] = {**REFUND, "amount_minor": 900}
ASKED = {"amount_minor": "Refund only the shipping."}


@pytest.fixture
def waiting(known: World) -> ApprovalRequest:
    """A request on which changes were asked for."""
    return courses.ask_for_changes(known, known.submit(), **ASKED)


def standing(known: World, request: ApprovalRequest) -> tuple[str, int, int | None]:
    now = known.reload_as("web", request)
    return now.status, now.revision, now.amount_minor


def test_the_agent_reads_a_persons_words_field_by_field(host: Host, waiting: ApprovalRequest) -> None:
    status = host.ask("get_request_status", request_id=str(waiting.pk))
    assert status["changes"] == {
        "by": "reviewer",
        "message": courses.REASON,
        "fields": ASKED,
        "arguments": REFUND,
    }
    assert status["message"].startswith(f"A reviewer asks for changes: {courses.REASON}")
    assert "revise_request" in status["message"]


def test_what_hides_in_a_persons_words_is_shown(host: Host, known: World) -> None:
    request = courses.ask_for_changes(known, known.submit(), message="p\u0430y \u202eless")
    status = host.ask("get_request_status", request_id=str(request.pk))
    assert status["changes"]["message"] == "p\u0430[U+0430]y \N{REPLACEMENT CHARACTER}less"


def test_the_answer_is_the_next_revision_and_sent_again_it_is_the_same(
    host: Host, known: World, waiting: ApprovalRequest
) -> None:
    answer = {"request_id": str(waiting.pk), "arguments": LESS}
    first = host.ask("revise_request", **answer)
    assert (first["status"], first["request_id"]) == ("pending", str(waiting.pk))
    again = host.ask("revise_request", **answer)
    assert again["message"].startswith("This was answered before in the same way")
    assert standing(known, waiting) == ("pending", 2, 900)
    assert host.ask("get_request_status", request_id=str(waiting.pk))["changes"] is None


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({**LESS, "payment_id": "pay_10002"}, "other_thing"),
        (REFUND, "nothing_revised"),
        ({**LESS, "idempotency_key": "ticket-4242"}, "arguments_invalid"),
        ({"amount_minor": 900}, "arguments_invalid"),
        ({**LESS, "amount_minor": 10**9}, "doomed_revision"),
    ],
)
def test_a_refusal_says_what_to_do_and_changes_nothing(
    host: Host, known: World, waiting: ApprovalRequest, arguments: dict[str, Any], code: str
) -> None:
    said = host.refusal("revise_request", request_id=str(waiting.pk), arguments=arguments)
    assert said.startswith(f"[{code}]")
    assert standing(known, waiting) == ("changes_requested", 1, 12900)


def test_what_nobody_asked_to_change_is_not_changed(host: Host, known: World) -> None:
    request = known.submit()
    said = host.refusal("revise_request", request_id=str(request.pk), arguments=LESS)
    assert said.startswith("[nobody_asked] Nobody asks to change this request: it is pending.")


def test_another_agents_request_reads_as_a_missing_one(
    door: RunningDoor, token: Token, known: World, waiting: ApprovalRequest
) -> None:
    for stranger in (known.other_agent, known.another_agent()):
        with door.host(token(stranger)) as host:
            said = host.refusal("revise_request", request_id=str(waiting.pk), arguments=LESS)
            assert said.startswith("[not_found] There is no request")
    assert standing(known, waiting)[0] == "changes_requested"


def test_a_scope_for_one_action_revises_that_action_alone(
    door: RunningDoor, token: Token, known: World, waiting: ApprovalRequest
) -> None:
    order = courses.ask_for_changes(
        known, known.submit("cancel_order", order_id="ord_10001", reason=REFUND["reason"])
    )
    with door.host(token(scope="mcp:read mcp:request:refund_payment")) as host:
        changed = {"order_id": "ord_10001", "reason": "The customer asked for it twice."}
        said = host.refusal("revise_request", request_id=str(order.pk), arguments=changed)
        assert said.startswith("[scope_missing] This needs the scope mcp:request:cancel_order")
        assert host.ask("revise_request", request_id=str(waiting.pk), arguments=LESS)["status"] == "pending"
    assert standing(known, order)[0] == "changes_requested"


@pytest.mark.parametrize("tool", ["request_refund", "revise_request"])
def test_a_switch_over_the_action_or_the_tool_stops_it(
    tool: str, host: Host, known: World, waiting: ApprovalRequest
) -> None:
    with known.processes.acting_as("migrator"):
        switches.turn_on(tenant_id=known.tenant.pk, tool=tool, reason="For a test.", by=None)
    said = host.refusal("revise_request", request_id=str(waiting.pk), arguments=LESS)
    assert said.startswith("[switched_off]")
    assert standing(known, waiting)[0] == "changes_requested"


def test_each_answer_leaves_its_line(door: RunningDoor, token: Token, waiting: ApprovalRequest) -> None:
    trace = uuid4().hex
    with door.host(token()) as host:
        meta = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        host.call("revise_request", meta=meta, request_id=str(waiting.pk), arguments=LESS)
    (line,) = door.logged("call", trace)
    assert (line["tool_name"], line["resource_id"]) == ("revise_request", str(waiting.pk))
    assert (line["approval_state"], line["backing_api_status"], line["is_error"]) == ("pending", 200, False)
    assert line["policy_version"]


# --- in the words of a task -------------------------------------------------------------------------------


def task(door: RunningDoor, raw: str, method: str, request: ApprovalRequest, **params: Any) -> Any:
    return sent(door, raw, method, declares=(TASKS,), elicits=True, taskId=str(request.pk), **params)


def test_a_client_that_shows_forms_is_asked_with_one(
    door: RunningDoor, token: Token, known: World, waiting: ApprovalRequest
) -> None:
    raw = token()
    asked = result(task(door, raw, "tasks/get", waiting))
    assert asked["status"] == "input_required"
    ((key, wanted),) = asked["inputRequests"].items()
    assert (key, wanted["method"]) == ("revision-1", "elicitation/create")
    assert "amount_minor: Refund only the shipping." in wanted["params"]["message"]
    fields = wanted["params"]["requestedSchema"]["properties"]
    assert {name: field["default"] for name, field in fields.items()} == REFUND
    answer = {key: {"action": "accept", "content": {"amount_minor": 900}}}
    result(task(door, raw, "tasks/update", waiting, inputResponses=answer))
    assert standing(known, waiting) == ("pending", 2, 900)


def test_a_nested_address_is_asked_for_flat_and_comes_back_whole(
    door: RunningDoor, token: Token, known: World
) -> None:
    address = {"name": "Ada", "line1": "1 Road", "city": "Town", "postal_code": "12345", "country": "US"}
    request = courses.ask_for_changes(
        known,
        known.submit(
            "change_shipping_address", order_id="ord_10001", address=address, reason=REFUND["reason"]
        ),
    )
    raw = token()
    asked = result(task(door, raw, "tasks/get", request))["inputRequests"]["revision-1"]["params"]
    assert asked["requestedSchema"]["properties"]["address.city"]["default"] == "Town"
    answer = {"revision-1": {"action": "accept", "content": {"address.city": "Other Town"}}}
    result(task(door, raw, "tasks/update", request, inputResponses=answer))
    assert json.loads(known.reload_as("web", request).arguments)["address"]["city"] == "Other Town"


@pytest.mark.parametrize(
    "responses",
    [
        {},
        {"revision-2": {"action": "accept", "content": {"amount_minor": 900}}},
        {"amount": {"any": ["thing"]}},
        {"revision-1": {"action": "decline"}},
        {"revision-1": {"action": "cancel"}},
    ],
)
def test_what_is_no_answer_is_acknowledged_and_changes_nothing(
    door: RunningDoor, token: Token, known: World, waiting: ApprovalRequest, responses: dict[str, Any]
) -> None:
    answer = result(task(door, token(), "tasks/update", waiting, inputResponses=responses))
    assert set(answer) == {"resultType", "_meta"}
    assert standing(known, waiting) == ("changes_requested", 1, 12900)


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("yes", "arguments_invalid"),
        ({"action": "accept", "content": {"amount_minor": "900"}}, "arguments_invalid"),
        ({"action": "accept", "content": {"amount_minor.x": 900}}, "arguments_invalid"),
        pytest.param(
            {"action": "accept", "content": {".".join("a" * 3000): 900}}, "arguments_invalid", id="deep"
        ),
        ({"action": "accept", "content": {}}, "nothing_revised"),
    ],
)
def test_a_wrong_answer_to_the_form_is_refused_in_words(
    door: RunningDoor, token: Token, known: World, waiting: ApprovalRequest, response: Any, code: str
) -> None:
    refused = task(door, token(), "tasks/update", waiting, inputResponses={"revision-1": response})
    assert error(refused)["message"].startswith(f"[{code}]")
    assert standing(known, waiting) == ("changes_requested", 1, 12900)


def test_a_task_of_another_action_than_the_scopes_is_not_revised(
    door: RunningDoor, token: Token, known: World, waiting: ApprovalRequest
) -> None:
    raw = token(scope="mcp:read mcp:request:cancel_order")
    answer = {"revision-1": {"action": "accept", "content": {"amount_minor": 900}}}
    refused = task(door, raw, "tasks/update", waiting, inputResponses=answer)
    assert "[scope_missing]" in refused.text
    assert standing(known, waiting) == ("changes_requested", 1, 12900)


def test_no_client_is_asked_with_a_form_that_it_can_not_show(
    door: RunningDoor, token: Token, waiting: ApprovalRequest
) -> None:
    plain = result(sent(door, token(), "tasks/get", declares=(TASKS,), taskId=str(waiting.pk)))
    assert (plain["status"], plain["inputRequests"]) == ("input_required", {})
    assert courses.REASON in plain["statusMessage"]
