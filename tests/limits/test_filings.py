"""Requests that wait and requests of a day: exact, and counted where no Redis can forget them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import sleep
from uuid import UUID

import psycopg
import pytest
import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone

from approvals import limits, submit
from approvals.database import tenant_scope
from approvals.errors import LimitReached, LimitsUnknown
from approvals.identity.requester import Requester
from approvals.limits import filings, sparingly
from approvals.management import embedded, roles
from approvals.models import ApprovalRequest
from tests.limits.conftest import A_DAY, CALLS, PENDING, TOOL, told
from tests.world import REFUND, TRACE, World, break_the_trail


def file_at_once(world: World, agents: list[Requester], key: str | None = None) -> list[object]:
    """Every agent in the list files one request, all at the same moment: the requests' ids and the refusals."""
    start = threading.Barrier(len(agents))

    def file(by: Requester) -> object:
        start.wait()
        try:
            return submit.submit("refund_payment", REFUND, by=by, key=key, trace_id=TRACE).request.pk
        except limits.LIMITED as refusal:
            return refusal
        finally:
            connection.close()

    with world.processes.acting_as("door"), ThreadPoolExecutor(len(agents)) as pool:
        return list(pool.map(file, agents))


def filed(world: World) -> int:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return ApprovalRequest.objects.count()


# --- requests that wait, and requests of a day ------------------------------------------------------------


@pytest.fixture
def many_doors(world: World) -> Iterator[None]:
    """As many connections as thirty threads open, beside the doors that other tests left running."""
    try:
        world.processes.allow_connections("door", 80)
        yield
    finally:
        world.processes.allow_connections("door", roles.CONNECTIONS["door"])


@pytest.mark.parametrize("name", [*PENDING, *A_DAY])
def test_thirty_at_once_at_a_limit_of_five_file_exactly_five(
    name: str, world: World, many_doors: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, name, 5)
    agents = [world.agent] * 30
    if "TENANT" in name:
        agents = [world.agent, world.another_agent(), world.another_agent()] * 10
    answers = file_at_once(world, agents)
    assert len([one for one in answers if isinstance(one, UUID)]) == filed(world) == 5


@pytest.mark.parametrize("name", [*PENDING, *A_DAY])
def test_redis_may_forget_everything_and_the_limit_of_requests_holds(
    name: str, world: World, own_redis: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, name, 1)
    world.submit()
    with redis.Redis.from_url(own_redis.url) as server:
        server.flushall()
    with pytest.raises(LimitReached):
        world.submit()
    assert filed(world) == 1


@pytest.mark.parametrize("name", PENDING)
def test_a_request_that_is_decided_or_withdrawn_makes_room(
    name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, name, 1)
    world.vote(world.submit(), "deny", "lena")
    second = world.submit()
    with pytest.raises(LimitReached, match="withdrawn makes room"):
        world.submit()
    with world.processes.acting_as("door"):
        submit.withdraw(second.pk, by=world.agent, trace_id=TRACE)
    assert world.submit().status == "pending"


@pytest.mark.parametrize("name", A_DAY)
def test_a_day_is_any_24_hours_and_coming_back_when_told_works(
    name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, name, 2)
    requests = [world.submit(), world.submit()]
    with world.processes.cursor("admin") as shell:
        for request, left in zip(requests, (3, 3600), strict=True):
            filed_at = timezone.now() - timedelta(hours=24) + timedelta(seconds=left)
            shell.execute("UPDATE approval_request SET created_at = %s WHERE id = %s", (filed_at, request.pk))
    with pytest.raises(LimitReached) as refusal:
        world.submit()
    seconds = int(str(refusal.value.details["seconds"]))
    assert 1 <= seconds <= 3
    sleep(seconds)
    world.submit()
    with pytest.raises(LimitReached) as refusal:
        world.submit()
    assert 3500 < int(str(refusal.value.details["seconds"])) <= 3600


def test_a_repeated_key_returns_the_earlier_request_at_the_limit_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LIMIT_AGENT_PENDING", 1)
    first = world.submit(key="refund-ord-10001")
    assert world.submit(key="refund-ord-10001").pk == first.pk
    with pytest.raises(LimitReached):
        world.submit(key="refund-ord-10002")


def test_calls_with_one_key_at_the_same_moment_are_one_request_at_the_limit_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LIMIT_AGENT_PENDING", 1)
    answers = file_at_once(world, [world.agent] * 6, key="refund-ord-10001")
    assert len(set(answers)) == filed(world) == 1


