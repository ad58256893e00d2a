"""Faults on demand: what a real internal API does on a bad day, when a test says so.

A fault waits for the next request under its path prefix, acts on it, and is used up after `times` requests.
Faults live in memory. The ledger, the control routes and the health check are never disturbed: whoever breaks
the shop must still be able to see what it did.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Literal, Self

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .hang_up import hang_up
from .refusals import Refused

log = logging.getLogger("uvicorn.error")

WRITES = ("POST", "PUT")


class Fault(BaseModel):
    """One thing that goes wrong.

    latency: waits `seconds`, then carries the request out, even if the client has left by then.
    error_500: answers 500, not carried out.
    rate_limited: answers 429 with Retry-After of `retry_after` seconds, not carried out.
    drop_after_commit: a write is carried out and committed, then the connection closes without an answer.
    refuse: answers 422 `refused_by_policy`, not carried out.
    """

    model_config = ConfigDict(extra="forbid")

    fault: Literal["latency", "error_500", "rate_limited", "drop_after_commit", "refuse"]
    path_prefix: Annotated[str, Field(pattern="^/v1")] = "/v1"
    method: Literal["GET", "POST", "PUT"] | None = None
    times: Annotated[int, Field(ge=1, description="How many requests it still meets.")] = 1
    seconds: Annotated[float, Field(ge=0, le=60)] = 0
    retry_after: Annotated[int, Field(ge=0, le=3600)] = 1

    @model_validator(mode="after")
    def _can_happen(self) -> Self:
        if self.fault == "latency" and not self.seconds:
            raise ValueError("latency needs seconds")
        if self.fault == "drop_after_commit" and self.method == "GET":
            raise ValueError("drop_after_commit needs a write: a GET commits nothing")
        return self

    def meets(self, method: str, path: str) -> bool:
        """Whether this request is the one that the fault waits for."""
        methods = (self.method,) if self.method else WRITES if self.fault == "drop_after_commit" else None
        return path.startswith(self.path_prefix) and (methods is None or method in methods)


class Faults:
    """The faults that are armed, oldest first. Used from the event loop only, hence no lock."""

    def __init__(self) -> None:
        self.armed: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        """Add a fault behind those already waiting."""
        self.armed.append(fault.model_copy())

    def clear(self) -> None:
        """Disarm everything."""
        self.armed.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, counted as used once."""
        if path == "/v1/ledger":
            return None
        fault = next((fault for fault in self.armed if fault.meets(method, path)), None)
        if fault is not None:
            fault.times -= 1
            self.armed = [other for other in self.armed if other.times > 0]
        return fault


class FaultyApp:
    """The application with its faults in front, where a gateway has them: before any token is checked."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, badly where a fault is armed for it."""
        fault = self._faults.take(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        log.warning("fault %s on %s %s", fault.fault, scope["method"], scope["path"])
        if fault.fault == "latency":
            receive = await _received(receive)
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, send)
        elif fault.fault == "drop_after_commit":
            await self._app(scope, receive, _into_nothing)
            await hang_up(scope, receive)
        else:
            await _REFUSALS[fault.fault](fault)(scope, receive, send)


_REFUSALS: dict[str, Callable[[Fault], JSONResponse]] = {
    "error_500": lambda _: Refused(500, "internal_error", "The shop stumbled.").response(),
    "rate_limited": lambda fault: Refused(
        429, "rate_limited", "Too many requests.", headers={"Retry-After": str(fault.retry_after)}
    ).response(),
    "refuse": lambda _: Refused(422, "refused_by_policy", "The shop's own policy refuses this.").response(),
}


async def _into_nothing(message: Message) -> None:
    """Where a dropped answer goes."""


async def _received(receive: Receive) -> Receive:
    """Take the whole body in now: once the client has left, the server would no longer hand it out."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    held: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return held.pop() if held else await receive()

    return replay
