"""One hop from the event loop to a thread that may use the database.

`sync_to_async` outside Django's handler shares a single thread for the whole process, and a plain `def` tool runs
on forty: both are wrong for a pool of database connections, so the door brings its own threads.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")

# Many, for they wait for the company's API most of the time.
_VERBS = ThreadPoolExecutor(8, thread_name_prefix="verb")
# Few, for they only ask our own database: more threads would take the interpreter from each other.
_READS = ThreadPoolExecutor(2, thread_name_prefix="read")
# Apart from both: who calls and how we are must be answered meanwhile.
_IDENTITY = ThreadPoolExecutor(2, thread_name_prefix="identity")


async def hop(verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a synchronous verb on a thread of its own, with the caller's context. Raises what the verb raises."""
    return await _run(_VERBS, verb, *args, **kwargs)


async def short_hop(verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`hop` for a verb that asks nobody but our own database."""
    return await _run(_READS, verb, *args, **kwargs)


async def quick_hop(verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`hop` for who calls and how we are, which nothing slow may hold up."""
    return await _run(_IDENTITY, verb, *args, **kwargs)


async def _run(pool: ThreadPoolExecutor, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    context = contextvars.copy_context()

    def connected() -> T:
        close_old_connections()
        try:
            return verb(*args, **kwargs)
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(pool, context.run, connected)