def test_one_agents_requests_are_not_anothers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LIMIT_AGENT_PENDING", 1)
    monkeypatch.setattr(settings, "LIMIT_TENANT_PENDING", 2)
    answers = file_at_once(world, [world.agent]) + file_at_once(world, [world.another_agent()])
    assert all(isinstance(one, UUID) for one in answers)
    (last,) = file_at_once(world, [world.another_agent()])
    assert isinstance(last, LimitReached) and "your company" in str(last)


def test_far_from_every_limit_nobody_counts_more_than_once_a_second(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*PENDING, *A_DAY):
        monkeypatch.setattr(settings, name, filings.FAR + 100)
    asked, ask = [], filings._uses

    def counted(by: Requester, *about: str) -> list[filings._Use]:
        asked.append(by)
        return ask(by, *about)

    monkeypatch.setattr(filings, "BELIEVED", 3600.0)
    monkeypatch.setattr(filings, "_uses", counted)
    for _ in range(3):
        world.submit()
    assert len(asked) == 1
    assert filed(world) == 3


def test_whoever_waits_too_long_for_a_turn_files_nothing_and_is_told_to_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LIMIT_AGENT_PENDING", 5)
    with world.processes.cursor("door") as shell:
        shell.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"filing:{world.agent.id}",))
        with pytest.raises(LimitsUnknown):
            world.submit()
    assert filed(world) == 0
    assert world.submit().status == "pending"


@pytest.mark.parametrize("most", [-1, 10**12])
def test_a_limit_below_zero_and_one_beyond_all_numbers_let_everything_in(
    most: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*CALLS, *PENDING, *A_DAY):
        monkeypatch.setattr(settings, name, most)
    limits.check_call(world.agent, TOOL)
    assert world.submit().status == "pending"


# --- what the database tells the door ---------------------------------------------------------------------

USE = "SELECT used FROM approval_request_use('refund_payment', now() - interval '1 day', %s)"


@pytest.mark.parametrize(
    ("tenant", "agent", "expected"),
    [
        ("tenant", "agent", [2, 2, 2, 2, 2, 2]),
        ("tenant", "other_agent", [0, 0, 2, 0, 0, 2]),
        ("other", "other_agent", [0, 0, 0, 0, 0, 0]),
        ("", "", [0, 0, 0, 0, 0, 0]),
    ],
)
def test_the_door_learns_numbers_of_the_tenant_and_agent_in_scope_and_no_others(
    tenant: str, agent: str, expected: list[int], world: World
) -> None:
    world.submit()
    world.submit()
    wanted = str(getattr(world, tenant).pk) if tenant else "", str(getattr(world, agent).id) if agent else ""
    with world.processes.cursor("door") as shell:
        shell.execute(
            "SELECT set_config('countersign.tenant', %s, true), set_config('countersign.agent', %s, true)",
            wanted,
        )
        shell.execute(USE, ([10] * 6,))
        assert [used for (used,) in shell.fetchall()] == expected


def test_no_number_is_larger_than_what_was_asked_for(world: World) -> None:
    world.submit()
    world.submit()
    scope = tenant_scope(world.tenant.pk, agent_id=world.agent.id)
    with world.processes.acting_as("door"), scope, connection.cursor() as cursor:
        cursor.execute(USE, [[1] * 6])
        assert cursor.fetchall() == [(1,)] * 6


def test_no_other_process_can_ask(world: World) -> None:
    """People ask too, on pages, and a worker files what they order to be undone."""
    with world.processes.cursor("sweeper") as shell, pytest.raises(psycopg.errors.InsufficientPrivilege):
        shell.execute(USE, ([1] * 6,))


# --- the trail --------------------------------------------------------------------------------------------


def test_a_loop_at_a_limit_leaves_one_event_a_minute_with_a_count(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LIMIT_AGENT_PENDING", 1)
    world.submit()
    for _ in range(5):
        with pytest.raises(LimitReached):
            world.submit()
    (event,) = told(world)
    assert event["actor"] == {"kind": "system", "id": "door"}
    assert event["data"]["agent"] == str(world.agent.id)
    assert event["data"]["wanted"] == TOOL
    assert event["data"]["code"] == "limit_reached"
    assert event["data"]["refused"] == 1
    assert world.events() == ["request.created", "limit.reached"]
    # A minute later:
    with world.processes.acting_as("door"):
        limits.tell()
    assert [event["data"]["refused"] for event in told(world)] == [1, 4]


def test_without_its_event_the_refusal_is_a_defect_that_files_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LIMIT_AGENT_PENDING", 1)
    world.submit()
    break_the_trail(monkeypatch, sparingly)
    with pytest.raises(RuntimeError, match="trail"):
        world.submit()
    assert filed(world) == 1
