"""An answer that is sent as it is made: in a thread of its own, which is done with the database when it ends."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from threading import BoundedSemaphore
from typing import Generic, TypeVar

from django.db import connection

T = TypeVar("T")
# In a process: each has a connection of its own, beside those of the lanes (turns.py, roles.py).
ONE_AT_A_TIME = BoundedSemaphore(1)


class Stream(Generic[T]):
    """The content of a StreamingHttpResponse; ends what nobody has begun to read, when the response is closed."""

    def __init__(self, pieces: Generator[T, None, None]) -> None:
        self._pieces, self._is_begun = pieces, False

    async def __aiter__(self) -> AsyncIterator[T]:
        self._is_begun = True
        async with aclosing(streamed(self._pieces)) as pieces:
            async for piece in pieces:
                yield piece

    def close(self) -> None:
        if not self._is_begun:
            self._pieces.close()


async def streamed(pieces: Generator[T, None, None]) -> AsyncGenerator[T, None]:
    """Each piece as it comes; the next one is made when the reader has taken the one before."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="streaming")
    try:
        while (
            piece := await asyncio.get_running_loop().run_in_executor(pool, next, pieces, None)
        ) is not None:
            yield piece
    finally:
        # Also when the reader has gone away: the thread comes to it behind the piece that it is at.
        pool.submit(partial(_end, pieces))
        pool.shutdown(wait=False)


def _end(pieces: Generator[T, None, None]) -> None:
    pieces.close()
    connection.close()
