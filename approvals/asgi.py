"""What a process serves over HTTP, by its role: the door serves agents, every other process the pages.

COUNTERSIGN_PROCESS says which role it plays; docs/settings.md has the command that serves it.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import django
from django.conf import settings
from django.core.asgi import get_asgi_application

from approvals import tracing

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def chosen() -> Application:
    """The application of this process's role. Neither role loads the other's."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "approvals.settings")
    tracing.set_up()
    if settings.PROCESS != "door":
        return flushed(with_lifespan(get_asgi_application()))
    # The tools derive from the registry, which is filled here.
    django.setup(set_prefix=False)
    from mcp_bridge.door import door

    return flushed(door())


def with_lifespan(pages: Any) -> Application:
    """Django's application, with an answer to the lifespan messages that it raises on."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await pages(scope, receive, send)

    return application


def flushed(app: Any) -> Application:
    """Sends the last spans before the server knows that we are done; it ends by a signal, without exit handlers."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                await asyncio.to_thread(tracing.shut_down)
            await send(message)

        await app(scope, receive, told if scope["type"] == "lifespan" else send)

    return application


application = chosen()
