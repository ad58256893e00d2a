"""What is told of requests that move, heard by a program that is none of ours."""

from time import monotonic
from typing import Any
from uuid import uuid4

import redis
from django.conf import settings

LIVES = 30  # seconds after which something that should be heard never will be


class Hearing:
    """What arrives on the channel of this installation."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._pubsub: Any = self._client.pubsub()  # type: ignore[no-untyped-call]
        self._pubsub.subscribe(f"{settings.DATABASE_ROLE_PREFIX}:moved")
        assert self._pubsub.get_message(timeout=LIVES)["type"] == "subscribe"

    def all(self) -> list[str]:
        """Everything so far. What was published before this call has arrived: one server, in order."""
        end, found = uuid4().hex, list[str]()
        self._client.publish(f"{settings.DATABASE_ROLE_PREFIX}:moved", end)
        deadline = monotonic() + LIVES
        while monotonic() < deadline:
            message = self._pubsub.get_message(timeout=1)
            if message and message["data"].decode() == end:
                return found
            if message:
                found.append(message["data"].decode())
        raise AssertionError("the channel is dead")

    def close(self) -> None:
        self._pubsub.close()
        self._client.close()
