"""Who may come in over HTTP: agents with a bearer token that was made for this door."""

import logging
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import TokenRefused
from approvals.identity.credentials import requester_of_token
from approvals.identity.requester import Requester
from approvals.identity.scopes import BROAD
from mcp_bridge.threads import quick_hop
from mcp_bridge.trace import new_trace, trace_of

logger = logging.getLogger(__name__)

# Where the requester and the trace id wait in an ASGI scope for the MCP middleware.
ARRIVAL = "countersign.arrival"


class RequireBearer:
    """Lets requests through that carry one valid `Authorization: Bearer` header, and nothing else in its place."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        trace_id = trace_of(request.headers.get("traceparent")) or new_trace()
        sent = request.headers.getlist("authorization")
        try:
            scope[ARRIVAL] = (await quick_hop(_requester, sent, trace_id), trace_id)
        except TokenRefused as refusal:
            refused(request, 401, str(refusal.details.get("because", "missing")), trace_id)
            return await challenge(refusal, token_sent=bool(sent))(scope, receive, send)
        return await self._app(scope, receive, send)


def _requester(sent: list[str], trace_id: str) -> Requester:
    """Raises TokenRefused, with an event on the trail where the agent is known."""
    kind, _, token = sent[0].partition(" ") if len(sent) == 1 else ("", "", "")
    if kind.lower() != "bearer" or not token:
        raise TokenRefused
    try:
        return requester_of_token(token.strip())
    except TokenRefused as refusal:
        _record(refusal, trace_id)
        raise


def _record(refusal: TokenRefused, trace_id: str) -> None:
    tenant_id, agent_id = refusal.details.get("tenant_id"), refusal.details.get("agent_id")
    if not isinstance(tenant_id, UUID) or not isinstance(agent_id, UUID):
        return
    with tenant_scope(tenant_id, agent_id=agent_id):
        record(
            "access.denied",
            tenant_id=tenant_id,
            actor=Actor("agent", str(agent_id)),
            trace_id=trace_id,
            data={"code": refusal.code, "wanted": "connect", "because": str(refusal.details["because"])},
        )


def challenge(refusal: TokenRefused, *, token_sent: bool) -> Response:
    """401 as RFC 6750 and RFC 9728 ask: where to get a token, for which scopes, and what was wrong with one sent."""
    parts = [f'resource_metadata="{metadata_url()}"', f'scope="{" ".join(scopes())}"']
    if token_sent:
        parts = ['error="invalid_token"', f'error_description="{refusal}"', *parts]
    return JSONResponse(
        {"error": "invalid_token" if token_sent else "unauthorized", "error_description": str(refusal)},
        401,
        headers={"WWW-Authenticate": f"Bearer {', '.join(parts)}"},
    )


def metadata_url() -> str:
    """Where this door's metadata is: the well-known name goes before the resource's path (RFC 9728, section 3.1)."""
    url = urlsplit(settings.DOOR_URL)
    return f"{url.scheme}://{url.netloc}/.well-known/oauth-protected-resource{url.path}"


def scopes() -> tuple[str, ...]:
    return BROAD


def refused(request: Request, status: int, because: str, trace_id: str | None = None) -> None:
    """The log line of a request that never became a call."""
    logger.info(
        "refused at the door",
        extra={"status": status, "because": because, "trace_id": trace_id, "http_method": request.method},
    )
