"""Scripts in Redis, for what all door processes count together."""

from collections.abc import Sequence
from functools import lru_cache

import redis
from django.conf import settings

from approvals.quick_redis import Unreachable, ask

__all__ = ["Script", "Unreachable", "key"]


class Script:
    """A Lua script: what it reads and writes happens at once for everybody."""

    def __init__(self, lua: str) -> None:
        self._lua = lua

    def __call__(self, keys: Sequence[str], arguments: Sequence[int | str]) -> list[int]:
        """What the script returns, after one round trip. Raises Unreachable, see `quick_redis.ask`."""

        def run(client: "redis.Redis") -> list[int]:
            return [int(number) for number in _registered(client, self._lua)(keys=keys, args=arguments)]

        return ask(run)


def key(*parts: object) -> str:
    """A key of ours: two installations on one Redis do not share it."""
    return ":".join((settings.DATABASE_ROLE_PREFIX, "limit", *map(str, parts)))


@lru_cache(maxsize=16)
def _registered(client: "redis.Redis", lua: str) -> "redis.commands.core.Script":
    return client.register_script(lua)
