"""The body of a request: one JSON-RPC message, in a version spoken here, by somebody who has the scope for it.

Read once, after the token and the size were checked. What passes is handed on as it came: the SDK reads the same
bytes, and every tool and resource checks the scope again, as the authority.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from django.db import Error as DatabaseTrouble
from mcp_types import INVALID_REQUEST, PARSE_ERROR
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from approvals.errors import ScopeMissing
from approvals.identity.requester import Requester
from approvals.identity.scopes import allows
from mcp_bridge.bearer import insufficient_scope
from mcp_bridge.call import denied
from mcp_bridge.refusals import said
from mcp_bridge.tally import Tally
from mcp_bridge.threads import quick_hop
from mcp_bridge.versions import id_of, version_refused
from mcp_bridge.visit import Visit, refuse, visit_of

logger = logging.getLogger(__name__)

Body: TypeAlias = Mapping[str, Any]
# The scope that a message needs, or None.
Needs: TypeAlias = Callable[[str, Body], str | None]


class Envelope:
    """An ASGI application between the token and the SDK."""

    def __init__(self, app: ASGIApp, needs: Needs, tally: Tally) -> None:
        self._app = app
        self._needs = needs
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        response = await self._refused(request, body)
        await (response or self._app)(scope, _again(body, receive), send)

    async def _refused(self, request: Request, body: bytes) -> Response | None:
        try:
            # Stricter than the SDK's reader of the new era: UTF-8 alone, no NaN, no half of a surrogate pair.
            message = from_json(body, allow_inf_nan=False)
        except ValueError:
            return refuse(request.scope, 400, "json", "Parse error: send JSON in UTF-8.", code=PARSE_ERROR)
        if not _is_message(message):
            return refuse(request.scope, 400, "json_rpc", "Send one JSON-RPC message.", code=INVALID_REQUEST)
        return version_refused(request, message) or await self._scope_refused(request, message)

    async def _scope_refused(self, request: Request, message: Body) -> Response | None:
        visit = visit_of(request.scope)
        params = message.get("params") or {}
        needed = self._needs(message.get("method", ""), params)
        visit.wanted = _wanted(message, params, needed)
        if needed is None or visit.requester is None or allows(visit.requester.scopes, needed):
            return None
        await self._remember(visit, visit.requester, needed)
        refusal = ScopeMissing(scope=needed)
        header = insufficient_scope(str(refusal), held=visit.requester.scopes, needed=needed)
        return refuse(request.scope, 403, "scope", said(refusal), request_id=id_of(message), headers=header)

    async def _remember(self, visit: Visit, by: Requester, needed: str) -> None:
        """The first of a minute has an event of its own; a loop's other ones are counted."""
        if not self._tally.first(by.agent_id, visit.wanted):
            return
        try:
            await quick_hop(denied, by, scope=needed, wanted=visit.wanted, trace_id=visit.trace_id)
        except DatabaseTrouble:
            logger.exception("a refused access is not on the trail")


def _is_message(message: object) -> bool:
    """One request, notification or response (JSON-RPC 2.0, sections 4 and 5); no batch, and no mixture."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return False
    if not isinstance(message.get("params"), dict | None) or ("id" in message and id_of(message) is None):
        return False
    is_call, is_answer = isinstance(message.get("method"), str), "result" in message or "error" in message
    return is_call != is_answer


def _wanted(message: Body, params: Body, needed: str | None) -> str:
    """A tool or a method of ours, else "": a caller's own words have no place on the trail, nor a say in its size."""
    if needed is None:
        return ""
    return str(params["name"] if message["method"] == "tools/call" else message["method"])


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once more, then whatever comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
