"""Redis as every process here asks it: one round trip, no second try, and never for long.

A Redis that does not answer is remembered for a second, so that a thousand calls do not wait for it one by one.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from time import monotonic
from typing import TypeVar

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

TIMEOUT = 0.4  # seconds, to connect and to answer: a call waits less than one second for a frozen Redis
SILENCE = 1.0  # seconds without asking, in this process, after no answer came

_Answer = TypeVar("_Answer")
_silent_until = 0.0  # on the monotonic clock


class Unreachable(Exception):
    """Redis did not answer, or refused."""


def ask(question: Callable[["redis.Redis"], _Answer]) -> _Answer:
    """What Redis answers. Raises Unreachable: within a second, and at once in the second after that."""
    global _silent_until
    if monotonic() < _silent_until:
        raise Unreachable
    if _silent_until:
        _silent_until = monotonic() + SILENCE  # this one finds out; the others do not wait with it
    try:
        answer = question(_client(settings.REDIS_URL))
    except (redis.RedisError, ValueError, OSError) as error:
        _silent_until = monotonic() + SILENCE
        # Its name alone: a text may quote the URL, and with it the password.
        logger.warning("Redis cannot be reached", extra={"error": type(error).__name__})
        raise Unreachable from error
    _silent_until = 0.0
    return answer


@lru_cache(maxsize=4)
def _client(url: str) -> "redis.Redis":
    """One pool of connections a process. No retries: they would wait for a frozen Redis again."""
    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0)
    )
