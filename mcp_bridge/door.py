"""The door over HTTP: the MCP endpoint behind its checks, its OAuth metadata, and its health.

The order of the checks: what no host sends (`edge.py`), the bearer token (`bearer.py`), the size, the message, its
protocol version and its scope (`envelope.py`). Whatever refuses, `turned_away.py` logs and counts it.
"""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings
from django.db import Error as DatabaseTrouble
from django.db import connection
from mcp.server.transport_security import RequestBodyLimitMiddleware, TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from approvals.errors import NotAuthenticated
from approvals.identity.credentials import requester_of_token
from approvals.identity.requester import Requester
from mcp_bridge.bearer import RequireBearer, metadata_url, scopes
from mcp_bridge.edge import Edge
from mcp_bridge.envelope import Envelope
from mcp_bridge.lifecycle import Context
from mcp_bridge.needs import needs
from mcp_bridge.server import create, tools
from mcp_bridge.tally import Tally
from mcp_bridge.threads import quick_hop
from mcp_bridge.turned_away import TurnedAway
from mcp_bridge.visit import visit_of

MOST_BYTES = 4 * 1024 * 1024


def door() -> Starlette:
    """A new application; the SDK's session manager runs once, so each start needs its own."""
    server = create(identify, again=identify_again)
    path, security = urlsplit(settings.DOOR_URL).path or "/", _security()
    tally = Tally()
    mcp = server.streamable_http_app(
        streamable_http_path=path,
        stateless_http=True,
        json_response=True,
        max_request_body_size=MOST_BYTES,
        transport_security=security,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with tally.kept(), mcp.router.lifespan_context(mcp):
            await server.list_tools()
            # What is loaded now stays loaded: looking through it again is most of a slow request's time.
            gc.collect()
            gc.freeze()
            yield

    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/healthz", healthz),
            Route("/.well-known/oauth-protected-resource", metadata),
            Route(urlsplit(metadata_url()).path, metadata),
            Route(path, Edge(RequireBearer(_read(mcp, tally)), security)),
        ],
        middleware=[Middleware(TurnedAway, tally=tally)],
    )
    # It would lead to wherever the Host header says, before anybody has checked that.
    app.router.redirect_slashes = False
    return app


def _read(mcp: ASGIApp, tally: Tally) -> ASGIApp:
    """The body is read when somebody is known to have sent it, and when it is not too long."""
    return RequestBodyLimitMiddleware(Envelope(mcp, needs(tools()), tally), MOST_BYTES)


async def identify(ctx: Context) -> Requester:
    """Who `RequireBearer` let in with this request. The lifecycle reads the trace from the request itself.

    Raises NotAuthenticated where nobody was let in.
    """
    visit = visit_of(ctx.request.scope)  # type: ignore[union-attr]
    if visit.requester is None:
        raise NotAuthenticated
    visit.arrived = True
    return visit.requester


async def identify_again(ctx: Context) -> Requester:
    """The same, asked anew long after the request came. Raises TokenRefused."""
    token = ctx.request.headers["authorization"].split()[-1]  # type: ignore[union-attr]
    return await quick_hop(requester_of_token, token)


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
            "authorization_servers": [settings.TOKEN_ISSUER or settings.PUBLIC_URL],
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
