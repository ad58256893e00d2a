"""An answer that is sent as it is made: in a thread of its own, which is done with the database when it ends."""

import asyncio
from collections.abc import AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


async def streamed(pieces: Generator[T, None, None]) -> AsyncIterator[T]:
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
