"""A bell for whoever watches a request: it moved, or has a new revision. Redis carries its id and nothing else.

Lossy on purpose. A verb that ends must not wait for Redis, so what does not get through is dropped; a listener
looks at the row from time to time anyway (`mcp_bridge/subscriptions.py`), and PostgreSQL says what happened.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from uuid import UUID

import redis
from django.conf import settings
from django.db import transaction
from redis.asyncio import Redis as Listener

from approvals.models import ApprovalRequest
from approvals.quick_redis import Unreachable, ask

logger = logging.getLogger(__name__)

AGAIN = 1.0  # seconds before a listener that lost Redis tries again


def moved(request: ApprovalRequest) -> None:
    """When the transaction commits, tell whoever listens. Never raises, and never holds a verb up for long.

    Not for a request that was just filed: nobody can have its id yet.
    """
    transaction.on_commit(partial(_ring, request.pk))


async def heard() -> AsyncIterator[UUID]:
    """The requests that moved, in any process, as they are told; goes on for ever, and through Redis's failures."""
    while settings.REDIS_URL:
        try:
            async with Listener.from_url(settings.REDIS_URL, socket_connect_timeout=AGAIN) as client:
                pubsub = client.pubsub(ignore_subscribe_messages=True)
                await pubsub.subscribe(_channel())
                async for message in pubsub.listen():
                    for request_id in _read(message["data"]):
                        yield request_id
        except (redis.RedisError, OSError) as error:
            logger.warning("not listening for moves", extra={"error": type(error).__name__})
        await asyncio.sleep(AGAIN)


def _read(data: bytes) -> list[UUID]:
    """The id of a message; none of one that is not ours to understand."""
    try:
        return [UUID(data.decode())]
    except ValueError:
        return []


def _channel() -> str:
    """Of this installation alone: two can share a Redis, and its channels know no database numbers."""
    return f"{settings.DATABASE_ROLE_PREFIX}:moved"


def _ring(request_id: UUID) -> None:
    if settings.REDIS_URL:
        with suppress(Unreachable):  # down, frozen or full: whoever listens will look
            ask(lambda client: client.publish(_channel(), str(request_id)))
