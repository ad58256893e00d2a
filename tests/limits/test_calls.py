"""Calls a minute and repeated refusals: shared by all processes, and truthful about when to come back."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep
from uuid import UUID

import pytest
import redis
from django.conf import settings

from approvals import limits, quick_redis
from approvals.errors import Doomed, LimitReached, LimitsUnknown, NotFound
from approvals.identity.requester import Requester
from approvals.limits import calls, counters
from approvals.management import embedded
from tests.limits.conftest import A_DAY, CALLS, PENDING, TOOL, told
from tests.world import REFUND, TRACE, World


def refused_call(by: Requester, tool: str = TOOL, *, same: str = "") -> int:
    """The seconds that a call which is over a limit is told to wait."""
    with pytest.raises(LimitReached) as refusal:
        limits.check_call(by, tool, same=same)
    return int(str(refusal.value.details["seconds"]))


def older(redis_server: "redis.Redis", of: UUID, seconds: float) -> None:
    """As if what was counted for an agent or a tenant had been counted that long ago."""
    for key in redis_server.scan_iter(f"{counters.key('calls', of)}*"):
        times = [int(at) - int(seconds * 1000) for at in redis_server.lrange(key, 0, -1)]
        redis_server.delete(key)
        redis_server.rpush(key, *times)


# --- calls a minute ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
def test_over_the_limit_a_call_is_told_when_to_come_back_and_coming_back_then_works(
    name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, name, 3)
    monkeypatch.setattr(calls, "WINDOW", 2000)
    for _ in range(3):
        limits.check_call(world.agent, TOOL)
    sleep(refused_call(world.agent))
    limits.check_call(world.agent, TOOL)


def test_within_any_sixty_seconds_no_more_than_the_limit_is_let_in(
    world: World, redis_server: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever they begin: no boundary lets twice as many through."""
    monkeypatch.setattr(settings, "LIMIT_AGENT_CALLS_A_MINUTE", 2)
    limits.check_call(world.agent)
    older(redis_server, world.agent.id, 40)
    limits.check_call(world.agent)
    assert 15 <= refused_call(world.agent) <= 20
    older(redis_server, world.agent.id, 30)
    limits.check_call(world.agent)
    assert 25 <= refused_call(world.agent) <= 30


def test_a_call_over_the_limit_does_not_put_the_next_one_off(
    world: World, redis_server: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LIMIT_AGENT_CALLS_A_MINUTE", 1)
    limits.check_call(world.agent)
    older(redis_server, world.agent.id, 50)
    assert all(refused_call(world.agent) <= 10 for _ in range(5))


def test_one_agents_calls_are_not_anothers_and_a_tenants_are_all_of_theirs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LIMIT_AGENT_CALLS_A_MINUTE", 2)
    monkeypatch.setattr(settings, "LIMIT_TENANT_CALLS_A_MINUTE", 3)
    second = world.another_agent()
    for by in (world.agent, world.agent, second):
        limits.check_call(by)
    refused_call(second)
    limits.check_call(world.other_agent)


def test_one_tools_calls_are_not_anothers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LIMIT_TOOL_CALLS_A_MINUTE", 1)
    limits.check_call(world.agent, TOOL)
    refused_call(world.agent)
    limits.check_call(world.agent, "lookup_order")


def test_zero_is_no_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*CALLS, *PENDING, *A_DAY, "LIMIT_SAME_REFUSALS"):
        monkeypatch.setattr(settings, name, 0)
    monkeypatch.setattr(settings, "REDIS_URL", "")
    limits.check_call(world.agent, TOOL, same="the same")
    assert world.submit().status == "pending"


def test_two_installations_on_one_redis_count_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LIMIT_AGENT_CALLS_A_MINUTE", 1)
    limits.check_call(world.agent)
    monkeypatch.setattr(settings, "DATABASE_ROLE_PREFIX", "another_installation")
    limits.check_call(world.agent)


LONGEST = 86_400_000  # milliseconds


