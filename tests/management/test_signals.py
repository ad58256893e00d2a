"""Ctrl-C, kill -9 and a neighbour: a run in a process of its own, treated as people and machines treat it.

The runs follow each other in one data folder, as they do for a person: each finds what the last one left.
"""

import re
import signal
from pathlib import Path

import psycopg

from approvals.management import embedded
from tests.management import proc
from tests.management.conftest import Run
from tests.scan.scratch import scratch

ORDER = ["sweeper", "worker", "door", "web", "shop", "broker", "database"]


def test_ctrl_c_stops_everything_in_order_and_leaves_nothing(run: type[Run], module_data: Path) -> None:
    started = run(module_data)  # type: ignore[call-arg]
    lines = started.until("all started")
    family = proc.family(started.process.pid)
    assert re.findall(r"(\w+) \.\.\. (?:✓ )?(?:ready|done) in \d+\.\d s", "".join(lines)) == [
        "database", "broker", "migrating", "seeding", "shop", "web", "door", "worker", "sweeper",
    ]  # fmt: skip
    code, said = started.end(signal.SIGINT)
    assert code == 0
    assert not list((module_data / "run").glob("*.env"))
    assert re.findall(r"stopping (\w+)", said) == ORDER
    assert said.endswith("all stopped\n")
    assert proc.gone(family)


def test_a_second_ctrl_c_hurries_and_leaves_nothing(run: type[Run], module_data: Path) -> None:
    started = run(module_data)  # type: ignore[call-arg]
    started.until("all started")
    family = proc.family(started.process.pid)
    started.process.send_signal(signal.SIGINT)
    started.until("stopping worker")
    code, said = started.end(signal.SIGINT)
    assert code == 0, said
    assert proc.gone(family)


def test_ctrl_c_while_it_starts_leaves_nothing(run: type[Run], module_data: Path) -> None:
    started = run(module_data)  # type: ignore[call-arg]
    started.until("broker ...")
    family = proc.family(started.process.pid)
    code, said = started.end(signal.SIGINT)
    assert code == 0
    assert "all started" not in said
    assert proc.gone(family)


def test_kill_9_leaves_nothing_and_the_next_run_starts(run: type[Run], module_data: Path) -> None:
    first = run(module_data)  # type: ignore[call-arg]
    first.until("all started")
    family = proc.family(first.process.pid)
    assert len(family) > len(ORDER)
    first.process.kill()
    first.process.wait()
    second = run(module_data)  # type: ignore[call-arg]
    second.until("all started")
    family |= proc.family(second.process.pid)
    second.process.kill()
    second.process.wait()
    assert proc.gone(family)


def test_two_runs_started_at_once_work_beside_each_other(run: type[Run], data: Path) -> None:
    """One of them on a database server that is not its own, with names that are."""
    with (
        scratch() as theirs,
        scratch() as elsewhere,
        embedded.postgres(elsewhere) as server,
    ):
        both = [run(data), run(theirs, DATABASE_URL=server.url)]  # type: ignore[call-arg]
        ports = [port for started in both for port in started.until("all started")[-1].split()[-3:]]
        assert len(set(ports)) == 6
        told = dict(line.split("=", 1) for line in (theirs / "run" / "door.env").read_text().splitlines())
        prefix = told["DATABASE_ROLE_PREFIX"]
        assert prefix.startswith("countersign_")
        with psycopg.connect(told["DATABASE_URL"]) as connection:
            who = connection.execute("SELECT current_user::text, current_database()::text").fetchone()
        assert who == (f"{prefix}_door", prefix)
        for started, number in zip(both, (signal.SIGTERM, signal.SIGHUP), strict=True):
            started.process.send_signal(number)
        assert [started.process.wait() for started in both] == [0, 0]
