"""Counts what is no call of a tool: lists, reads, prompts, pings, notifications, and tools that do not exist.

A tool's call is counted by the gate, on the thread that it runs on anyway.
"""

from collections.abc import Iterable

from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST

from approvals.errors import LimitReached
from mcp_bridge.call import current
from mcp_bridge.gate import count
from mcp_bridge.lifecycle import Context
from mcp_bridge.refusals import said
from mcp_bridge.threads import quick_hop


class CountTheRest:
    """An MCP `ServerMiddleware`, inside the lifecycle. `tools` are the names of those that there are."""

    def __init__(self, tools: Iterable[str]) -> None:
        self._tools = frozenset(tools)

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Raises MCPError over the limit; a notification, which nobody answers, is dropped."""
        if not self._is_counted_at_the_gate(ctx):
            try:
                await quick_hop(count, current())
            except LimitReached as refusal:
                if ctx.request_id is None:
                    return None
                wait = {"retry_after_seconds": refusal.details["seconds"]}
                raise MCPError(INVALID_REQUEST, said(refusal), data=wait) from refusal
        return await call_next(ctx)

    def _is_counted_at_the_gate(self, ctx: Context) -> bool:
        name = (ctx.params or {}).get("name")
        return ctx.method == "tools/call" and isinstance(name, str) and name in self._tools
