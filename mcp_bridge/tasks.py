"""The tasks extension `io.modelcontextprotocol/tasks` (SEP-2663) for clients that declare it.

A request is a task already: it waits for people, and it is in the database. So a `request_*` call from such a client
answers with a handle whose id is the request's, and in the extension's words `tasks/get` is `get_request_status`,
`tasks/cancel` is `withdraw_request`, and `tasks/update` is `revise_request`. Nothing is kept for it: it survives
restarts, and any process answers.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias
from uuid import UUID

from mcp.server.context import CallNext, HandlerResult
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver.server import require_client_extension
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    RequestParams,
    TextContent,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from approvals import queries, submit
from approvals.errors import MoveRefused, NotFound
from approvals.identity.scopes import READ, REQUEST
from approvals.queries import AgentView
from approvals.states import Status
from mcp_bridge import filing, revising
from mcp_bridge.call import Call, current
from mcp_bridge.gate import check_other
from mcp_bridge.lifecycle import Context
from mcp_bridge.refusals import TOLD, error
from mcp_bridge.threads import hop, short_hop

EXTENSION = "io.modelcontextprotocol/tasks"
Wire: TypeAlias = dict[str, Any]
TaskStatus: TypeAlias = Literal["working", "input_required", "completed", "cancelled"]

# Never "failed": that is for JSON-RPC errors alone (Task Status). What was denied, ran out, or could not be done is
# a completed call whose result says `isError`.
TASK_STATUS: dict[Status, TaskStatus] = {
    Status.PENDING: "working",
    Status.CHANGES_REQUESTED: "input_required",
    Status.APPROVED: "working",
    Status.STALE: "working",
    Status.EXECUTING: "working",
    Status.UNCERTAIN: "working",
    Status.SUCCEEDED: "completed",
    Status.FAILED: "completed",
    Status.DENIED: "completed",
    Status.EXPIRED: "completed",
    Status.WITHDRAWN: "cancelled",
}

POLL_MS = 60_000  # while people decide
POLL_SOON_MS = 5_000  # while a worker carries it out
_SOON = frozenset({Status.APPROVED, Status.EXECUTING, Status.UNCERTAIN})


class TaskParams(RequestParams):
    task_id: str


class UpdateParams(TaskParams):
    # Of any shape: what nobody asked for is ignored, not judged; `revising.answer` judges the rest.
    input_responses: dict[str, Any]


class Tasks(Extension):
    """What the SDK wires in. `request_tools` are the names of the tools whose calls become tasks."""

    identifier = EXTENSION

    def __init__(self, request_tools: frozenset[str]) -> None:
        self._request_tools = request_tools

    def methods(self) -> Sequence[MethodBinding]:
        """Of the modern era alone: an older client cannot declare an extension with a call."""
        served = frozenset(MODERN_PROTOCOL_VERSIONS)
        return [
            MethodBinding("tasks/get", TaskParams, _get, served),
            MethodBinding("tasks/cancel", TaskParams, _cancel, served),
            MethodBinding("tasks/update", UpdateParams, _update, served),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: Context, call_next: CallNext
    ) -> HandlerResult:
        result = await call_next(ctx)
        if params.name not in self._request_tools or not declared(ctx):
            return result
        if not isinstance(result, CallToolResult) or result.is_error or not result.structured_content:
            return result
        return await short_hop(_handle, UUID(str(result.structured_content["request_id"])), current())


def declared(ctx: Context) -> bool:
    """Whether the client declared the extension with this very request; another one's declaration does not count."""
    capabilities = ctx.session.client_capabilities
    extensions = capabilities.extensions if capabilities else None
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and EXTENSION in (extensions or {})


def _handle(request_id: UUID, call: Call) -> Wire:
    """A CreateTaskResult. The request is committed, so that `tasks/get` finds it at once."""
    view = queries.request_of_agent(request_id, call.by, trace_id=call.trace_id)
    return {"resultType": "task", **_task(view, filing.progress(view, call))}


async def _get(ctx: Context, params: TaskParams) -> Wire:
    return await _answered(ctx, params, partial(_detailed, shows_forms=_shows_forms(ctx)))


async def _cancel(ctx: Context, params: TaskParams) -> Wire:
    return await _answered(ctx, params, _withdrawn)


async def _update(ctx: Context, params: UpdateParams) -> Wire:
    """The answer to a reviewer who asks for changes; one to no outstanding key is ignored (Task Update Requests)."""
    return await _answered(ctx, params, partial(_updated, params.input_responses), asks_company=True)


def _shows_forms(ctx: Context) -> bool:
    """A server asks for no input of a kind that the client did not declare (Input Requests)."""
    capabilities = ctx.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


async def _answered(
    ctx: Context, params: TaskParams, verb: Callable[[UUID, Call], Wire], *, asks_company: bool = False
) -> Wire:
    """Raises MCPError: -32021 for a client that did not declare the extension, -32602 for an unknown task."""
    require_client_extension(ctx, EXTENSION)
    call = current()
    try:
        request_id = _request_id(params.task_id)
        call.line.resource_id = str(request_id)
        if asks_company:
            return {"resultType": "complete", **await hop(call.by.tenant_id, verb, request_id, call)}
        return {"resultType": "complete", **await short_hop(verb, request_id, call)}
    except TOLD as refusal:
        raise error(refusal) from refusal


def _request_id(task_id: str) -> UUID:
    try:
        return UUID(task_id)
    except ValueError:
        raise NotFound(thing="request", id=task_id[:64]) from None


def _detailed(request_id: UUID, call: Call, *, shows_forms: bool) -> Wire:
    check_other(call, READ, "tasks/get")
    view = queries.request_of_agent(request_id, call.by, trace_id=call.trace_id)
    progress = filing.progress(view, call)
    task = _task(view, progress)
    if task["status"] == "completed":
        task["result"] = _result(progress)
    elif task["status"] == "input_required":
        # Without a form the reviewer's words stand in the message, and `revise_request` takes the answer.
        task["inputRequests"] = revising.form(view) if shows_forms else {}
    return task


def _withdrawn(request_id: UUID, call: Call) -> Wire:
    """Acknowledged also when it is too late (Task Cancellation); `tasks/get` tells what became of it."""
    check_other(call, REQUEST, "tasks/cancel")
    try:
        request = submit.withdraw(request_id, by=call.by, trace_id=call.trace_id)
        call.line.approval_state = request.status
    except MoveRefused as late:
        call.line.approval_state = str(late.details["status"])
    return {}


def _updated(responses: dict[str, Any], request_id: UUID, call: Call) -> Wire:
    check_other(call, REQUEST, "tasks/update")
    revising.answer(request_id, responses, call)
    return {}


def _task(view: AgentView, progress: filing.Progress) -> Wire:
    """A Task as it goes over the wire: times in ISO 8601, UTC; `ttlMs` null, because requests are kept."""
    return {
        "taskId": str(view.request_id),
        "status": TASK_STATUS[view.status],
        "statusMessage": progress.message,
        "createdAt": view.created_at.isoformat(),
        "lastUpdatedAt": view.changed_at.isoformat(),
        "ttlMs": None,
        "pollIntervalMs": POLL_SOON_MS if view.status in _SOON else POLL_MS,
    }


def _result(progress: filing.Progress) -> Wire:
    """The CallToolResult of the call that began it: what `get_request_status` answers, which its schema admits."""
    result = CallToolResult(
        content=[TextContent(type="text", text=progress.model_dump_json(indent=2))],
        structured_content=progress.model_dump(mode="json"),
        is_error=progress.status is not Status.SUCCEEDED,
    )
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)
