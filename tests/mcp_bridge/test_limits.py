"""Limits as an agent meets them: two door processes that share a Redis, which a test may kill."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import redis
from mcp.shared.exceptions import MCPError

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.management import embedded
from approvals.management.children import Child
from approvals.management.ports import any_free
from approvals.models import ApprovalRequest
from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.hosts import LEGACY, MODERN, Host, RunningDoor, running_door
from tests.scan.scratch import scratch
from tests.world import REFUND, World

LIMITS = {
    "LIMIT_AGENT_CALLS_A_MINUTE": "60",
    "LIMIT_TOOL_CALLS_A_MINUTE": "40",
    "LIMIT_AGENT_PENDING": "5",
    "LIMIT_SAME_REFUSALS": "3",
}
SLOWEST = 10.0  # seconds; generous, but a call that waits for a frozen Redis would take longer


class Redis:
    """A Redis that a test may kill, freeze, and start again at the same address."""

    def __init__(self, data: Path) -> None:
        prepared = embedded.prepare_valkey(data, environ={})
        assert prepared.program
        self.url, self._program, self._log = prepared.url, prepared.program, data / "redis.log"
        self.start()

    def start(self) -> None:
        self._child = Child(self._program, self._log)
        deadline = monotonic() + 30
        while not self._program.ready(self._child):
            assert monotonic() < deadline, self._child.last_lines()
            sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        os.kill(self._child.pid, number)

    def stop(self) -> None:
        self.send(signal.SIGCONT)
        self._child.stop()

    def kill(self) -> None:
        self._child.bury()


@pytest.fixture(scope="module")
def counters() -> Iterator[Redis]:
    with scratch() as data:
        server = Redis(data)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module")
def two_doors(
    environment: Environment, counters: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[RunningDoor]]:
    told = environment | LIMITS | {"REDIS_URL": counters.url}
    with ExitStack() as stack:
        yield [
            stack.enter_context(running_door(told, any_free(), tmp_path_factory.mktemp("door") / "log"))
            for _ in range(2)
        ]


@pytest.fixture
def door(two_doors: list[RunningDoor], known: World) -> RunningDoor:
    return two_doors[0]


@pytest.fixture
def served_as(environment: Environment) -> str:
    """The one name that both doors answer to, wherever they listen."""
    return urlsplit(environment["DOOR_URL"]).netloc


@pytest.fixture(params=[MODERN, LEGACY])
def host(request: pytest.FixtureRequest, door: RunningDoor, token: Token, served_as: str) -> Iterator[Host]:
    with door.host(token(), request.param, Host=served_as) as connected:
        yield connected


@pytest.fixture
def both(two_doors: list[RunningDoor], token: Token, served_as: str) -> Iterator[list[Host]]:
    """The same agent, at each door."""
    with ExitStack() as stack:
        yield [stack.enter_context(door.host(token(), Host=served_as)) for door in two_doors]


def events(world: World) -> list[dict[str, Any]]:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        found = Event.objects.filter(tenant_id=world.tenant.pk, kind="limit.reached")
        return [json.loads(event.text)["data"] for event in found]


def filed(world: World) -> int:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return ApprovalRequest.objects.count()


def refusal_in_the_end(host: Host, tool: str, most: int, **arguments: object) -> tuple[int, str]:
    """How many calls were let in, and the words of the first that was not."""
    for count in range(most + 1):
        answer = host.call(tool, **arguments)
        if answer.is_error:
            return count, answer.content[0].text  # type: ignore[union-attr]
    raise AssertionError(f"{most + 1} calls were let in")


def test_two_door_processes_count_together(known: World, both: list[Host]) -> None:
    for turn in range(40):
        both[turn % 2].ask("lookup_order", order_id="ord_10001")
    for host in both:
        words = host.refusal("lookup_order", order_id="ord_10001")
        assert words.startswith("[limit_reached] This is over a limit: 40 calls of lookup_order a minute.")
    both[0].ask("list_my_requests")


def test_the_log_line_says_so_and_the_trail_once_a_minute(
    known: World, door: RunningDoor, host: Host
) -> None:
    count, _ = refusal_in_the_end(host, "list_my_requests", 40)
    assert count == 40
    trace = uuid4().hex
    meta = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    for _ in range(3):
        assert host.call("list_my_requests", meta=meta).is_error
    lines = door.logged("call", trace)
    assert [(line["authz_result"], line["is_error"]) for line in lines] == [("limit_reached", True)] * 3
    (event,) = events(known)
    assert event["wanted"] == "list_my_requests"
    assert event["agent"] == str(known.agent.agent_id)


def test_a_call_that_is_refused_counts(known: World, both: list[Host]) -> None:
    for number in range(40):
        assert both[0].refusal("lookup_order", order_id=f"ord_9{number}").startswith("[not_found]")
    assert both[0].refusal("lookup_order", order_id="ord_10001").startswith("[limit_reached]")


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("lookup_order", {"order_id": "ord_99999"}, "not_found"),
        ("request_refund", REFUND | {"amount_minor": 12901}, "doomed"),
        ("request_refund", REFUND | {"amount_minor": "12900"}, "arguments_invalid"),
        ("withdraw_request", {"request_id": str(uuid4())}, "not_found"),
    ],
)
def test_the_same_refused_call_is_slowed_down_at_every_door_and_another_is_not(
    tool: str, arguments: dict[str, Any], code: str, known: World, both: list[Host]
) -> None:
    for turn in range(3):
        assert both[turn % 2].refusal(tool, **arguments).startswith(f"[{code}]")
    for host in both:
        words = host.refusal(tool, **arguments)
        assert words.startswith("[limit_reached]") and "this very call was refused 3 times" in words
    both[1].ask("lookup_order", order_id="ord_10001")
    both[1].ask("request_refund", **REFUND)


def test_what_is_no_call_of_a_tool_counts_too(known: World, host: Host) -> None:
    """Lists, reads, and tools that do not exist."""
    with pytest.raises(MCPError) as refusal:
        [host.tools() for _ in range(61)]
    assert str(refusal.value).startswith("[limit_reached] This is over a limit: 60 calls a minute.")
    assert 1 <= refusal.value.data["retry_after_seconds"] <= 60
    with pytest.raises(MCPError, match="limit_reached"):
        host.read("agent://me")
    assert host.refusal("lookup_order", order_id="ord_10001").startswith("[limit_reached]")


def test_a_tool_that_does_not_exist_is_not_asked_for_for_ever(known: World, host: Host) -> None:
    with pytest.raises(MCPError, match="limit_reached"):
        [host.call("approve_request") for _ in range(61)]


def test_thirty_calls_at_once_at_a_limit_of_five_file_exactly_five(
    two_doors: list[RunningDoor], known: World, token: Token, served_as: str
) -> None:
    raw = token()

    def call(number: int) -> str:
        with two_doors[number % 2].host(raw, Host=served_as) as host:
            return str(host.call("request_refund", **REFUND).content)

    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(call, range(30)))
    assert filed(known) == 5
    assert len([words for words in answers if "[limit_reached]" in words]) == 25, answers


def test_when_redis_forgets_everything_pending_requests_still_count(
    known: World, counters: Redis, host: Host
) -> None:
    for _ in range(5):
        host.ask("request_refund", **REFUND)
    with redis.Redis.from_url(counters.url) as server:
        server.flushall()
    assert "5 requests of yours may wait" in host.refusal("request_refund", **REFUND)
    assert filed(known) == 5


def test_a_call_that_met_a_limit_is_let_in_as_soon_as_there_is_room(known: World, host: Host) -> None:
    """It was not wrong, so repeating it is no loop."""
    first = host.ask("request_refund", **REFUND)["request_id"]
    for _ in range(4):
        host.ask("request_refund", **REFUND)
    for _ in range(5):
        assert "5 requests of yours may wait" in host.refusal("request_refund", **REFUND)
    host.ask("withdraw_request", request_id=first)
    host.ask("request_refund", **REFUND)


def gone_on(known: World, host: Host, request_id: str) -> None:
    """Without Redis an agent looks things up and takes its requests back, and files none."""
    for call in (
        lambda: host.ask("lookup_order", order_id="ord_10001"),
        lambda: host.read("agent://me"),
        lambda: host.refusal("request_refund", **REFUND),
        lambda: host.ask("withdraw_request", request_id=request_id),
    ):
        started = monotonic()
        answer = call()
        assert monotonic() - started < SLOWEST, answer
    assert host.refusal("request_refund", **REFUND).startswith("[limits_unknown]")
    assert filed(known) == 1


def back_again(host: Host) -> None:
    deadline = monotonic() + 30
    while (answer := host.call("request_refund", **REFUND)).is_error:
        assert monotonic() < deadline, answer
        sleep(0.1)


def test_with_redis_killed_look_ups_go_on_and_no_request_is_taken(
    known: World, counters: Redis, host: Host
) -> None:
    request_id = host.ask("request_refund", **REFUND)["request_id"]
    counters.kill()
    try:
        gone_on(known, host, request_id)
    finally:
        counters.start()
    back_again(host)
    (event,) = events(known)
    assert event["code"] == "limits_unknown"


def test_with_redis_frozen_look_ups_go_on_and_no_request_is_taken(
    known: World, counters: Redis, host: Host
) -> None:
    request_id = host.ask("request_refund", **REFUND)["request_id"]
    counters.send(signal.SIGSTOP)
    try:
        gone_on(known, host, request_id)
    finally:
        counters.send(signal.SIGCONT)
    back_again(host)
