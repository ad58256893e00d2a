"""The protocol revisions that are spoken here, of both eras, on one endpoint."""

from collections.abc import Mapping
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import (
    HEADER_MISMATCH,
    PROTOCOL_VERSION_META_KEY,
    UNSUPPORTED_PROTOCOL_VERSION,
    RequestId,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import Response

from mcp_bridge.untrusted import plain
from mcp_bridge.visit import refuse

HEADER = "mcp-protocol-version"
# Newest first, as in the specification's example (2026-07-28, "Protocol Version Negotiation").
SPOKEN = (*reversed(MODERN_PROTOCOL_VERSIONS), *reversed(HANDSHAKE_PROTOCOL_VERSIONS))


def version_refused(request: Request, message: Mapping[str, Any]) -> Response | None:
    """A 400 unless the version that the header names is spoken here and is the one that the body names.

    A request without the header is of 2025-03-26 or before, when there was none (2025-11-25, transports), unless its
    body names a version: that came with 2026-07-28, where the header has to be there and to match. The SDK checks
    only requests whose header names a version of its new era, and names only that era's versions.
    """
    header, named = request.headers.get(HEADER), _named(message)
    request_id = id_of(message)
    if isinstance(named, str) and header != named:
        sentence = "The header MCP-Protocol-Version is not the version that the body names."
        return refuse(request.scope, 400, "version", sentence, code=HEADER_MISMATCH, request_id=request_id)
    if header is None or header in SPOKEN:
        return None
    return refuse(
        request.scope,
        400,
        "version",
        f"Unsupported protocol version. Supported: {', '.join(SPOKEN)}.",
        code=UNSUPPORTED_PROTOCOL_VERSION,
        request_id=request_id,
        data={"supported": list(SPOKEN), "requested": plain(header, 64)},
    )


def id_of(message: Mapping[str, Any]) -> RequestId | None:
    """The id that an error has to carry; None for what is not a request."""
    found = message.get("id")
    return found if isinstance(found, str | int) and not isinstance(found, bool) else None


def _named(message: Mapping[str, Any]) -> object:
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, Mapping) else None
    return meta.get(PROTOCOL_VERSION_META_KEY) if isinstance(meta, Mapping) else None


async def name_every_version(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """An MCP `ServerMiddleware`: `server/discover` names the same versions as the refusal above.

    The SDK names those of its new era only, and a client of both eras is to choose from this list.
    """
    result = await call_next(ctx)
    if ctx.method != "server/discover":
        return result
    return {**result, "supportedVersions": list(SPOKEN)} if isinstance(result, Mapping) else result
