"""The middleware around every message of an agent: who sends it, on which trace, one span, and one log line at its end.

HTTP refusals (401, 403, 405, 413, 421) never get here; `turned_away.py` logs those.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST, CallToolResult
from opentelemetry.context import Context as TraceContext
from opentelemetry.trace import Span, SpanKind

from approvals.errors import NotAuthenticated
from approvals.identity.requester import Requester
from approvals.tracing import entry, failed, remote, trace_id
from mcp_bridge import named
from mcp_bridge.call import Call, LogLine, enter, leave
from mcp_bridge.named import Named
from mcp_bridge.refusals import said

logger = logging.getLogger(__name__)

Context: TypeAlias = ServerRequestContext[Any, Any]
# Who calls. Raises NotAuthenticated.
Identify: TypeAlias = Callable[[Context], Awaitable[Requester]]


class Lifecycle:
    """An MCP `ServerMiddleware`, to stand outermost; `identify` is asked again for each message."""

    def __init__(self, identify: Identify, ours: Named) -> None:
        self._identify = identify
        self._ours = ours

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        line, started = _line(ctx, self._ours), time.perf_counter()
        with entry("mcp", kind=SpanKind.SERVER, parent=_came_from(ctx)) as span:
            line.trace_id = trace_id()
            try:
                result = await self._answered(ctx, call_next, line)
                line.is_error = _is_error(result)
                return result
            except BaseException:
                line.is_error = True
                raise
            finally:
                line.latency_ms = round((time.perf_counter() - started) * 1000, 1)
                _describe(span, line)
                logger.info("call", extra=dict(vars(line)))

    async def _answered(self, ctx: Context, call_next: CallNext, line: LogLine) -> HandlerResult:
        token = enter(await self._call(ctx, line))
        try:
            return await call_next(ctx)
        finally:
            leave(token)

    async def _call(self, ctx: Context, line: LogLine) -> Call:
        try:
            requester = await self._identify(ctx)
        except NotAuthenticated as refused:
            line.authz_result = "deny"
            raise MCPError(INVALID_REQUEST, said(refused)) from refused
        line.mcp_client_id, line.subject_id = requester.client_id, str(requester.id)
        line.tenant_id = str(requester.tenant_id)
        return Call(requester, line.trace_id, line)


def _came_from(ctx: Context) -> TraceContext:
    """The caller's span: what stands in `_meta` wins over the header, which a proxy may have set for itself."""
    meta: Mapping[str, object] = ctx.meta if isinstance(ctx.meta, Mapping) else {}
    headers = ctx.request.headers.getlist("traceparent") if ctx.request else []
    # More than one is none (W3C Trace Context, section 3.2: the header stands once).
    return remote(meta.get("traceparent"), *(headers if len(headers) == 1 else ()))


def _line(ctx: Context, ours: Named) -> LogLine:
    params: Mapping[str, Any] = ctx.params or {}
    return LogLine(
        trace_id="",
        method=named.method(ctx.method),
        host=_host(ctx),
        protocol_version=named.version(ctx.protocol_version),
        tool_name=ours.name(ctx.method, params),
        resource_id=ours.resource(ctx.method, params),
    )


def _host(ctx: Context) -> str | None:
    """The program that the agent runs in, as it calls itself; None where a stateless request does not say."""
    client = ctx.session.client_params
    return named.program(client.client_info.name, client.client_info.version) if client else None


def _is_error(result: HandlerResult) -> bool:
    if isinstance(result, CallToolResult):
        return bool(result.is_error)
    return isinstance(result, Mapping) and result.get("isError") is True


def _describe(span: Span, line: LogLine) -> None:
    """Named by what we offer, never by what was sent; attributes as OpenTelemetry's conventions for MCP have them."""
    if line.method != named.UNKNOWN:
        # Only a tool of ours has a version.
        span.update_name(f"{line.method} {line.tool_name}" if line.tool_version else line.method)
    known = {
        "mcp.method.name": line.method,
        "mcp.protocol.version": line.protocol_version,
        "gen_ai.tool.name": line.tool_name,
        "countersign.tenant_id": line.tenant_id,
        "countersign.subject_id": line.subject_id,
        "countersign.resource_id": line.resource_id,
    }
    span.set_attributes({name: value for name, value in known.items() if value is not None})
    if line.is_error:
        failed(span, "tool_error" if line.tool_version else "error")
