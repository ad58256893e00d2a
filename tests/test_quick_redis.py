"""Redis is asked once and briefly, and whoever found it away tells everybody in the process."""

import os
import signal
from collections.abc import Iterator
from time import monotonic

import pytest
import redis
from django.conf import settings

from approvals import quick_redis
from approvals.management import embedded
from tests.scan.scratch import scratch


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[embedded.Server]:
    """A Redis that a test may stop; nobody is silent yet."""
    monkeypatch.setattr(quick_redis, "_silent_until", 0.0)
    with scratch() as data, embedded.valkey(data, environ={}) as made:
        monkeypatch.setattr(settings, "REDIS_URL", made.url)
        yield made
        os.kill(made.pid or 0, signal.SIGCONT)


def stop(server: embedded.Server) -> None:
    assert server.pid
    os.kill(server.pid, signal.SIGSTOP)


def test_a_question_costs_one_round_trip(server: embedded.Server) -> None:
    def commands() -> int:
        return int(quick_redis.ask(lambda client: client.info("stats"))["total_commands_processed"])

    before = commands()
    assert quick_redis.ask(lambda client: client.incr("asked")) == 1
    assert commands() - before == 2  # it, and the counting


def test_a_frozen_redis_is_asked_once_and_then_nobody_waits_for_it(
    server: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_redis, "SILENCE", 3600.0)
    stop(server)
    began = monotonic()
    for _ in range(50):
        with pytest.raises(quick_redis.Unreachable):
            quick_redis.ask(lambda client: client.ping())
    assert monotonic() - began < 1.5


def test_when_the_second_is_over_one_asks_again_and_the_others_wait_for_what_it_finds(
    server: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_redis, "_silent_until", monotonic() - 0.1)

    def asked(client: "redis.Redis") -> bool:
        with pytest.raises(quick_redis.Unreachable):
            quick_redis.ask(lambda client: client.ping())
        return bool(client.ping())

    assert quick_redis.ask(asked)
    assert quick_redis.ask(lambda client: client.ping()) is True


def test_what_is_logged_names_no_url(server: embedded.Server, caplog: pytest.LogCaptureFixture) -> None:
    stop(server)
    with pytest.raises(quick_redis.Unreachable):
        quick_redis.ask(lambda client: client.ping())
    assert [record.message for record in caplog.records] == ["Redis cannot be reached"]
    assert server.url not in caplog.text
