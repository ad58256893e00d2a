"""`make bench-scale`: how pages answer that show a little of very much, each through the function that its page calls.

A million events of 200,000 requests are written, a fifth of them of one company, and searched by its auditor; then more
requests come, up to a million, and its reviewers' queue and the other pages are read. All of it as the web process.

Prints a table (milliseconds: the middle, the slowest twentieth, and the CPU of page and database together) and one JSON
object as the last line. The aim is 50 ms. It is reported and not asserted: the machine may be busy with something else,
which the CPU does not show.
"""

import os
from uuid import uuid4

# Before Django reads its settings.
os.environ.update(
    COUNTERSIGN_ENV="test",
    COUNTERSIGN_PROCESS="supervisor",
    DATABASE_ROLE_PREFIX=os.environ.get("DATABASE_ROLE_PREFIX", f"countersign_bench_{uuid4().hex[:8]}"),
    DJANGO_SETTINGS_MODULE="approvals.settings",
)

import django

django.setup()

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from approvals.database import tenant_scope
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest
from approvals.queries import (
    Filters,
    Page,
    Sought,
    Wanted,
    agents_in,
    decided,
    how_we_decide,
    in_doubt,
    queue,
    request_view,
    requests_page,
    search,
    spent,
    stopped,
    tallies,
    tenant_trail,
    timeline,
    went_on,
)
from approvals.queries.dashboard import dashboard
from approvals.queries.looked import who_looked
from approvals.queries.people import people
from approvals.queries.period import Period
from approvals.queries.tools import tools
from tests.bench.backtest import company
from tests.bench.filling import EVENTS, Filled, fill, more_requests
from tests.world import World

AIM = 50.0  # milliseconds
DEEP = 3  # pages on


@dataclass(frozen=True)
class Timed:
    """One page, so many times. In milliseconds; `cpu` is the middle one's, None where the system does not tell."""

    median: float
    p95: float
    cpu: float | None

    @property
    def is_in_aim(self) -> bool:
        return self.median <= AIM

    @property
    def is_by_its_cpu(self) -> bool:
        """What it would be if nothing else ran here, and everything was in memory."""
        return self.cpu is not None and self.cpu <= AIM


Read = Callable[[], object]


def searches(of: Filled) -> dict[str, Wanted]:
    """Each filter alone, common and rare, and some of them together."""
    now = timezone.now()
    busy, common = UUID(of.busy_person), UUID(of.common_agent)
    retired = UUID(of.retired_agent)
    return {
        "everything": Wanted(),
        "a busy person": Wanted(person_id=busy),
        "a person without an event": Wanted(person_id=UUID(of.idle_person)),
        "an agent that asks for a fifth": Wanted(agent_id=common),
        "an agent retired long ago": Wanted(agent_id=retired),
        "an action of six in ten": Wanted(action="refund_payment"),
        "an action of one in a hundred": Wanted(action="issue_store_credit"),
        "an action of none": Wanted(action="unheard_of"),
        "a thing": Wanted(resource="thing_10000"),
        "an amount that most have": Wanted(least=100, currency="USD"),
        "an amount of few": Wanted(least=480_000, currency="USD"),
        "a day of last year": Wanted(since=now - timedelta(days=500), until=now - timedelta(days=499)),
        "succeeded": Wanted(status="succeeded"),
        "failed": Wanted(status="failed"),
        "uncertain": Wanted(status="uncertain"),
        "votes": Wanted(kind="vote.cast"),
        "broken glasses": Wanted(kind="request.break_glass"),
        "a word that all have": Wanted(words="refund"),
        "a word of one text in four": Wanted(words="parcel"),
        "a word of a few texts": Wanted(words="needle"),
        "a word of none": Wanted(words="unheard"),
        "a word that only old texts have": Wanted(words="bygone"),
        "two words": Wanted(words="bygone parcel"),
        "a name": Wanted(words="reviewer 31"),
        "a person and a kind": Wanted(person_id=busy, kind="request.break_glass"),
        "a person and an action": Wanted(person_id=busy, action="issue_store_credit"),
        "a retired agent that failed": Wanted(agent_id=retired, status="failed"),
        "a thing and a common word": Wanted(resource="thing_10000", words="refund"),
        "an idle person and a common word": Wanted(person_id=UUID(of.idle_person), words="refund"),
        "failed, over an amount, last year": Wanted(
            status="failed", least=200_000, currency="USD", until=now - timedelta(days=300)
        ),
        "a retired agent and a common word": Wanted(agent_id=retired, words="parcel"),
        "a common action and an old word": Wanted(action="cancel_order", words="bygone"),
        "a common action, and a word it never has": Wanted(action="cancel_order", words="card"),
    }


def pages_of(read: Callable[[str], Page[Any]]) -> Iterator[tuple[str, Read]]:
    """The first page of a list, and one further on where there is one."""
    yield "first", lambda: read("")
    after, further = "", 0
    while further < DEEP and (found := read(after).next):
        after, further = found, further + 1
    if further:
        yield "later", lambda: read(after)


def measure(read: Read, times: int) -> Timed:
    read()  # the plan, the pages in memory
    told, used = [], []
    for _ in range(times):
        before, began = _cpu(), perf_counter()
        read()
        told.append((perf_counter() - began) * 1000)
        used.append(_cpu() - before)
    cpu = median(used)
    return Timed(median(told), quantiles(told, n=20)[-1], cpu or None)


def _cpu() -> float:
    """Milliseconds of this process and of its backend; 0 where the system does not tell that of another process."""
    with suppress(OSError):
        pid = connection.connection.info.backend_pid
        return process_time() * 1000 + int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6
    return 0.0


