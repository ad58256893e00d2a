"""A way to close the connection without an answer, which ASGI itself does not offer."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_KEY = "shop.hang_up"


class HangUpProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol that hands the application its transport's `close`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
        """Wrap the application, for this connection only."""
        super().connection_made(transport)
        self.app: Any = _with_hang_up(self.app, transport.close)


async def hang_up(scope: Scope, receive: Receive) -> None:
    """Close the TCP connection; the client gets no status line. Returns once the server has noticed.

    Raises KeyError under a server that does not run HangUpProtocol.
    """
    scope[_KEY]()
    # Returning earlier would look to uvicorn like a forgotten answer, and it would send a 500 in its place.
    while (await receive())["type"] != "http.disconnect":
        pass


def _with_hang_up(app: ASGIApp, close: Callable[[], None]) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, _KEY: close}, receive, send)

    return serve
