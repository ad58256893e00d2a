"""The agent asks that something of its own be undone, by a tool: what comes back, and what stops it."""

import json

import pytest

from approvals import switches
from approvals.models import ApprovalRequest
from tests import courses
from tests.mcp_bridge.conftest import Token
from tests.mcp_bridge.hosts import Host, RunningDoor
from tests.undoing import REASON, done
from tests.world import World

KEY = "undo-ord_10001-ticket-42"


@pytest.fixture
def moved(known: World) -> ApprovalRequest:
    """A change of an address that was carried out."""
    return done(known)


def undone_by(known: World, request: ApprovalRequest) -> list[str]:
    with known.processes.cursor("admin") as shell:
        shell.execute("SELECT id::text FROM approval_request WHERE undoes_id = %s", (request.pk,))
        return [row[0] for row in shell.fetchall()]


def test_it_files_a_request_that_waits_for_people(host: Host, known: World, moved: ApprovalRequest) -> None:
    filed = host.ask("request_undo", request_id=str(moved.pk), reason=REASON, idempotency_key=KEY)
    assert filed["status"] == "pending"
    assert undone_by(known, moved) == [filed["request_id"]]
    again = host.ask("request_undo", request_id=str(moved.pk), reason=REASON, idempotency_key=KEY)
    assert again["request_id"] == filed["request_id"]
    assert again["message"].startswith("This was filed before under the same key")
    assert host.ask("get_request_status", request_id=filed["request_id"])["status"] == "pending"


def test_no_answer_tells_the_agent_the_address_that_comes_back(host: Host, moved: ApprovalRequest) -> None:
    line = json.loads(moved.facts)["before"]["line1"]
    filed = host.ask("request_undo", request_id=str(moved.pk), reason=REASON)
    status = host.ask("get_request_status", request_id=filed["request_id"])
    assert line not in json.dumps([filed, status])


def test_a_refusal_says_why_and_files_nothing(host: Host, known: World, moved: ApprovalRequest) -> None:
    waiting, spent = known.submit(), courses.succeeded(known)
    said = host.refusal("request_undo", request_id=str(waiting.pk), reason=REASON)
    assert said.startswith("[nothing_done] Only what was done can be undone, and this request is pending.")
    said = host.refusal("request_undo", request_id=str(spent.pk), reason=REASON)
    assert said.startswith("[irreversible] This cannot be undone: ")
    host.ask("request_undo", request_id=str(moved.pk), reason=REASON)
    assert host.refusal("request_undo", request_id=str(moved.pk), reason=REASON).startswith(
        "[undone_already]"
    )
    assert host.refusal("request_undo", request_id=str(moved.pk), reason="Short.").startswith(
        "[arguments_invalid]"
    )
    assert [len(undone_by(known, one)) for one in (waiting, spent, moved)] == [0, 0, 1]


def test_another_agents_request_reads_as_a_missing_one(
    door: RunningDoor, token: Token, known: World, moved: ApprovalRequest
) -> None:
    for stranger in (known.other_agent, known.another_agent()):
        with door.host(token(stranger)) as host:
            said = host.refusal("request_undo", request_id=str(moved.pk), reason=REASON)
            assert said.startswith("[not_found] There is no request")
    assert undone_by(known, moved) == []


def test_it_needs_the_scope_of_what_undoes_it(
    door: RunningDoor, token: Token, known: World, moved: ApprovalRequest
) -> None:
    with door.host(token(scope="mcp:read mcp:request:refund_payment")) as host:
        said = host.refusal("request_undo", request_id=str(moved.pk), reason=REASON)
        assert said.startswith("[scope_missing] This needs the scope mcp:request:change_shipping_address")
    with door.host(token(scope="mcp:read mcp:request:change_shipping_address")) as host:
        assert host.ask("request_undo", request_id=str(moved.pk), reason=REASON)["status"] == "pending"
    assert len(undone_by(known, moved)) == 1


@pytest.mark.parametrize("tool", ["request_address_change", "request_undo"])
def test_a_switch_over_the_action_or_the_tool_stops_it(
    tool: str, host: Host, known: World, moved: ApprovalRequest
) -> None:
    with known.processes.acting_as("migrator"):
        switches.turn_on(tenant_id=known.tenant.pk, tool=tool, reason="For a test.", by=None)
    said = host.refusal("request_undo", request_id=str(moved.pk), reason=REASON)
    assert said.startswith("[switched_off]")
    assert undone_by(known, moved) == []
