"""Ctrl-C, kill -9 and taken ports: a run in a process of its own, treated as people and machines treat it."""

import re
import signal
import socket
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from approvals.management import embedded
from tests.management import proc
from tests.management.conftest import Run

ORDER = ["sweeper", "worker", "door", "web", "shop", "broker", "database"]


def test_ctrl_c_stops_everything_in_order_and_leaves_nothing(run: type[Run], data: Path) -> None:
    started = run(data)  # type: ignore[call-arg]
    lines = started.until("all started")
    family = proc.family(started.process.pid)
    assert re.findall(r"(?:starting )?(\w+) \.\.\. \S+ in \d+\.\d s", "".join(lines)) == [
        "database", "broker", "migrating", "seeding", "shop", "web", "door", "worker", "sweeper",
    ]  # fmt: skip
    code, said = started.end(signal.SIGINT)
    assert code == 0
    assert re.findall(r"stopping (\w+)", said) == ORDER
    assert said.endswith("all stopped\n")
    assert proc.gone(family)


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_hurries_and_leaves_nothing(run: type[Run], data: Path, second: signal.Signals) -> None:
    started = run(data)  # type: ignore[call-arg]
    started.until("all started")
    family = proc.family(started.process.pid)
    started.process.send_signal(signal.SIGINT)
    started.process.send_signal(second)
    code, said = started.end(second)
    assert code == 0, said
    assert proc.gone(family)


def test_ctrl_c_while_it_starts_leaves_nothing(run: type[Run], data: Path) -> None:
    started = run(data)  # type: ignore[call-arg]
    started.until("broker ...")
    family = proc.family(started.process.pid)
    code, said = started.end(signal.SIGINT)
    assert code == 0
    assert "all started" not in said
    assert proc.gone(family)


def test_kill_9_leaves_nothing_and_the_next_run_starts(run: type[Run], data: Path) -> None:
    first = run(data)  # type: ignore[call-arg]
    first.until("all started")
    family = proc.family(first.process.pid)
    assert len(family) > len(ORDER)
    first.process.kill()
    first.process.wait()
    second = run(data)  # type: ignore[call-arg]
    second.until("all started")
    assert proc.gone(family)
    assert second.end()[0] == 0


def test_with_the_standard_ports_taken_others_are_used(run: type[Run], data: Path) -> None:
    with _taken(8000, 8001, 8002):
        started = run(data)  # type: ignore[call-arg]
        ports = set(started.until("all started")[-1].split()[-3:])
        assert len(ports) == 3
        assert not ports & {"8000", "8001", "8002"}
        assert started.end()[0] == 0


def test_a_port_that_was_asked_for_and_is_taken_is_refused_by_name(run: type[Run], data: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        started = run(data, COUNTERSIGN_WEB_PORT=str(port))  # type: ignore[call-arg]
        started.until(f"COUNTERSIGN_WEB_PORT asks for port {port}, which is taken")
        assert started.process.wait() == 1


def test_two_runs_started_at_once_do_not_take_each_others_ports(run: type[Run], data: Path) -> None:
    with embedded.scratch() as other:
        both = [run(data), run(other)]  # type: ignore[call-arg]
        ports = [port for started in both for port in started.until("all started")[-1].split()[-3:]]
        assert len(set(ports)) == 6
        for started in both:
            assert started.end()[0] == 0


def _taken(*ports: int) -> "closing[ExitStack]":
    held = ExitStack()
    for port in ports:
        # Somebody else on this machine may have it already: that is as good.
        try:
            held.enter_context(closing(socket.create_server(("127.0.0.1", port))))
        except OSError:
            continue
    return closing(held)
