"""The tasks extension (SEP-2663): a request is a task, for clients that declare it, and for nobody else."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Literal
from uuid import uuid4

import anyio
import httpx
import pytest
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, EmptyResult, Request, RequestParams, Result

from approvals import switches
from approvals.database import tenant_scope
from approvals.management.ports import any_free
from approvals.models import ApprovalRequest
from approvals.states import FINAL, Status
from mcp_bridge.tasks import TASK_STATUS
from tests import courses
from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.hosts import LEGACY, RunningDoor, running_door
from tests.mcp_bridge.wire import TASKS, error, result, sent
from tests.world import REFUND, World

METHODS = ("tasks/get", "tasks/cancel", "tasks/update")
UNDECLARED, UNKNOWN = -32021, -32602


class Tasks:
    """A client that declares the extension, at one door."""

    def __init__(self, door: RunningDoor, token: str) -> None:
        self._door, self._token = door, token

    def file(self, **changes: object) -> dict[str, Any]:
        return self.ask("tools/call", name="request_refund", arguments={**REFUND, **changes})

    def get(self, task_id: object) -> dict[str, Any]:
        return self.ask("tasks/get", taskId=str(task_id))

    def cancel(self, task_id: object) -> dict[str, Any]:
        return self.ask("tasks/cancel", taskId=str(task_id))

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        return result(sent(self._door, self._token, method, declares=(TASKS,), **params))

    def said(self, method: str, task_id: object) -> str | None:
        """The words of a refusal, if it is one."""
        answer = self._sent(method, str(task_id))
        return None if answer.status_code == 200 else str(error(answer)["message"])

    def refusal(self, method: str, task_id: str) -> dict[str, Any]:
        return error(self._sent(method, task_id))

    def _sent(self, method: str, task_id: str) -> httpx.Response:
        params: dict[str, Any] = {
            "taskId": task_id,
            **({"inputResponses": {}} if method == "tasks/update" else {}),
        }
        return sent(self._door, self._token, method, declares=(TASKS,), **params)


@pytest.fixture
def client(door: RunningDoor, token: Token) -> Tasks:
    return Tasks(door, token())


def test_a_request_of_a_client_that_declares_it_is_a_task(
    client: Tasks, door: RunningDoor, token: Token, known: World
) -> None:
    task = client.file()
    assert task.pop("resultType") == "task"
    assert task.pop("_meta")
    found = client.get(task["taskId"])
    assert found.pop("resultType") == "complete"
    assert found.pop("_meta")
    assert found == task
    assert set(task) == {
        "taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs"
    }  # fmt: skip
    assert (task["status"], task["ttlMs"], task["pollIntervalMs"]) == ("working", None, 60_000)
    assert datetime.fromisoformat(task["createdAt"]).utcoffset() is not None
    with door.host(token()) as host:
        (mine,) = host.ask("list_my_requests")["requests"]
    assert mine["request_id"] == task["taskId"]


@pytest.mark.parametrize(
    ("tool", "arguments", "kind"),
    [
        ("request_order_cancellation", {"order_id": "ord_10001", "reason": REFUND["reason"]}, "task"),
        ("lookup_order", {"order_id": "ord_10001"}, "complete"),
        ("list_my_requests", {}, "complete"),
    ],
)
def test_a_tool_that_files_requests_makes_a_task_and_no_other_does(
    tool: str, arguments: dict[str, object], kind: str, client: Tasks
) -> None:
    assert client.ask("tools/call", name=tool, arguments=arguments)["resultType"] == kind


def test_a_refused_call_makes_no_task(client: Tasks) -> None:
    refused = client.file(amount_minor=10**9)
    assert (refused["resultType"], refused["isError"]) == ("complete", True)
    assert "taskId" not in refused


def test_a_repeated_key_leads_to_the_same_task(client: Tasks) -> None:
    first, second = client.file(idempotency_key="ticket-42"), client.file(idempotency_key="ticket-42")
    assert first["taskId"] == second["taskId"]


def test_a_client_that_does_not_declare_it_sees_no_difference(
    door: RunningDoor, token: Token, client: Tasks
) -> None:
    raw = token()
    plain = result(sent(door, raw, "tools/call", name="request_refund", arguments=REFUND))
    assert plain["resultType"] == "complete"
    assert plain["structuredContent"]["status"] == "pending"
    # Even of one that declared it with another request: each stands for itself.
    task_id = client.file()["taskId"]
    for method in METHODS:
        refusal = error(sent(door, raw, method, taskId=task_id, inputResponses={}))
        assert refusal["code"] == UNDECLARED
        assert refusal["data"]["requiredCapabilities"] == {"extensions": {TASKS: {}}}


def test_an_older_host_is_told_of_no_tasks_and_has_none(door: RunningDoor, token: Token) -> None:
    with door.host(token(), LEGACY) as host:
        declared = host.client.server_capabilities
        assert declared is not None
        assert not declared.extensions
        request_id = host.ask("request_refund", **REFUND)["request_id"]
        for method in ("tasks/get", "tasks/cancel"):
            request = Asking(method=method, params=TaskParams(task_id=request_id))
            with pytest.raises(MCPError, match="Method not found"):
                host.portal.call(host.client.session.send_request, request, EmptyResult)


def test_the_server_declares_the_extension(door: RunningDoor, token: Token) -> None:
    assert result(sent(door, token(), "server/discover"))["capabilities"]["extensions"] == {TASKS: {}}


def test_the_map_covers_every_status_and_ends_where_ours_end() -> None:
    assert set(TASK_STATUS) == set(Status)
    assert {status for status, task in TASK_STATUS.items() if task in {"completed", "cancelled"}} == FINAL


# --- cancel, update ---------------------------------------------------------------------------------------


def test_to_cancel_is_to_withdraw(client: Tasks, known: World) -> None:
    request = courses.pending(known)
    assert set(client.cancel(request.pk)) == {"resultType", "_meta"}
    assert known.status(request) == "withdrawn"
    task = client.get(request.pk)
    assert (task["status"], task["statusMessage"]) == ("cancelled", "Withdrawn; nothing was done.")
    assert "result" not in task
    # Again, it is acknowledged again.
    assert client.cancel(request.pk)["resultType"] == "complete"


def test_a_cancellation_that_comes_too_late_is_acknowledged_and_does_nothing(
    client: Tasks, known: World
) -> None:
    """SEP-2663, Task Cancellation: acknowledged always, honoured where it can be; `tasks/get` tells the truth."""
    request = courses.succeeded(known)
    assert client.cancel(request.pk)["resultType"] == "complete"
    assert known.status(request) == "succeeded"
    assert known.events()[-1] == "request.refused"
    assert client.get(request.pk)["status"] == "completed"


def test_what_a_client_sends_in_unasked_is_acknowledged_and_ignored(client: Tasks, known: World) -> None:
    """SEP-2663, Task Update Requests: responses to no outstanding key are ignored."""
    request = courses.changes_requested(known)
    before = client.get(request.pk)
    assert (before["status"], before["inputRequests"]) == ("input_required", {})
    answer = client.ask("tasks/update", taskId=str(request.pk), inputResponses={"amount": {"any": ["thing"]}})
    assert set(answer) == {"resultType", "_meta"}
    assert {**client.get(request.pk), "_meta": {}} == {**before, "_meta": {}}


# --- only its owner ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_another_agents_another_tenants_and_no_task_at_all_read_the_same(
    method: str, door: RunningDoor, token: Token, known: World
) -> None:
    foreign = courses.pending(known)
    stranger = Tasks(door, token(known.another_agent()))
    elsewhere = Tasks(door, token(known.other_agent))
    missing = uuid4()
    words = {
        str(sender.refusal(method, str(task_id))["message"]).replace(str(task_id), "ID")
        for sender, task_id in ((stranger, foreign.pk), (elsewhere, foreign.pk), (elsewhere, missing))
    }
    words.add(str(stranger.refusal(method, "no-id")["message"]).replace("no-id", "ID"))
    assert len(words) == 1
    assert words.pop().startswith("[not_found] There is no request ID here.")
    assert stranger.refusal(method, str(foreign.pk))["code"] == UNKNOWN
    assert known.status(foreign) == "pending"
    # Of the colleague, who asked twice within a minute; the other tenant's are on its own trail.
    assert known.events().count("access.denied") == 1


@pytest.mark.parametrize(
    ("method", "scope"),
    [("tasks/get", "mcp:request"), ("tasks/cancel", "mcp:read"), ("tasks/update", "mcp:read")],
)
def test_a_task_asks_for_the_scope_of_what_it_does(
    method: str, scope: str, door: RunningDoor, token: Token, known: World
) -> None:
    request = courses.pending(known)
    answer = sent(
        door, token(scope=scope), method, declares=(TASKS,), taskId=str(request.pk), inputResponses={}
    )
    assert answer.status_code == 403
    assert answer.json()["error"]["message"].startswith("[scope_missing]")
    assert known.status(request) == "pending"


def test_each_call_leaves_its_line(client: Tasks, door: RunningDoor, token: Token, known: World) -> None:
    trace, request = uuid4().hex, courses.denied(known)
    meta = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    with door.host(token(), extensions=[Polling()]) as host:
        params = TaskParams.model_validate({"taskId": str(request.pk), "_meta": meta})
        host.portal.call(host.client.session.send_request, Asking(method="tasks/get", params=params), Found)
    (line,) = door.logged("call", trace)
    assert (line["method"], line["resource_id"], line["approval_state"]) == (
        "tasks/get",
        str(request.pk),
        "denied",
    )
    assert (line["authz_result"], line["is_error"]) == ("allow", False)


@pytest.mark.parametrize(
    ("method", "tool"),
    [
        ("tasks/get", "get_request_status"),
        ("tasks/update", "revise_request"),
        ("tasks/cancel", "withdraw_request"),
    ],
)
def test_what_stops_a_tool_stops_the_same_thing_in_other_words(
    method: str, tool: str, client: Tasks, known: World
) -> None:
    request = courses.pending(known)
    with known.processes.acting_as("migrator"):
        switches.turn_on(tenant_id=known.tenant.pk, tool=tool, reason="For a test.", by=None)
    deadline = monotonic() + 30
    while (words := client.said(method, request.pk)) is None:
        assert monotonic() < deadline
        sleep(0.1)
    assert words.startswith("[switched_off]")
    assert "For a test." in words


# --- over time --------------------------------------------------------------------------------------------


def test_a_task_survives_the_process_that_gave_it_out(
    environment: Environment, token: Token, known: World, tmp_path: Path
) -> None:
    port = any_free()
    own = environment | {"DOOR_URL": f"http://127.0.0.1:{port}/mcp"}
    raw = token(resource=[own["DOOR_URL"]])
    with running_door(own, port, tmp_path / "first") as door:
        task = Tasks(door, raw).file(idempotency_key="survives-a-restart")
    with running_door(own, port, tmp_path / "second") as door:
        client = Tasks(door, raw)
        assert client.get(task["taskId"])["status"] == "working"
        assert client.cancel(task["taskId"])
        assert client.get(task["taskId"])["status"] == "cancelled"


def test_the_official_client_waits_for_the_decision_and_gets_the_tools_own_result(
    door: RunningDoor, token: Token, known: World
) -> None:
    with door.host(token(), extensions=[Polling()]) as host:
        (schema,) = (tool.output_schema for tool in host.tools() if tool.name == "request_refund")
        waiting = host.portal.start_task_soon(host.client.call_tool, "request_refund", REFUND)
        request = only_request(known)
        assert not waiting.done()
        courses.run(known, courses.approve(known, request))
        answer = waiting.result(timeout=30)
    assert schema is not None
    told = answer.structured_content
    assert not answer.is_error and told is not None
    assert (told["request_id"], told["status"]) == (str(request.pk), "succeeded")
    assert set(schema["required"]) <= set(told)


def only_request(world: World) -> ApprovalRequest:
    deadline = monotonic() + 30
    while monotonic() < deadline:
        with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
            if found := ApprovalRequest.objects.first():
                return found
        sleep(0.1)
    raise AssertionError("nothing was filed")


class TaskParams(RequestParams):
    task_id: str


class Asking(Request[TaskParams, str]):
    name_param = "taskId"


class Found(Result):
    status: str
    result: CallToolResult | None = None


class Handle(Result):
    result_type: Literal["task"]
    task_id: str


class Polling(ClientExtension):
    """The official client with what the extension asks of one: it polls until there is a result."""

    identifier = TASKS

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Handle, resolve=self._resolved)]

    async def _resolved(self, handle: Handle, context: ClaimContext) -> CallToolResult:
        ask = Asking(method="tasks/get", params=TaskParams(task_id=handle.task_id))
        while (found := await context.session.send_request(ask, Found)).status == "working":
            await anyio.sleep(0.2)
        assert found.result is not None
        return found.result
