"""What is refused before anybody looks at a token, because no host of ours sends it.

In this order: a header that must be there once (400), Host (421), Origin (403), method (405), content type (415),
what is accepted (406), and a token in the URL (400).
"""

from mcp.server.streamable_http import check_accept_headers
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from mcp_types import HEADER_MISMATCH, INVALID_REQUEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_bridge.bearer import bad_request
from mcp_bridge.visit import refuse

# Two readers of a header that is there twice would disagree about what it says.
_ROUTING = frozenset({b"mcp-protocol-version", b"mcp-method", b"mcp-name"})
_ONCE = frozenset({b"host", b"origin", b"content-type", b"content-length"}) | _ROUTING
_NAMES = {
    421: ("host", "This server does not answer to that name. Check the URL."),
    403: ("origin", "Pages of other sites may not call this server."),
}


class Edge:
    """An ASGI application around the endpoint. `security` says under which names it is served."""

    def __init__(self, app: ASGIApp, security: TransportSecuritySettings) -> None:
        self._app = app
        self._names = TransportSecurityMiddleware(security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Not part of a value (RFC 9110, section 5.5), and this server's parser leaves what stands behind one.
        scope["headers"] = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        request = Request(scope)
        response = _repeated(request) or await self._wrong_name(request) or _misuse(request)
        await (response or self._app)(scope, receive, send)

    async def _wrong_name(self, request: Request) -> Response | None:
        """DNS rebinding: the page of another site reaches us under its own name, or with its own Origin."""
        if (refused := await self._names.validate_request(request)) is None:
            return None
        because, sentence = _NAMES[refused.status_code]
        return refuse(request.scope, refused.status_code, because, sentence)


def _repeated(request: Request) -> Response | None:
    seen: set[bytes] = set()
    for name, _ in request.scope["headers"]:
        if name in seen:
            code = HEADER_MISMATCH if name in _ROUTING else INVALID_REQUEST
            sentence = f"Send the header {name.decode()} once."
            return refuse(request.scope, 400, "repeated_header", sentence, code=code)
        if name in _ONCE:
            seen.add(name)
    return None


def _misuse(request: Request) -> Response | None:
    if request.method != "POST":
        return refuse(request.scope, 405, "method", "Send a POST.", headers={"Allow": "POST"})
    # The SDK compares a prefix, which application/jsonp has too.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return refuse(request.scope, 415, "content_type", "Send application/json.")
    if not check_accept_headers(request)[0]:
        return refuse(request.scope, 406, "accept", "Accept application/json and text/event-stream.")
    if "access_token" in request.query_params:
        # OAuth 2.1, section 5.1: never in the query, where logs and histories keep it.
        return bad_request(
            request.scope, "token_in_query", "Send the token in the Authorization header, and no other way."
        )
    return None