def test_nothing_that_is_counted_stays_for_ever(
    world: World, own_redis: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LIMIT_SAME_REFUSALS", 1)
    limits.check_call(world.agent, TOOL)
    limits.note_refusal(world.agent, "the same", NotFound(thing="object", id="pay_1"))
    with redis.Redis.from_url(own_redis.url) as server:
        kept = {key.decode(): server.pttl(key) for key in server.scan_iter()}
    assert len(kept) == 4 and all(0 < left <= LONGEST for left in kept.values()), kept


# --- the same call, refused again and again ---------------------------------------------------------------


def test_a_call_that_is_refused_again_and_again_waits_longer_each_time(
    world: World, redis_server: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LIMIT_SAME_REFUSALS", 3)
    waits = []
    for refused in range(1, 13):
        limits.check_call(world.agent, TOOL, same="the same")
        limits.note_refusal(world.agent, "the same", Doomed(sentence="No.", rule="larger"))
        if refused >= 3:
            waits.append(refused_call(world.agent, same="the same"))
        redis_server.hset(counters.key("refused", world.agent.id, "the same"), "until", 0)  # it waited
    expected = [10, 20, 40, 80, 160, 320, 640, 900, 900, 900]
    assert all(right - 2 <= told <= right for told, right in zip(waits, expected, strict=True)), waits


def test_after_the_wait_the_call_is_let_in_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LIMIT_SAME_REFUSALS", 1)
    monkeypatch.setattr(calls, "FIRST_WAIT", 2000)
    limits.note_refusal(world.agent, "the same", Doomed(sentence="No.", rule="larger"))
    sleep(refused_call(world.agent, same="the same"))
    limits.check_call(world.agent, TOOL, same="the same")


def test_another_call_another_agent_and_another_reason_are_not_slowed_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LIMIT_SAME_REFUSALS", 2)
    refusals = [Doomed(sentence="No.", rule="larger"), NotFound(thing="object", id="pay_1")]
    for refusal in refusals:
        limits.note_refusal(world.agent, "the same", refusal)
    limits.check_call(world.agent, TOOL, same="the same")
    limits.note_refusal(world.agent, "the same", refusals[-1])
    refused_call(world.agent, same="the same")
    limits.check_call(world.agent, TOOL, same="another")
    limits.check_call(world.another_agent(), TOOL, same="the same")


def test_a_call_is_the_same_whatever_the_order_of_its_arguments() -> None:
    turned = dict(reversed(REFUND.items()))
    assert limits.fingerprint(TOOL, REFUND) == limits.fingerprint(TOOL, turned)
    assert limits.fingerprint(TOOL, REFUND) != limits.fingerprint("request_store_credit", REFUND)
    assert limits.fingerprint(TOOL, REFUND) != limits.fingerprint(TOOL, REFUND | {"amount_minor": 12901})


def test_no_argument_reaches_redis_not_even_as_a_digest_that_can_be_guessed(
    world: World, own_redis: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = limits.fingerprint(TOOL, {"order_id": "ord_10001"})
    limits.note_refusal(world.agent, same, NotFound(thing="object", id="ord_10001"))
    with redis.Redis.from_url(own_redis.url) as server:
        kept = str([(key, server.hgetall(key)) for key in server.scan_iter()])
    assert same in kept and "ord_10001" not in kept
    monkeypatch.setattr(settings, "SECRET_KEY", "another")
    assert limits.fingerprint(TOOL, {"order_id": "ord_10001"}) != same


# --- a Redis that is not there ----------------------------------------------------------------------------


@contextmanager
def stopped(server: embedded.Server) -> Iterator[None]:
    """It takes connections, and answers nothing."""
    assert server.pid
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_with_no_redis_nobody_can_count_and_that_is_told_once_a_minute(
    world: World, own_redis: embedded.Server
) -> None:
    assert own_redis.pid
    os.kill(own_redis.pid, signal.SIGKILL)
    for _ in range(3):
        with pytest.raises(LimitsUnknown) as refusal:
            limits.check_call(world.agent, TOOL)
        with world.processes.acting_as("door"):
            limits.record_limit(refusal.value, by=world.agent, wanted=TOOL, trace_id=TRACE)
    (event,) = told(world)
    assert event["data"]["code"] == "limits_unknown"


def test_a_frozen_redis_is_asked_by_one_call_a_second_and_the_others_do_not_wait_for_it(
    world: World,
    own_redis: embedded.Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(quick_redis, "SILENCE", 3600.0)
    with stopped(own_redis):
        for _ in range(50):
            with pytest.raises(LimitsUnknown):
                limits.check_call(world.agent, TOOL)
    assert [record.message for record in caplog.records] == ["Redis cannot be reached"]
    assert own_redis.url not in caplog.text


def test_when_redis_answers_again_calls_are_counted_again(
    world: World, own_redis: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_redis, "SILENCE", 0.0)
    monkeypatch.setattr(settings, "LIMIT_AGENT_CALLS_A_MINUTE", 1)
    with stopped(own_redis), pytest.raises(LimitsUnknown):
        limits.check_call(world.agent)
    limits.check_call(world.agent)
    refused_call(world.agent)
