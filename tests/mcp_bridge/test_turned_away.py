"""Who is turned away at the door leaves one log line each, and one event a minute for all of them."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from django.conf import settings
from django.utils import timezone

from approvals.audit.events import INSTALLATION
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.management.ports import any_free
from mcp_bridge import tally as tallying
from mcp_bridge.tally import MOST_AGENTS, Tally
from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.hosts import RunningDoor, running_door
from tests.mcp_bridge.sending import CALL, JSON, PARENT, bearer
from tests.world import World, break_the_trail

FLOOD = 2_000


def turned_away(world: World, tenant_id: UUID) -> list[dict[str, Any]]:
    """The events on one trail, oldest first."""
    with world.processes.acting_as("web"), tenant_scope(tenant_id):
        found = Event.objects.filter(tenant_id=tenant_id, kind="access.turned_away").order_by("at")
        return [json.loads(event.text) for event in found]


def counted(*events: dict[str, Any]) -> dict[str, int]:
    """The number of refusals by status and reason, over all these events."""
    total: Counter[str] = Counter()
    for event in events:
        total.update({reason: times for reason, times in event["data"].items() if reason[0].isdigit()})
    return total


@contextmanager
def own_door(environment: Environment, log: Path) -> Iterator[RunningDoor]:
    """A door that nobody else knocks at; its end is the end of a minute."""
    port = any_free()
    with running_door(environment | {"DOOR_URL": f"http://127.0.0.1:{port}/mcp"}, port, log) as door:
        yield door


# --- one log line each ------------------------------------------------------------------------------------


def wrong_method(door: RunningDoor, trace: dict[str, str], _: str) -> httpx.Response:
    return door.send("GET", headers=trace)


def foreign_page(door: RunningDoor, trace: dict[str, str], _: str) -> httpx.Response:
    return door.send(json=CALL, headers=JSON | trace | {"Origin": "https://evil.example"})


def other_name(door: RunningDoor, trace: dict[str, str], _: str) -> httpx.Response:
    return door.send(json=CALL, headers=JSON | trace | {"Host": "evil.example"})


def no_token(door: RunningDoor, trace: dict[str, str], _: str) -> httpx.Response:
    return door.send(json=CALL, headers=JSON | trace)


def other_type(door: RunningDoor, trace: dict[str, str], _: str) -> httpx.Response:
    return door.send(content=b"x", headers=trace | {"Content-Type": "text/plain"})


def accepts_nothing(door: RunningDoor, trace: dict[str, str], _: str) -> httpx.Response:
    return door.send(json=CALL, headers=JSON | trace | {"Accept": "text/html"})


def too_long(door: RunningDoor, trace: dict[str, str], token: str) -> httpx.Response:
    return door.send(content=b"x" * (4 * 1024 * 1024 + 1), headers=bearer(token) | trace)


def no_json(door: RunningDoor, trace: dict[str, str], token: str) -> httpx.Response:
    return door.send(content=b"{", headers=bearer(token) | trace)


def contradiction(door: RunningDoor, trace: dict[str, str], token: str) -> httpx.Response:
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "ping"}
    return door.send(json=CALL, headers=bearer(token) | trace | headers)


def nowhere(door: RunningDoor, trace: dict[str, str], _: str) -> httpx.Response:
    return door.send(path="/admin", params={"access_token": "secret-in-the-url"}, headers=trace)


@pytest.mark.parametrize(
    ("knock", "status", "because"),
    [
        (wrong_method, 405, "method"),
        (foreign_page, 403, "origin"),
        (other_name, 421, "host"),
        (no_token, 401, "missing"),
        (other_type, 415, "content_type"),
        (accepts_nothing, 406, "accept"),
        (too_long, 413, "size"),
        (no_json, 400, "json"),
        (contradiction, 400, "protocol"),
        (nowhere, 404, "path"),
    ],
)
def test_each_refusal_is_one_log_line_with_its_reason_and_no_secret(
    knock: Callable[..., httpx.Response], status: int, because: str, door: RunningDoor, token: Token
) -> None:
    trace, sent = uuid4().hex, token()
    answer = knock(door, {"traceparent": PARENT.format(trace)}, sent)
    assert answer.status_code == status
    (line,) = door.logged("refused at the door", trace)
    assert (line["status"], line["because"], line["authz_result"]) == (status, because, "deny")
    assert line["path"] == ("unknown" if knock is nowhere else "/mcp")
    assert door.logged("call", trace) == []
    log = door.log_file.read_text()
    assert sent not in log and "secret-in-the-url" not in log


def test_a_call_that_arrived_is_no_refusal_whatever_its_status_is(door: RunningDoor, token: Token) -> None:
    trace = uuid4().hex
    message = CALL | {"method": "resources/read", "params": {"uri": "customer://cus_99999"}}
    assert (
        "error" in door.send(json=message, headers=bearer(token(), traceparent=PARENT.format(trace))).json()
    )
    assert len(door.logged("call", trace)) == 1
    assert door.logged("refused at the door", trace) == []


def test_a_traceparent_that_is_there_twice_is_none(door: RunningDoor) -> None:
    first, second = uuid4().hex, uuid4().hex
    traces = [("traceparent", PARENT.format(trace)) for trace in (first, second)]
    assert door.send(json=CALL, headers=[*JSON.items(), *traces]).status_code == 401
    assert door.logged("refused at the door", first) == door.logged("refused at the door", second) == []


# --- one event a minute -----------------------------------------------------------------------------------


def test_a_flood_of_refusals_does_not_grow_the_trail(
    environment: Environment, known: World, tmp_path: Path
) -> None:
    before = len(turned_away(known, INSTALLATION))
    began = timezone.now()
    with own_door(environment, tmp_path / "log") as door:
        address = door.url.removesuffix("/mcp")
        with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
            for _ in range(FLOOD // 2):
                assert client.post("/mcp", json=CALL, headers=JSON).status_code == 401
                assert client.post("/mcp", json=CALL, headers=bearer("made-up")).status_code == 401
    minutes = (timezone.now() - began).total_seconds() // 60
    events = turned_away(known, INSTALLATION)[before:]
    # The door that the other tests share may have told of its own minute meanwhile.
    assert len(events) <= 2 * (1 + minutes)
    told = counted(*events)
    assert all(FLOOD // 2 <= told[reason] < FLOOD for reason in ("401 missing", "401 unknown"))
    assert {(event["actor"]["kind"], event["actor"]["id"]) for event in events} == {("system", "door")}


def test_an_agent_that_is_known_is_counted_on_its_own_companys_trail(
    environment: Environment, token: Token, known: World, tmp_path: Path
) -> None:
    expired = token(expires=timezone.now())
    with own_door(environment, tmp_path / "log") as door:
        good = token(resource=[door.url], scope="mcp:read")
        for _ in range(3):
            assert door.send(json=CALL, headers=bearer(expired)).status_code == 401
        assert door.send(content=b"{", headers=bearer(good)).status_code == 400
        ask = CALL | {"params": {"name": "withdraw_request", "arguments": {}}}
        assert door.send(json=ask, headers=bearer(good)).status_code == 403
    (event,) = turned_away(known, known.tenant.pk)
    assert counted(event) == {"401 expired": 3, "400 json": 1, "403 scope": 1}
    assert event["data"]["agents"] == [[str(known.agent.agent_id), 5]]
    assert turned_away(known, known.other.pk) == []
    # Other tests' doors write there too, but never of somebody who is known.
    assert {"401 expired", "403 scope"}.isdisjoint(
        reason for event in turned_away(known, INSTALLATION) for reason in counted(event)
    )


@pytest.fixture
def tally(known: World) -> Iterator[Tally]:
    with known.processes.acting_as("door"):
        yield Tally()


def test_what_cannot_be_written_goes_with_the_next_minute(
    tally: Tally, known: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally.add("401 expired", tenant_id=known.tenant.pk, agent_id=known.agent.agent_id)
    with monkeypatch.context() as broken:
        break_the_trail(broken, tallying)
        asyncio.run(tally.write())
    assert turned_away(known, known.tenant.pk) == []
    tally.add("401 expired", tenant_id=known.tenant.pk, agent_id=known.agent.agent_id)
    asyncio.run(tally.write())
    asyncio.run(tally.write())
    (event,) = turned_away(known, known.tenant.pk)
    assert counted(event) == {"401 expired": 2}
    assert event["data"]["agents"] == [[str(known.agent.agent_id), 2]]


def test_a_door_without_its_database_turns_away_and_loses_no_count(
    environment: Environment, token: Token, known: World, tmp_path: Path
) -> None:
    """Its connections are cut and it may not come back; what it counts meanwhile is written once it may."""
    role = f"{settings.DATABASE_ROLE_PREFIX}_door"
    before = len(turned_away(known, INSTALLATION))
    sent = token()
    with own_door(environment, tmp_path / "log") as door:
        assert door.send(json=CALL, headers=JSON).status_code == 401
        with known.processes.cursor("admin") as shell:
            shell.execute(f'ALTER ROLE "{role}" NOLOGIN')
            shell.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (role,)
            )
        try:
            answer = door.send(json=CALL, headers=bearer(sent))
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
            assert "psycopg" not in answer.text and "Traceback" not in answer.text
            assert door.send(json=CALL, headers=JSON).status_code == 401
        finally:
            with known.processes.cursor("admin") as shell:
                shell.execute(f'ALTER ROLE "{role}" LOGIN')
    events = turned_away(known, INSTALLATION)[before:]
    # The minute of the door that other tests share may end in these seconds: its event is another one.
    told = [counted(*events), *(counted(event) for event in events)]
    assert {"401 missing": 2, "503 unchecked": 1} in told, told


def test_a_count_stays_small_however_many_agents_are_behind_it(tally: Tally, known: World) -> None:
    for _ in range(MOST_AGENTS + 5):
        agent = uuid4()
        for _ in range(2):
            tally.add("401 expired", tenant_id=known.tenant.pk, agent_id=agent)
    asyncio.run(tally.write())
    (event,) = turned_away(known, known.tenant.pk)
    assert counted(event) == {"401 expired": 2 * (MOST_AGENTS + 5)}
    assert [times for _, times in event["data"]["agents"]] == [2] * MOST_AGENTS
    assert event["data"]["other_agents"] == 10


def test_a_minute_without_refusals_leaves_nothing(tally: Tally, known: World) -> None:
    asyncio.run(tally.write())
    assert turned_away(known, known.tenant.pk) == []


def test_it_is_written_each_minute_and_at_the_end(
    tally: Tally, known: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallying, "EVERY_SECONDS", 0.05)

    async def serve() -> None:
        async with tally.kept():
            tally.add("401 missing", tenant_id=known.tenant.pk)
            while not await asyncio.to_thread(turned_away_in_thread):
                await asyncio.sleep(0.02)
            monkeypatch.setattr(tallying, "EVERY_SECONDS", 3600.0)
            await asyncio.sleep(0.1)
            tally.add("401 missing", tenant_id=known.tenant.pk)

    def turned_away_in_thread() -> bool:
        with known.processes.cursor("admin") as shell:
            shell.execute("SELECT 1 FROM audit_event WHERE tenant_id = %s", (known.tenant.pk,))
            return shell.fetchone() is not None

    asyncio.run(serve())
    assert [counted(event) for event in turned_away(known, known.tenant.pk)] == [
        {"401 missing": 1},
        {"401 missing": 1},
    ]