def searched(by: Reviewer, of: Filled, times: int) -> Iterator[tuple[str, Timed]]:
    for name, wanted in searches(of).items():

        def read(after: str, wanted: Wanted = wanted) -> Page[Any]:
            return search(by, wanted, after=after).page

        for page, one in pages_of(read):
            yield f"search: {name}, {page} page", measure(one, times)


def _queue(by: Reviewer, wanted: Filters) -> Callable[[str], Page[Any]]:
    return lambda after: queue(by, wanted=wanted, after=after)


def _browser(world: World, path: str) -> Read:
    """All that the web process does for one page: session, walls, queries, template."""
    client = Client(headers={"host": urlsplit(settings.PUBLIC_URL).netloc})
    client.force_login(world.people["lena"])

    def read() -> None:
        assert client.get(path).status_code == 200, path

    return read


def shown(world: World, of: Filled, times: int) -> Iterator[tuple[str, Timed]]:
    """The other pages, at as many requests as there are."""
    lena, ada, opal = (world.reviewer(name) for name in ("lena", "ada", "opal"))
    with tenant_scope(world.tenant.pk):
        waiting = ApprovalRequest.objects.filter(tenant_id=world.tenant.pk, status="pending").only("id")[0].pk
    queues = {
        "the queue": Filters(),
        "the queue by deadline": Filters(by_deadline=True),
        "the queue, of a risk": Filters(risk="medium"),
        "the queue, of an action": Filters(action="issue_store_credit"),
        "the queue, of an agent": Filters(agent_id=UUID(of.common_agent)),
        "the queue, of a thing": Filters(thing="thing_10000"),
        "the queue, what I can approve": Filters(mine=True),
    }
    lists: dict[str, Callable[[str], Page[Any]]] = {
        **{name: _queue(lena, wanted) for name, wanted in queues.items()},
        "requests over the API": lambda after: requests_page(ada, Sought(), after=after),
        "who looked": lambda after: who_looked(ada, after=after),
        "the trail": lambda after: tenant_trail(ada, after=after),
        "my decisions": lambda after: decided(lena, after=after),
        "programs": lambda after: agents_in(opal, after=after),
        "budgets": lambda after: spent(opal, after=after),
        "switches turned off": lambda after: went_on(opal, after=after),
    }
    for name, read in lists.items():
        for page, one in pages_of(read):
            yield f"{name}, {page} page", measure(one, times)
    yield "the queue, how many wait", measure(lambda: tallies(lena), times)
    yield "in doubt", measure(lambda: in_doubt(opal), times)
    for name, path in (("the queue", "/"), ("a request", f"/requests/{waiting}/")):
        yield f"{name}, from the browser's question to the whole page", measure(_browser(world, path), times)
    yield "a request", measure(lambda: request_view(waiting, lena), times)
    yield "a request's trail", measure(lambda: timeline(waiting, ada), times)
    for days in (7, 90):
        yield f"how we decide, {days} days", measure(lambda days=days: how_we_decide(ada, days=days), times)  # type: ignore[misc]
    today = timezone.now().date()
    for days in (7, 30, 90, 366):
        period = Period(today - timedelta(days=days - 1), today)
        yield f"operations, {days} days", measure(lambda period=period: dashboard(opal, period), times)  # type: ignore[misc]
    yield "tools", measure(lambda: tools(opal), times)
    yield "people", measure(lambda: people(opal), times)
    yield "switches that are on", measure(lambda: stopped(opal), times)


def row(name: str, one: Timed) -> str:
    cpu = f"{one.cpu:>8.1f}" if one.cpu else f"{'-':>8}"
    over = "" if one.is_in_aim else "  over, by waiting" if one.is_by_its_cpu else "  over the aim"
    return f"{name:62}{one.median:>9.1f}{one.p95:>8.1f}{cpu}{over}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=1_000_000, help="for the queue (default: 1000000)")
    parser.add_argument("--times", type=int, default=20, help="that each page is read (default: 20)")
    options = parser.parse_args()
    began = perf_counter()

    def tell(words: str) -> None:
        print(f"{perf_counter() - began:5.0f} s  {words}", file=sys.stderr, flush=True)

    found: dict[str, Timed] = {}

    def keep(told: Iterator[tuple[str, Timed]]) -> None:
        for name, one in told:
            found[name] = one
            print(row(name, one), flush=True)

    with company() as world:
        of = fill(world, options.events // EVENTS, tell=tell)
        print(f"{f'{options.events:,} events':62}{'median ms':>9}{'p95':>8}{'CPU':>8}")
        with world.processes.acting_as("web"):
            keep(searched(world.reviewer("ada"), of, options.times))
        more_requests(world, of, options.requests, tell=tell)
        print(f"{f'{options.requests:,} requests':62}{'median ms':>9}{'p95':>8}{'CPU':>8}")
        with world.processes.acting_as("web"):
            keep(shown(world, of, options.times))
    figures = {
        name: {
            "median_ms": round(one.median, 1),
            "p95_ms": round(one.p95, 1),
            "cpu_ms": one.cpu and round(one.cpu, 1),
        }
        for name, one in found.items()
    }
    over = [name for name, one in found.items() if not one.is_in_aim]
    by_cpu = [name for name in over if not found[name].is_by_its_cpu]
    told = {"events": options.events, "requests": options.requests, "at": f"{timezone.now():%Y-%m-%d}"}
    aim = {"aim_ms": AIM, "aim_held": not over, "over": over, "over_by_cpu": by_cpu}
    print(json.dumps(told | aim | {"figures": figures}))


if __name__ == "__main__":
    main()
