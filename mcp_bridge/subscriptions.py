"""`subscriptions/listen` (MCP 2026-07-28, SEP-2575) on one kind of resource: `approval://{request_id}`.

The SDK writes the stream: the acknowledgement first, every frame with the subscription's id. It would let anybody
watch any URI and promise every kind of notification, so a middleware in front of it asks whose requests these are,
and leaves only what will be told. Older protocol versions have no such stream without a session: there, poll.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from mcp.server.context import CallNext, HandlerResult
from mcp.server.mcpserver.server import require_client_extension
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY, ResourceUpdated, ServerEvent
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    SubscriptionFilter,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from approvals import queries
from approvals.errors import CountersignError, NotFound, WatchesTooMuch
from approvals.identity.scopes import READ
from mcp_bridge.call import Call, current
from mcp_bridge.gate import check_other
from mcp_bridge.lifecycle import Context, Identify
from mcp_bridge.refusals import TOLD, error
from mcp_bridge.streams import MOST_WATCHED, Standing, Stream, Streams
from mcp_bridge.tasks import EXTENSION
from mcp_bridge.threads import short_hop

LISTEN = "subscriptions/listen"
SCHEME = "approval://"

_OPENING: ContextVar[Stream] = ContextVar("opening")


class OwnBus:
    """The SDK's `SubscriptionBus`, of which each stream has its own: an event of one agent can reach no other."""

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        stream = _OPENING.get()
        stream.tell = lambda request_id: listener(ResourceUpdated(f"{SCHEME}{request_id}"))
        return lambda: setattr(stream, "tell", None)

    async def publish(self, event: ServerEvent) -> None:
        """Nothing: no list of this server changes while it runs, and `Stream` finds out what requests do."""


class Listening:
    """An MCP `ServerMiddleware`, inside the lifecycle; `again` says who called, asked anew while a stream is open."""

    def __init__(self, streams: Streams, again: Identify) -> None:
        self._streams = streams
        self._again = again

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        if ctx.method == "server/discover":
            return _without_list_changes(await call_next(ctx))
        if ctx.method != LISTEN or ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await call_next(ctx)
        try:
            return await self._listen(ctx, call_next, current())
        except TOLD as refusal:
            raise _error(refusal) from refusal

    async def _listen(self, ctx: Context, call_next: CallNext, call: Call) -> HandlerResult:
        known = await short_hop(_mine, _asked(ctx), call)
        stream = Stream(call.by, partial(self._again, ctx), known)
        with self._streams.opened(stream):
            opening = _OPENING.set(stream)
            try:
                with stream.scope:
                    return await call_next(_narrowed(ctx, known))
            finally:
                _OPENING.reset(opening)
        # The graceful closure of the specification: the agent opens a new stream and reads again.
        return SubscriptionsListenResult(_meta={SUBSCRIPTION_ID_META_KEY: ctx.request_id})


def _asked(ctx: Context) -> list[UUID]:
    """The requests to watch. Nobody tells of other URIs, so they are left out of what is acknowledged.

    Raises NotFound, WatchesTooMuch, or MCPError.
    """
    try:
        asked = SubscriptionsListenRequestParams.model_validate(ctx.params or {}, by_name=False).notifications
    except ValidationError:
        raise MCPError(INVALID_PARAMS, "Invalid request parameters") from None
    if (asked.model_extra or {}).get("taskIds"):
        # SEP-2663, Task Status Notifications. Who did declare it is acknowledged none: they are optional.
        require_client_extension(ctx, EXTENSION)
    uris = [uri for uri in asked.resource_subscriptions or () if uri.startswith(SCHEME)]
    if len(uris) > MOST_WATCHED:
        raise WatchesTooMuch(limit=f"{MOST_WATCHED} requests on one stream")
    return list(dict.fromkeys(_request_id(uri.removeprefix(SCHEME)) for uri in uris))


def _request_id(written: str) -> UUID:
    try:
        return UUID(written)
    except ValueError:
        raise NotFound(thing="request", id=written[:64]) from None


def _mine(request_ids: list[UUID], call: Call) -> dict[UUID, Standing]:
    """How they stand. One that is not this agent's is refused as in reading it, and leaves the same event."""
    check_other(call, READ, LISTEN)
    call.line.resource_id = f"{SCHEME}{request_ids[0]}" if len(request_ids) == 1 else None
    found = queries.standings(request_ids, call.by)
    for request_id in request_ids:
        if request_id not in found:
            queries.request_of_agent(request_id, call.by, trace_id=call.trace_id)
    return found


def _narrowed(ctx: Context, known: Mapping[UUID, Standing]) -> Context:
    """The call with those notifications alone that this server will send: the SDK acknowledges what it sees."""
    watched = SubscriptionFilter(resource_subscriptions=[f"{SCHEME}{request_id}" for request_id in known])
    params = {**(ctx.params or {}), "notifications": watched.model_dump(by_alias=True, exclude_none=True)}
    return replace(ctx, params=params)


def _error(refusal: CountersignError) -> MCPError:
    """As reading the resource says it: the same words, code and data."""
    missing = isinstance(refusal, NotFound)
    return error(refusal, {"uri": f"{SCHEME}{refusal.details['id']}"} if missing else None)


def _without_list_changes(result: HandlerResult) -> HandlerResult:
    """The SDK declares `listChanged` wherever it serves the stream; no list of ours changes."""
    if not isinstance(result, Mapping):
        return result
    declared: dict[str, Any] = dict(result["capabilities"])
    for kind in ("tools", "prompts", "resources"):
        declared[kind] = {**declared[kind], "listChanged": False}
    return {**result, "capabilities": declared}
