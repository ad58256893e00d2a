"""An answer that is sent as it is made: in a thread of its own, which is done with the database when it ends.

A server waits without end for a reader who does not read, and what makes the answer would wait with it: its turn, its
thread and its connection. So they end by themselves where no next piece is asked for in PATIENCE_SECONDS.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from threading import BoundedSemaphore, Lock, Timer
from typing import Generic, TypeVar

from django.db import connection

logger = logging.getLogger(__name__)

T = TypeVar("T")
# In a process: each has a connection of its own, beside those of the lanes (turns.py, roles.py).
ONE_AT_A_TIME = BoundedSemaphore(1)
PATIENCE_SECONDS = 15.0
PIECE = 65_536  # characters that a reader may take so long for


class Stalled(Exception):
    """The reader asked for no next piece in time. What was sent so far is cut off."""


class Stream(Generic[T]):
    """The content of a StreamingHttpResponse; ends what nobody has begun to read, when the response is closed.

    Or in PATIENCE_SECONDS: a server may wait for the reader before it begins.
    """

    def __init__(self, pieces: Generator[T, None, None]) -> None:
        self._pieces, self._taken = pieces, Lock()  # held for good by who reads the pieces, or ends them
        self._watchdog = Timer(PATIENCE_SECONDS, self.close)
        self._watchdog.daemon = True
        self._watchdog.start()

    async def __aiter__(self) -> AsyncIterator[T]:
        self._watchdog.cancel()
        if not self._taken.acquire(blocking=False):
            raise Stalled
        async with aclosing(streamed(self._pieces)) as pieces:
            async for piece in pieces:
                yield piece

    def close(self) -> None:
        self._watchdog.cancel()
        if self._taken.acquire(blocking=False):
            self._pieces.close()


async def streamed(pieces: Generator[T, None, None]) -> AsyncGenerator[T, None]:
    """Each piece as it comes; the next one is made when the reader has taken the one before.

    Raises Stalled to the reader who comes back too late: everything was ended by then.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="streaming")
    loop, end = asyncio.get_running_loop(), _Once(pool, pieces)
    try:
        while (piece := await loop.run_in_executor(pool, next, pieces, None)) is not None:
            watchdog = loop.call_later(PATIENCE_SECONDS, end.stalled)
            try:
                yield piece
            finally:
                watchdog.cancel()
            if end.is_over:
                raise Stalled
    finally:
        end()  # also when the reader has gone away


class _Once:
    """Ends the pieces, in their own thread, which comes to it behind the piece that it is at."""

    def __init__(self, pool: ThreadPoolExecutor, pieces: Generator[T, None, None]) -> None:
        self._pool, self._end, self.is_over = pool, partial(_end, pieces), False

    def __call__(self) -> None:
        if not self.is_over:
            self.is_over = True
            self._pool.submit(self._end)
            self._pool.shutdown(wait=False)

    def stalled(self) -> None:
        logger.warning("reader stalled, and was cut off", extra={"seconds": PATIENCE_SECONDS})
        self()


def _end(pieces: Generator[T, None, None]) -> None:
    pieces.close()
    connection.close()


def cut(text: str) -> Iterator[str]:
    """In pieces that a slow reader takes in time."""
    return (text[start : start + PIECE] for start in range(0, len(text), PIECE))
