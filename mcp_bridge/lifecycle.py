"""The middleware around every call: who calls, on which trace, and one log line when it is over.

HTTP refusals (401, 403, 405, 413, 421) never get here; `door.py` logs those.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST, CallToolResult
from structlog.contextvars import bound_contextvars

from approvals.errors import NotAuthenticated
from approvals.identity.requester import Requester
from mcp_bridge.call import Call, LogLine, enter, leave
from mcp_bridge.refusals import said
from mcp_bridge.trace import new_trace, trace_of
from mcp_bridge.untrusted import plain

logger = logging.getLogger(__name__)

Context: TypeAlias = ServerRequestContext[Any, Any]
# Who calls, and the trace id that the transport already gave the call, if any. Raises NotAuthenticated.
Identify: TypeAlias = Callable[[Context], Awaitable[tuple[Requester, str | None]]]

LOGGED = frozenset({"tools/call", "resources/read", "prompts/get"})


class Lifecycle:
    """An MCP `ServerMiddleware`; `identify` is asked again for each call."""

    def __init__(self, identify: Identify) -> None:
        self._identify = identify

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        if ctx.method not in LOGGED:
            return await call_next(ctx)
        line, started = _line(ctx), time.perf_counter()
        try:
            result = await self._answered(ctx, call_next, line)
            line.is_error = _is_error(result)
            return result
        except BaseException:
            line.is_error = True
            raise
        finally:
            line.latency_ms = round((time.perf_counter() - started) * 1000, 1)
            logger.info("call", extra=asdict(line))

    async def _answered(self, ctx: Context, call_next: CallNext, line: LogLine) -> HandlerResult:
        call = await self._call(ctx, line)
        token = enter(call)
        try:
            with bound_contextvars(trace_id=call.trace_id):
                return await call_next(ctx)
        finally:
            leave(token)

    async def _call(self, ctx: Context, line: LogLine) -> Call:
        try:
            requester, trace = await self._identify(ctx)
        except NotAuthenticated as refused:
            line.authz_result = "deny"
            raise MCPError(INVALID_REQUEST, said(refused)) from refused
        line.trace_id = trace_of(_meta(ctx).get("traceparent")) or trace or line.trace_id
        line.mcp_client_id, line.subject_id = requester.client_id, str(requester.id)
        line.tenant_id = str(requester.tenant_id)
        return Call(requester, line.trace_id, line)


def _line(ctx: Context) -> LogLine:
    params: Mapping[str, Any] = ctx.params or {}
    name, uri = params.get("name"), params.get("uri")
    return LogLine(
        trace_id=new_trace(),
        method=ctx.method,
        host=_host(ctx),
        protocol_version=ctx.protocol_version,
        tool_name=_short(name),
        resource_id=_short(uri),
    )


def _short(text: object) -> str | None:
    return plain(text, 120) if isinstance(text, str) else None


def _host(ctx: Context) -> str | None:
    """The program that the agent runs in, as it calls itself; None where a stateless request does not say."""
    client = ctx.session.client_params
    return plain(f"{client.client_info.name} {client.client_info.version}", 120) if client else None


def _meta(ctx: Context) -> Mapping[str, Any]:
    return ctx.meta if isinstance(ctx.meta, Mapping) else {}


def _is_error(result: HandlerResult) -> bool:
    if isinstance(result, CallToolResult):
        return bool(result.is_error)
    return isinstance(result, Mapping) and result.get("isError") is True
