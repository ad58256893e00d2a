"""How long a backtest of many requests takes, and how much of that is judging.

`python -m tests.bench.backtest` measures this alone; `make bench` reports it too.
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
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import psycopg
from django.conf import settings

from approvals import judge
from approvals.celery import app
from approvals.management import embedded
from approvals.models import ApprovalRequest
from approvals.payload_keys import seal
from approvals.queries import history
from policies.documents import load, shipped
from policies.simulation import Decided, Summary, backtest
from tests.bench.scene import _processes
from tests.shop.running import running
from tests.world import World, credentials_folder

SINCE = datetime(2020, 1, 1, tzinfo=UTC)
SAMPLE = 10_000  # requests that are kept in memory to time judging alone
MOST = 12_900  # cents of a refund
DRAFT = shipped().replace("args.amount_minor > 50000", "args.amount_minor > 6000")


@dataclass(frozen=True)
class Tried:
    requests: int
    changed: int
    seconds: float
    cpu: float  # seconds of this process
    judging: float  # seconds for as many requests that are in memory

    @property
    def ratio(self) -> float:
        return self.seconds / self.judging

    def __str__(self) -> str:
        return (
            f"backtest of {self.requests:,} requests: {self.seconds:.1f} s ({self.cpu:.1f} s of CPU here), "
            f"{self.ratio:.2f} times judging them alone ({self.judging:.1f} s); {self.changed:,} changed"
        )


def fill(world: World, requests: int) -> None:
    """That many decided refunds of 0.01 to 129.00 USD, copies of a real one, written past every verb."""
    first = world.vote(world.submit(), "approve", "lena")
    columns = [str(field.column) for field in ApprovalRequest._meta.concrete_fields]
    own = {
        "id": "gen_random_uuid()",
        "idempotency_key": "'bench-' || n",
        "created_at": "created_at - n * interval '10 seconds'",  # in turn, as requests are
        "amount_minor": "1 + n %% 12900",
        "arguments": "(SELECT token FROM bench_token WHERE amount = 1 + n %% 12900)",
    }
    values = ", ".join(own.get(column, column) for column in columns)
    with world.processes.cursor("admin") as shell:
        _sealed(shell, world.reload_as("web", first).arguments)
        shell.execute("ALTER TABLE approval_request DISABLE TRIGGER USER")
        shell.execute(
            f"INSERT INTO approval_request ({', '.join(columns)}) SELECT {values} FROM approval_request, "
            "generate_series(1, %s) AS n WHERE id = %s",
            (requests - 1, first.pk),
        )
        shell.connection.commit()
        shell.execute("ALTER TABLE approval_request ENABLE TRIGGER USER")
        shell.execute("ANALYZE approval_request")


def _sealed(shell: psycopg.Cursor[Any], arguments: str) -> None:
    """These arguments with each amount that is asked for, sealed as the door seals them."""
    shell.execute("CREATE TEMPORARY TABLE bench_token (amount integer PRIMARY KEY, token text)")
    with shell.copy("COPY bench_token FROM STDIN") as rows:
        for amount in range(1, MOST + 1):
            rows.write_row(
                (amount, seal(arguments.replace('"amount_minor":12900', f'"amount_minor":{amount}')))
            )


def measure(world: World, requests: int) -> Tried:
    fill(world, requests)
    with world.processes.acting_as("web"):
        current = history.in_force(world.tenant.pk)
        draft, document = load(DRAFT, judge.signatures()), judge.document_of(current)
        began, used, summary = perf_counter(), process_time(), Summary()
        for finding in backtest(
            draft, document, history.requests_decided_since(world.tenant.pk, SINCE, draft, document)
        ):
            summary.add(finding, 1)
        seconds, cpu = perf_counter() - began, process_time() - used
        sample: list[Decided] = [
            one
            for one in islice(history.requests_decided_since(world.tenant.pk, SINCE, draft, document), SAMPLE)
            if isinstance(one, Decided)
        ]
        began = perf_counter()
        for _ in backtest(draft, document, sample):
            pass
        judging = (perf_counter() - began) * summary.done / len(sample)
    if summary.not_reproduced or summary.done != requests:
        raise SystemExit(f"This was no fair measurement: {summary}")
    return Tried(summary.done, summary.changed, seconds, cpu, judging)


@contextmanager
def company() -> Iterator[World]:
    """What the scene of the door has, without the door."""
    with ExitStack() as held:
        data = held.enter_context(embedded.scratch())
        database = held.enter_context(embedded.postgres(data))
        broker = held.enter_context(embedded.valkey(data))
        shop = held.enter_context(running(data / "the-shop"))
        settings.BACKING_URL, settings.REDIS_URL, settings.CELERY_BROKER_URL = (
            shop.url,
            broker.url,
            broker.url,
        )
        app.conf.update(broker_url=broker.url)
        processes = _processes(database.url, data)
        with processes.acting_as("migrator"):
            world = World.make(processes, shop)
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        settings.BACKING_READ_CREDENTIALS = str(
            credentials_folder(folder, {world.tenant.slug: "acme"}) / "read"
        )
        yield world


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    with company() as world:
        tried = measure(world, options.requests)
    print(tried)
    print(json.dumps({"backtest": {"seconds": round(tried.seconds, 1), "ratio": round(tried.ratio, 2)}}))


if __name__ == "__main__":
    main()
