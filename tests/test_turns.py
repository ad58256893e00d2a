"""A web process works on few requests at once, whoever sends how many, and leaves the database to the others."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from time import sleep

import httpx
import psycopg
import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from approvals import switches, turns
from approvals.management import roles
from approvals.management.plan import SERVED_WITH
from approvals.turns import LANES, Lane, TurnMiddleware, lane_of
from mcp_bridge import threads
from tests.journeys.site import serving
from tests.oauth.test_headless import added
from tests.world import World
from tests.written import written

ROOT = Path(__file__).resolve().parents[1]
BURST = 150
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s"


@pytest.fixture
def site(world: World, tmp_path: Path) -> Iterator[str]:
    with serving(world, tmp_path / "web.log", LIMIT_TOKEN_FAILURES_A_MINUTE="0") as url:
        yield url


def test_a_burst_leaves_the_database_to_the_others_and_a_switch_can_be_turned(
    world: World, site: str
) -> None:
    """Attack: more wrong secrets at once than the database has connections, each of them slow to refuse."""
    agent = added(world)
    with ThreadPoolExecutor(1) as pool:
        over = Event()
        counting = pool.submit(_connections, world, over)
        answers, beside = asyncio.run(_burst(world, site, agent.client_id))
        over.set()
        seen = counting.result()
    assert sum(answers.values()) == BURST
    assert set(answers) == {401, 503}  # some were looked at, and the others told to come back
    # Of the process and of a page, meanwhile.
    assert set(beside) == {"/healthz 200", "/accounts/login/ 200"}
    assert 0 < max(seen) <= sum(lane.at_once for lane in LANES)
    assert seen[-1] == 0  # nothing is left behind


def _connections(world: World, over: Event) -> list[int]:
    """How many the web processes had open, again and again until it is over, and a moment later."""
    role, seen = f"{settings.DATABASE_ROLE_PREFIX}_web", list[int]()
    # Not in one transaction: its first look at the sessions would be its last.
    with psycopg.connect(world.processes.inside_url, autocommit=True) as looking:
        while not over.wait(0.01):
            seen += looking.execute(OPEN, [role]).fetchone() or ()
        sleep(0.5)
        seen += looking.execute(OPEN, [role]).fetchone() or ()
    return seen


async def _burst(world: World, site: str, client_id: str) -> tuple[Counter[int], Counter[str]]:
    """What the burst was answered, and what was answered beside it; a switch is turned meanwhile."""
    limits = httpx.Limits(max_connections=BURST + 10)
    async with httpx.AsyncClient(base_url=site, trust_env=False, timeout=60, limits=limits) as client:

        async def guess(number: int) -> int:
            form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": f"w{number}"}
            return (await client.post("/o/token/", data=form)).status_code

        guesses = [asyncio.create_task(guess(number)) for number in range(BURST)]
        await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED)
        turning = asyncio.create_task(asyncio.to_thread(_turn_a_switch, world))
        beside = Counter[str]()
        for path in ("/healthz", "/accounts/login/") * 4:
            beside[f"{path} {(await client.get(path)).status_code}"] += 1
        await turning
        return Counter([await one for one in guesses]), beside


def _turn_a_switch(world: World) -> None:
    """As `manage.py switch` does, on a connection that was not there before."""
    with world.processes.acting_as("migrator"):
        switch = switches.turn_on(tenant_id=world.tenant.pk, reason="A burst came.", by=None)
        switches.turn_off(switch.pk, by=None)


def test_a_role_that_is_full_does_not_take_the_connections_of_another(world: World) -> None:
    """Attack: a process that was taken over opens as many as it can."""
    urls = world.processes.urls
    with ExitStack() as held:
        for _ in range(roles.CONNECTIONS["web"]):
            held.enter_context(psycopg.connect(urls["web"]))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            psycopg.connect(urls["web"])
        for process in ("migrator", "sweeper", "worker", "door"):
            held.enter_context(psycopg.connect(urls[process]))


def test_all_roles_together_fit_and_each_process_fits_into_its_role(world: World) -> None:
    with world.processes.cursor("admin") as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
        )
        (usable,) = cursor.fetchone() or (0,)
    assert sum(roles.CONNECTIONS.values()) <= usable
    assert 2 * sum(lane.at_once for lane in LANES) <= roles.CONNECTIONS["web"]
    pools = (threads._VERBS, threads._READS, threads._IDENTITY)
    assert 3 * sum(pool._max_workers for pool in pools) <= roles.CONNECTIONS["door"]


@pytest.mark.parametrize(
    ("method", "path", "lane"),
    [
        ("GET", "/healthz", turns.HEALTH),
        ("POST", "/o/token/", turns.TOKENS),
        ("POST", "/o/register/", turns.TOKENS),
        ("POST", "/o/authorize/", turns.CONSENT),
        ("POST", "/accounts/login/", turns.SIGN_IN),
        ("GET", "/accounts/login/", turns.PAGES),
        ("POST", "/switches/on/", turns.PAGES),
    ],
)
def test_what_hashes_secrets_and_what_turns_switches_are_in_lanes_of_their_own(
    method: str, path: str, lane: Lane
) -> None:
    assert lane_of(RequestFactory().generic(method, path)) is lane


def test_who_gets_no_turn_is_told_when_to_come_back_in_one_line_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "TOKENS", lane := Lane("tokens", 1, 0))
    begun, go_on = Event(), Event()

    def slow(_request: HttpRequest) -> HttpResponse:
        begun.set()
        go_on.wait(10)
        return HttpResponse()

    page = TurnMiddleware(slow)
    request = RequestFactory().post("/o/token/")
    with ThreadPoolExecutor(1) as pool, written() as lines:
        first = pool.submit(page, request)
        assert begun.wait(10)
        for _ in range(3):
            busy = page(request)
            assert (busy.status_code, busy["Retry-After"], busy["Cache-Control"]) == (503, "2", "no-store")
            assert b'"error": "temporarily_unavailable"' in busy.content
        go_on.set()
        assert first.result().status_code == 200
        (line,) = lines("too many requests at once")
    assert (line["lane"], line["status"], line["times"]) == ("tokens", 503, 1)
    assert lane.enter()  # the turn is free again


def test_a_turn_ends_with_what_broke_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PAGES", lane := Lane("pages", 1, 0))

    def broken(_request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            TurnMiddleware(broken)(RequestFactory().get("/"))
    assert lane.enter()


def test_who_waits_too_long_gets_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.05)
    lane = Lane("pages", 1, 1)
    assert lane.enter()
    assert not lane.enter()
    lane.leave()
    assert lane.enter()


def test_the_docs_say_what_the_lanes_and_the_roles_have_and_how_it_is_served() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    for lane in LANES:
        assert f" | {lane.at_once} | {lane.waiting} |" in text
    for process, connections in roles.CONNECTIONS.items():
        assert f"| {process} | {connections} |" in text
    assert f"at most {sum(lane.at_once for lane in LANES)} open" in text
    assert f"--port PORT {' '.join(SERVED_WITH)}\n" in text
