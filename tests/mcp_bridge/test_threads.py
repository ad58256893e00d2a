"""One tenant's slow API holds up none of another's calls, and nothing that asks only our own database."""

import asyncio
import threading
from uuid import uuid4

from mcp_bridge import threads
from mcp_bridge.threads import hop, short_hop

LIVES = 30  # seconds after which something that should go on has stopped


def test_one_tenants_slow_calls_do_not_hold_all_of_the_threads() -> None:
    slow, quick = uuid4(), uuid4()
    answered, asked = threading.Event(), threading.Semaphore(0)

    def wait_for_the_company() -> None:
        asked.release()
        answered.wait(LIVES)

    async def everybody() -> None:
        waiting = [
            asyncio.create_task(hop(slow, wait_for_the_company))
            for _ in range(2 * threads._VERBS._max_workers)
        ]
        try:
            for _ in range(threads._SHARE):
                assert await asyncio.to_thread(asked.acquire, timeout=LIVES)
            others = [hop(quick, threading.current_thread) for _ in range(threads._SHARE)]
            assert len(await asyncio.wait_for(asyncio.gather(*others), LIVES)) == threads._SHARE
            assert await asyncio.wait_for(short_hop(threading.current_thread), LIVES)
            assert not asked.acquire(blocking=False)
            assert not any(task.done() for task in waiting)
        finally:
            answered.set()
            await asyncio.gather(*waiting)

    asyncio.run(everybody())


def test_an_error_gives_the_thread_back() -> None:
    tenant = uuid4()

    def fail() -> None:
        raise LookupError

    async def everybody() -> None:
        for _ in range(3 * threads._SHARE):
            try:
                await asyncio.wait_for(hop(tenant, fail), LIVES)
            except LookupError:
                continue
            raise AssertionError("the error was swallowed")

    asyncio.run(everybody())
