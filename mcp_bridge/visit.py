"""One HTTP request on its way to a tool: what is known of it so far, and how it is refused."""

from dataclasses import dataclass
from uuid import UUID

from mcp_types import INVALID_REQUEST, ErrorData, JSONRPCError, RequestId
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from approvals.identity.requester import Requester

_PLACE = "countersign.visit"


@dataclass(slots=True)
class Visit:
    """Filled in on the way in. `because` is one word of ours, never something that was sent."""

    trace_id: str
    because: str = ""
    requester: Requester | None = None
    # Known also where the token was one of ours and no longer good.
    tenant_id: UUID | None = None
    agent_id: UUID | None = None
    # The tool or method of ours that was asked for, once the body was read.
    wanted: str = ""
    # True once the call is inside: then its own log line tells what became of it.
    arrived: bool = False


def begin(scope: Scope, trace_id: str) -> Visit:
    visit = Visit(trace_id)
    scope[_PLACE] = visit
    return visit


def visit_of(scope: Scope) -> Visit:
    visit: Visit = scope[_PLACE]
    return visit


def refuse(
    scope: Scope,
    status: int,
    because: str,
    sentence: str,
    *,
    code: int = INVALID_REQUEST,
    request_id: RequestId | None = None,
    data: object = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A refusal with a JSON-RPC error as its body, so that hosts show the sentence instead of a number.

    The id is null while the body was not read (MCP 2026-07-28, streamable HTTP, "Security & Endpoint").
    """
    visit_of(scope).because = because
    error = ErrorData(code=code, message=sentence, data=data)
    body = JSONRPCError(jsonrpc="2.0", id=request_id, error=error).model_dump(mode="json", by_alias=True)
    if data is None:
        del body["error"]["data"]
    return JSONResponse(body, status, headers=headers)
