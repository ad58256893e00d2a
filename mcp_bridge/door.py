"""The door over HTTP: the MCP endpoint behind its guard, its OAuth metadata, and its health.

The order of the checks: Host (421), Origin (403), method (405), content type (415), bearer token (401), size (413).
"""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings
from django.db import Error as DatabaseTrouble
from django.db import connection
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from approvals.identity.requester import Requester
from mcp_bridge.bearer import ARRIVAL, RequireBearer, metadata_url, refused, scopes
from mcp_bridge.lifecycle import Context
from mcp_bridge.server import create
from mcp_bridge.threads import quick_hop

MOST_BYTES = 4 * 1024 * 1024


def door() -> Starlette:
    """A new application; the SDK's session manager runs once, so each start needs its own."""
    server, path, security = create(identify), urlsplit(settings.DOOR_URL).path or "/", _security()
    mcp = server.streamable_http_app(
        streamable_http_path=path,
        stateless_http=True,
        json_response=True,
        max_request_body_size=MOST_BYTES,
        transport_security=security,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with mcp.router.lifespan_context(mcp):
            await server.list_tools()
            # What is loaded now stays loaded: looking through it again is most of a slow request's time.
            gc.collect()
            gc.freeze()
            yield

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/healthz", healthz),
            Route("/.well-known/oauth-protected-resource", metadata),
            Route(urlsplit(metadata_url()).path, metadata),
            Route(path, Guard(RequireBearer(mcp), security)),
        ],
    )


async def identify(ctx: Context) -> tuple[Requester, str | None]:
    """Who `RequireBearer` let in with this request."""
    arrival: tuple[Requester, str] = ctx.request.scope[ARRIVAL]  # type: ignore[union-attr]
    return arrival


class Guard:
    """Refuses what no MCP client of ours sends, before anybody looks at a token."""

    def __init__(self, app: ASGIApp, security: TransportSecuritySettings) -> None:
        self._app = app
        self._names = TransportSecurityMiddleware(security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        response = await self._names.validate_request(request) or _misuse(request)
        if response:
            refused(request, response.status_code, "guard")
        await (response or self._app)(scope, receive, send)


def _misuse(request: Request) -> Response | None:
    if request.method != "POST":
        return PlainTextResponse("Send a POST", 405, headers={"Allow": "POST"})
    # The SDK compares a prefix, which application/jsonp has too.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return PlainTextResponse("Send application/json", 415)
    return None


async def healthz(_: Request) -> Response:
    """200 when this process can ask its database, else 503. For probes: no Host is asked for."""
    try:
        await quick_hop(_ask_database)
    except DatabaseTrouble:
        return PlainTextResponse("the database does not answer", 503)
    return PlainTextResponse("ok")


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


async def metadata(_: Request) -> Response:
    """Protected Resource Metadata (RFC 9728); built by hand, for the SDK's adds a slash to the issuer."""
    return JSONResponse(
        {
            "resource": settings.DOOR_URL,
            "authorization_servers": [settings.PUBLIC_URL],
            "scopes_supported": list(scopes()),
            "bearer_methods_supported": ["header"],
            "resource_name": "Countersign",
        }
    )


@lru_cache(maxsize=1)
def _security() -> TransportSecuritySettings:
    """The names under which we are served. Explicit: the SDK's defaults depend on where it thinks it listens."""
    urls = [urlsplit(settings.DOOR_URL), urlsplit(settings.PUBLIC_URL)]
    return TransportSecuritySettings(
        allowed_hosts=[url.netloc for url in urls],
        allowed_origins=[f"{url.scheme}://{url.netloc}" for url in urls],
    )
