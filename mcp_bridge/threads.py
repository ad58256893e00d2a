"""One hop from the event loop to a thread that may use the database.

`sync_to_async` outside Django's handler shares a single thread for the whole process, and a plain `def` tool runs
on forty: both are wrong for a pool of database connections, so the door brings its own threads.
"""

import asyncio
import contextvars
import select
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from django.db import close_old_connections, connection

P = ParamSpec("P")
T = TypeVar("T")

# By event loop: a semaphore belongs to one.
_shares: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[UUID, asyncio.Semaphore]] = WeakKeyDictionary()

# Many, for they wait for the company's API most of the time; not all of them for one tenant, whose API may be slow.
_VERBS = ThreadPoolExecutor(8, thread_name_prefix="verb")
_SHARE = 7  # of them at most for the calls of one tenant
# Few, for they only ask our own database: more threads would take the interpreter from each other.
_READS = ThreadPoolExecutor(2, thread_name_prefix="read")
# Apart from both: who calls and how we are must be answered meanwhile.
_IDENTITY = ThreadPoolExecutor(2, thread_name_prefix="identity")


async def hop(tenant_id: UUID, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a synchronous verb on a thread of its own, with the caller's context. Raises what the verb raises."""
    async with _share_of(tenant_id):
        return await _run(_VERBS, verb, *args, **kwargs)


async def short_hop(verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`hop` for a verb that asks nobody but our own database, and so waits for no tenant's API."""
    return await _run(_READS, verb, *args, **kwargs)


async def quick_hop(verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`hop` for who calls and how we are, which nothing slow may hold up."""
    return await _run(_IDENTITY, verb, *args, **kwargs)


def _share_of(tenant_id: UUID) -> asyncio.Semaphore:
    shares = _shares.setdefault(asyncio.get_running_loop(), {})
    return shares.setdefault(tenant_id, asyncio.Semaphore(_SHARE))


async def _run(pool: ThreadPoolExecutor, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    context = contextvars.copy_context()

    def connected() -> T:
        _connect_again_if_need_be()
        try:
            return verb(*args, **kwargs)
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(pool, context.run, connected)


def _connect_again_if_need_be() -> None:
    """What Django's health check finds out by asking the server, without asking: a round trip for each call."""
    close_old_connections()
    if connection.connection is not None:
        if _has_ended(connection.connection):
            connection.close()
        connection.health_check_done = True  # type: ignore[attr-defined]


def _has_ended(open_connection: psycopg.Connection) -> bool:
    """A server that ends an idle connection says so, or hangs up: either way there is something to read."""
    waiting = select.poll()
    waiting.register(open_connection.fileno(), select.POLLIN)
    return bool(waiting.poll(0))
