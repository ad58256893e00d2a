"""Django's cache in Redis, asked as everything here asks it: once, briefly, and not again for a second.

The library for sign-in counts and remembers in it, so all web processes count together. While Redis does not answer,
each process counts and remembers by itself: a limit still holds, once for each of them, and nobody is kept out.
Values are JSON: another process that was taken over may write here, and a pickle of its would run in this one.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache

from approvals.quick_redis import Unreachable, ask

if TYPE_CHECKING:
    import redis


class SharedCache(BaseCache):
    def __init__(self, _location: str, params: Mapping[str, Any]) -> None:
        super().__init__(dict(params))
        self._here = LocMemCache("while Redis is away", dict(params))

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        try:
            return self._put(key, value, timeout, version, only_new=True)
        except Unreachable:
            return self._here.add(key, value, timeout, version)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        try:
            self._put(key, value, timeout, version, only_new=False)
        except Unreachable:
            self._here.set(key, value, timeout, version)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        try:
            found = ask(lambda redis: redis.get(self._name(key, version)))
        except Unreachable:
            return self._here.get(key, default, version)
        return default if found is None else json.loads(found)

    def delete(self, key: Any, version: int | None = None) -> bool:
        self._here.delete(key, version)
        try:
            return bool(ask(lambda redis: redis.delete(self._name(key, version))))
        except Unreachable:
            return False

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        found = self.get(key, version=version)
        if found is not None:
            self.set(key, found, timeout, version)
        return found is not None

    def clear(self) -> None:
        self._here.clear()

        def forget(redis: "redis.Redis") -> None:
            for name in redis.scan_iter(self._name("*", None)):
                redis.delete(name)

        ask(forget)

    def _put(self, key: Any, value: Any, timeout: Any, version: int | None, *, only_new: bool) -> bool:
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        milliseconds = None if seconds is None else max(1, int(seconds * 1000))
        name, packed = self._name(key, version), json.dumps(value)
        return bool(ask(lambda redis: redis.set(name, packed, px=milliseconds, nx=only_new)))

    def _name(self, key: Any, version: int | None) -> str:
        """Two installations on one Redis share nothing."""
        return f"{settings.DATABASE_ROLE_PREFIX}:cache:{self.make_key(key, version)}"
