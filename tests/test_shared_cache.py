"""What sign-in remembers: for all web processes in Redis, and for each by itself while that is away."""

import json

import pytest
import redis
from django.conf import settings

from approvals import quick_redis
from approvals.shared_cache import SharedCache


def process() -> SharedCache:
    """The cache of one more web process."""
    return SharedCache("", {})


@pytest.fixture
def away(broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(quick_redis, "_silent_until", 0.0)


def test_processes_remember_together(broker: str) -> None:
    one, other = process(), process()
    one.clear()
    assert one.add("a code", "used", timeout=60)
    assert not other.add("a code", "used", timeout=60)
    one.set("times", [1.5, 2.5], 60)
    assert other.get("times") == [1.5, 2.5]
    assert other.delete("times")
    assert one.get("times", "none") == "none"


def test_what_it_remembers_ends(broker: str) -> None:
    one = process()
    one.set("short", 1, 0.001)
    one.set("long", 1, 60)
    assert one.touch("long", 30)
    with redis.Redis.from_url(settings.REDIS_URL) as server:
        assert 0 < server.pttl(one._name("long", None)) <= 30_000
        while server.exists(one._name("short", None)):
            pass
    assert one.get("short") is None


def test_what_another_process_wrote_is_data_and_never_code(broker: str) -> None:
    one = process()
    with redis.Redis.from_url(settings.REDIS_URL) as server:
        server.set(one._name("forged", None), b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(json.JSONDecodeError):
        one.get("forged")
    with pytest.raises(TypeError):
        one.set("an object", object())


@pytest.mark.usefixtures("away")
def test_while_redis_is_away_each_process_remembers_by_itself() -> None:
    one, other = process(), process()
    assert one.add("a code", "used", timeout=60)
    assert not one.add("a code", "used", timeout=60)
    one.set("times", [1], 60)
    assert one.get("times") == [1]
    assert not one.delete("times")
    assert one.get("times") is None
    assert other.get("times") is None
