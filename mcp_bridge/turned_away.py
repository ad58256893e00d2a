"""Outermost at the door: every request that is turned away leaves one log line and is counted.

It sees the status of the answer, so a refusal of the SDK's or of the router's is not forgotten either.
"""

import logging
from http import HTTPMethod

from starlette.datastructures import Headers
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_bridge.named import UNKNOWN
from mcp_bridge.tally import Tally
from mcp_bridge.trace import new_trace, trace_of
from mcp_bridge.visit import Visit, begin

logger = logging.getLogger(__name__)

_REFUSED, _TROUBLE = 400, 500
# For refusals that are not of our making, which do not say more than their status.
_BECAUSE = {400: "protocol", 404: "path", 405: "method", 406: "accept", 413: "size"}


class TurnedAway:
    """An ASGI middleware. A call that arrived has its own log line, whatever its answer's status is."""

    def __init__(self, app: ASGIApp, tally: Tally) -> None:
        self._app = app
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        sent = Headers(scope=scope).getlist("traceparent")
        # More than one is none (W3C Trace Context, section 4.3: what is not valid starts a new trace).
        visit = begin(scope, (trace_of(*sent) if len(sent) == 1 else None) or new_trace())

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_refusal(visit, message["status"]):
                self._note(scope, visit, message["status"])
            await send(message)

        return await self._app(scope, receive, watched)

    def _note(self, scope: Scope, visit: Visit, status: int) -> None:
        because = visit.because or _BECAUSE.get(status, "other")
        self._tally.add(f"{status} {because}", tenant_id=visit.tenant_id, agent_id=visit.agent_id)
        logger.info("refused at the door", extra=_line(scope, visit) | {"status": status, "because": because})


def _is_refusal(visit: Visit, status: int) -> bool:
    # 503 with a reason is a caller who was sent away; without one it is a probe's answer.
    return not visit.arrived and (
        _REFUSED <= status < _TROUBLE or (status >= _TROUBLE and visit.because != "")
    )


def _line(scope: Scope, visit: Visit) -> dict[str, object]:
    """No query string, no header, no body, no path that is not ours: they may hold a token."""
    return {
        "trace_id": visit.trace_id,
        "http_method": scope["method"] if scope["method"] in HTTPMethod.__members__ else UNKNOWN,
        "path": scope["path"] if scope["path"] in _paths(scope) else UNKNOWN,
        "wanted": visit.wanted or None,
        "subject_id": str(visit.agent_id) if visit.agent_id else None,
        "tenant_id": str(visit.tenant_id) if visit.tenant_id else None,
        "authz_result": "deny",
    }


def _paths(scope: Scope) -> list[str]:
    """Those that are served here."""
    return [route.path for route in scope["app"].routes if isinstance(route, Route)]
