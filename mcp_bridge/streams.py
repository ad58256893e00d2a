"""The open `subscriptions/listen` streams of this process, and what keeps each of them true.

A stream tells its agent when PostgreSQL says that a request moved. Redis only says when to look: what it lost is
found within `EVERY` seconds. Each look asks again whether the credential is good and nothing is stopped, and a stream
lives `LEASE` seconds from the last look that found it so: a database that does not answer ends it, too.
"""

import logging
import signal
import threading
from asyncio import get_running_loop
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TypeAlias
from uuid import UUID

import anyio

from approvals import queries, switches, watching
from approvals.errors import Refusal, WatchesTooMuch
from approvals.identity.requester import Requester
from approvals.states import Status
from mcp_bridge.gate import STANDS_FOR
from mcp_bridge.threads import quick_hop

logger = logging.getLogger(__name__)

EVERY = 1.5  # seconds between two looks
LEASE = 5.0  # seconds that a stream outlives its last good look
LONGEST = 3600.0  # seconds of one stream; the agent opens the next one
MOST_WATCHED = 50  # requests on one stream
MOST_OF_AN_AGENT = 5  # streams, in one process
MOST = 200  # streams, in one process: as many as it can look at in time

Standing: TypeAlias = tuple[Status, int]
Handler: TypeAlias = Callable[[int, FrameType | None], object]


@dataclass(eq=False)
class Stream:
    """One open stream: of whom, and how the requests that it watches stood at the last look."""

    by: Requester
    again: Callable[[], Awaitable[Requester]]
    known: dict[UUID, Standing]
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    # Set when the protocol's side is ready; until then nothing may count as told.
    tell: Callable[[UUID], None] | None = None
    _because: str = field(default="", init=False)
    _looking: anyio.Lock = field(default_factory=anyio.Lock, init=False)
    _last_moment: float = field(init=False)

    def __post_init__(self) -> None:
        now = anyio.current_time()
        self._last_moment = now + LONGEST
        self._good_at(now)

    async def look(self) -> None:
        """Tell what moved since the last look. Never raises: a look that fails lets the lease run out."""
        async with self._looking:
            if (tell := self.tell) is None:
                return
            started = anyio.current_time()
            try:
                now = await quick_hop(_standings, self.known, await self.again())
            except Refusal as refusal:
                self.end(refusal.code)
                return
            except Exception:
                logger.exception("a stream could not be looked after")
                return
            self._good_at(started)
            moved = [request_id for request_id, standing in now.items() if standing != self.known[request_id]]
            self.known.update(now)
            for request_id in moved:
                tell(request_id)

    def end(self, because: str) -> None:
        self._because = because
        self.scope.cancel()

    def ended_because(self) -> str:
        """In a word, once it has ended."""
        if not self.scope.cancelled_caught:
            return "client"
        return self._because or (
            "lifetime" if anyio.current_time() >= self._last_moment else "not_looked_after"
        )

    def _good_at(self, moment: float) -> None:
        self.scope.deadline = min(self._last_moment, moment + LEASE)


def _standings(request_ids: Iterable[UUID], by: Requester) -> dict[UUID, Standing]:
    """Raises SwitchedOff or SwitchesUnknown."""
    switches.check(by, STANDS_FOR["subscriptions/listen"])
    return queries.standings(request_ids, by)


def _handlers() -> dict[int, Handler]:
    """What this process does when it is told to stop, where that is not just to die; only its main thread is told."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {int(each): signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    return {each: handler for each, handler in found.items() if callable(handler)}


class Streams:
    """All of them, in this process."""

    def __init__(self) -> None:
        self._open: set[Stream] = set()

    @contextmanager
    def opened(self, stream: Stream) -> Iterator[None]:
        """Raises WatchesTooMuch."""
        if sum(other.by.id == stream.by.id for other in self._open) >= MOST_OF_AN_AGENT:
            raise WatchesTooMuch(limit=f"{MOST_OF_AN_AGENT} open streams of one agent")
        if len(self._open) >= MOST:
            raise WatchesTooMuch(limit=f"{MOST} open streams in this process")
        who = {"subject_id": str(stream.by.id), "tenant_id": str(stream.by.tenant_id)}
        logger.info("stream opened", extra=who | {"watched": [str(each) for each in stream.known]})
        self._open.add(stream)
        try:
            yield
        finally:
            self._open.discard(stream)
            logger.info("stream ended", extra=who | {"because": stream.ended_because()})

    @asynccontextmanager
    async def looked_after(self) -> AsyncIterator[None]:
        """As long as the server runs."""
        with self._closed_on_exit():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep)
                tasks.start_soon(self._hear)
                yield
                tasks.cancel_scope.cancel()

    @contextmanager
    def _closed_on_exit(self) -> Iterator[None]:
        """End every stream when the process is told to stop: uvicorn waits for them before it tells anybody."""
        loop, told = get_running_loop(), _handlers()

        def stop(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._close)
            told[number](number, frame)

        for each in told:
            signal.signal(each, stop)
        try:
            yield
        finally:
            for each, handler in told.items():
                signal.signal(each, handler)

    def _close(self) -> None:
        for stream in self._open:
            stream.end("shutdown")

    async def _keep(self) -> None:
        while True:
            await anyio.sleep(EVERY)
            for stream in list(self._open):
                await stream.look()

    async def _hear(self) -> None:
        async for request_id in watching.heard():
            for stream in [stream for stream in self._open if request_id in stream.known]:
                await stream.look()
