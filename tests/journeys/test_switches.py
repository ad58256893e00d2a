"""A bad morning at a company that runs everything: an operator stops it by the page, and lets it go on."""

import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import expect

from approvals.management.development import Stack
from approvals.management.ports import any_free
from approvals.switches.reach import AGAIN_SECONDS
from tests.journeys.in_the_way import problems
from tests.journeys.live import call_at, ledger, manage, token, within
from tests.journeys.site import Site
from tests.journeys.test_pages import tab_to
from tests.mcp_bridge.hosts import running_door
from tests.switches.stops import Operators, sweep

WHY = "The refunds of this morning look wrong."
FOLLOWS = timedelta(seconds=2)
REFUND = {
    "payment_id": "pay_10001",
    "amount_minor": 12900,
    "currency": "USD",
    "reason": "The customer returned the parcel unopened.",
}


@pytest.fixture(scope="module")
def doors(live: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two processes that serve the same door."""
    log = tmp_path_factory.mktemp("second-door") / "log"
    with running_door(live.env["door"], any_free(), log) as second:
        yield live.addresses.door_url, second.url


def rows(live: Stack, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(live.env["migrator"]["DATABASE_URL"]) as shell:
        return shell.execute(query, values).fetchall()


class Browser:
    """A signed-in person at the pages."""

    def __init__(self, live: Stack, name: str) -> None:
        (person,) = [one for one in live.seed["people"] if one["email"].startswith(name)]
        self.client = httpx.Client(base_url=live.addresses.public_url, trust_env=False, follow_redirects=True)
        self.send("/accounts/login/", "/accounts/login/", login=person["email"], password=person["password"])

    def send(self, page: str, to: str, **fields: str) -> str:
        """Send the form of a page with what stands hidden in it."""
        shown = self.client.get(page).raise_for_status().text
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', shown))
        sent = self.client.post(to, data=hidden | fields, headers={"Referer": str(self.client.base_url)})
        return sent.raise_for_status().text


@contextmanager
def asking_all_the_time(live: Stack, doors: tuple[str, str]) -> Iterator[dict[str, list[bool]]]:
    """An agent files refunds at both doors, below its limit of calls a minute; whether each call was let in."""
    let_in: dict[str, list[bool]] = defaultdict(list)
    bearer, over = token(live), threading.Event()

    def ask(door: str) -> None:
        while not over.wait(0.5):
            let_in[door].append(not call_at(door, live, bearer, "request_refund", **REFUND).get("isError"))

    threads = [threading.Thread(target=ask, args=(door,)) for door in doors]
    for thread in threads:
        thread.start()
    try:
        yield let_in
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_a_stop_by_the_page_reaches_every_process_and_its_end_too(
    live: Stack, doors: tuple[str, str]
) -> None:
    bearer, opal = token(live), Browser(live, "opal")

    # Two requests of before. Everybody files on while the operator stops it.
    before = [
        call_at(doors[0], live, bearer, "request_refund", **REFUND)["structuredContent"]["request_id"]
        for _ in range(2)
    ]
    with asking_all_the_time(live, doors) as let_in:
        assert within(30, lambda: all(sum(let_in[door]) >= 2 for door in doors))
        opal.send(
            "/switches/", "/switches/on/", agent="", tool="", stops="requests", where="here", reason=WHY
        )
        time.sleep((FOLLOWS + timedelta(seconds=1)).total_seconds())
    ((turned_on_at,),) = rows(live, "SELECT turned_on_at FROM switch")
    ((last_filed_at,),) = rows(live, "SELECT max(created_at) FROM approval_request")
    assert last_filed_at <= turned_on_at + FOLLOWS
    for door in doors:
        refused = call_at(door, live, bearer, "request_refund", **REFUND)
        assert refused["isError"]
        assert refused["content"][0]["text"].startswith("[switched_off] An operator has stopped all requests")
        assert not call_at(door, live, bearer, "lookup_order", order_id="ord_10001").get("isError")
    assert not any(let_in[door][-1] for door in doors)

    # What people approve meanwhile waits.
    approved, pending = before
    page = f"/requests/{approved}/"
    shown = Browser(live, "lena").send(page, f"{page}decide/", decision="approve", comment="")
    assert "You approved this request." in shown
    held = "SELECT count(*) FROM audit_event WHERE kind = 'execution.held' AND request_id = %s"
    assert within(60, lambda: rows(live, held, approved) == [(1,)])
    frozen = "SELECT count(*) FROM approval_request WHERE frozen_at IS NOT NULL AND id = ANY(%s)"
    assert within(60, lambda: rows(live, frozen, before) == [(2,)])
    time.sleep(2 * AGAIN_SECONDS + 1)  # a worker looks again, and again
    assert ledger(live, approved) == []
    assert rows(live, held, approved) == [(1,)]
    answer = call_at(doors[1], live, bearer, "get_request_status", request_id=approved)["structuredContent"]
    assert answer["status"] == "approved"
    assert "An operator has stopped this for now" in answer["message"]

    # It goes on: the approved one is carried out once, the other has the time that it had left.
    ((given,),) = rows(live, "SELECT expires_at FROM approval_request WHERE id = %s", pending)
    ((switch,),) = rows(live, "SELECT id FROM switch WHERE turned_off_at IS NULL")
    opal.send("/switches/", f"/switches/{switch}/off/")
    done = "SELECT status FROM approval_request WHERE id = %s"
    assert within(60, lambda: rows(live, done, approved) == [("succeeded",)])
    assert len(ledger(live, approved)) == 1
    told = "SELECT text FROM audit_event WHERE kind = 'request.extended' AND request_id = %s"
    assert within(60, lambda: rows(live, told, pending))
    ((text,),) = rows(live, told, pending)
    since, until = (
        datetime.fromisoformat(json.loads(text)["data"][name]) for name in ("held_since", "held_until")
    )
    after = rows(live, "SELECT expires_at, frozen_at FROM approval_request WHERE id = %s", pending)
    assert after == [(given + (until - since), None)]
    assert turned_on_at <= since < until
    time.sleep(FOLLOWS.total_seconds())  # its end reaches a door as a stop does
    another = REFUND | {"payment_id": "pay_10004", "amount_minor": 12000, "currency": "EUR"}
    for door in doors:
        filed = call_at(door, live, bearer, "request_refund", **another)
        assert not filed.get("isError"), filed
        assert filed["structuredContent"]["status"] == "pending"


def test_an_operator_stops_something_from_another_shell(live: Stack) -> None:
    scope = ("--tenant", "acme", "--tool", "request_store_credit")
    stopped = manage(live, "switch", "on", *scope, "--reason", "A test of the credits.")
    assert stopped.returncode == 0, stopped.stderr
    assert "request_store_credit · A test of the credits." in manage(live, "switch", "list").stdout
    assert "A test of the credits." in Browser(live, "opal").client.get("/switches/").text
    assert manage(live, "switch", "off", *scope).returncode == 0
    assert "request_store_credit" not in manage(live, "switch", "list").stdout


def test_an_operator_stops_and_lets_go_on_by_keyboard_alone(site: Site) -> None:
    with site.signed_in("opal") as page:
        page.goto("/")
        tab_to(page, "Switches")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Switches")).to_be_visible()
        tab_to(page, "Reason")
        page.keyboard.type(WHY)
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Stopped.")
        expect(page.get_by_role("complementary", name="Stopped by an operator")).to_contain_text(WHY)
        tab_to(page, "Let it go on")
        page.keyboard.press("Enter")
        tab_to(page, "Yes, let it go on")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("It goes on")
        expect(page.get_by_role("complementary")).to_have_count(0)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_is_in_anybodys_way_while_something_is_stopped(site: Site, width: int) -> None:
    world, operators, found = site.world, Operators(site.world), []
    waiting, approved = world.submit(), world.vote(world.submit(), "approve", "lena")
    operators.go_on(operators.stop(tool="request_store_credit"))
    stops = [operators.stop(), operators.stop(agent_id=world.agent.agent_id, tool="request_refund")]
    sweep(world)
    pages = {"opal": ["/switches/"], "lena": ["/", f"/requests/{waiting.pk}/", f"/requests/{approved.pk}/"]}
    for who, paths in pages.items():
        with site.signed_in(who, width=width) as page:
            found += [f"{path}: {problem}" for path in paths for problem in problems(page, path)]
    for switch in stops:
        operators.go_on(switch)
    sweep(world)
    assert found == []
