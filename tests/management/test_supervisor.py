"""Processes are kept running or named, stopped in order, and never left behind."""

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from time import monotonic, sleep

import pytest

from approvals.management import supervisor
from approvals.management.children import Child, Program
from approvals.management.supervisor import DEATHS_ALLOWED, GaveUp, Supervisor
from approvals.management.terminal import Terminal
from tests.management import proc

SLEEPS = "import time; print('ready', flush=True); time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEPS


class Watching:
    """A supervisor, and what a person at its terminal sees."""

    def __init__(self, folder: Path) -> None:
        self.seen = StringIO()
        self.supervisor = Supervisor(folder, Terminal(self.seen))

    def start(self, name: str, code: str, *, grace: float = 5.0) -> Child:
        self.supervisor.start(_program(name, code, grace=grace))
        return self.supervisor[name]


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    watching = Watching(tmp_path / "log")
    yield watching
    watching.supervisor.stop()


def test_a_process_that_dies_is_started_again(watching: Watching) -> None:
    first = watching.start("web", SLEEPS).pid
    os.kill(first, signal.SIGKILL)
    _until(lambda: watching.supervisor["web"].pid != first)
    assert proc.alive({watching.supervisor["web"].pid})
    assert "web died (signal SIGKILL); starting it again" in watching.seen.getvalue()


def test_a_process_that_keeps_dying_is_named_with_its_last_lines(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.01)
    watching.start("web", SLEEPS)
    with pytest.raises(GaveUp) as gave_up:
        watching.start("door", "print('\\n'.join(f'line {n}' for n in range(100))); raise SystemExit(7)")
    assert f"door died {DEATHS_ALLOWED} times within a minute (exit code 7)" in str(gave_up.value)
    assert re.findall(r"line (\d+)", str(gave_up.value)) == [str(n) for n in range(80, 100)]
    with pytest.raises(GaveUp):
        watching.supervisor.wait()


def test_where_somebody_kills_on_purpose_more_deaths_are_allowed_and_the_pauses_stay_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE_SECONDS", 0.02)
    seen = StringIO()
    patient = Supervisor(tmp_path, Terminal(seen), deaths_allowed=2 * DEATHS_ALLOWED)
    with pytest.raises(GaveUp, match=f"web died {2 * DEATHS_ALLOWED} times within a minute"):
        patient.start(_program("web", "raise SystemExit(7)"))
    patient.stop()
    assert seen.getvalue().count("starting it again in 0.02 s") == 2 * DEATHS_ALLOWED - 2


def test_everything_is_stopped_the_last_started_first(watching: Watching) -> None:
    pids = {watching.start(name, SLEEPS).pid for name in ("database", "web", "worker")}
    watching.supervisor.stop()
    assert not proc.alive(pids)
    assert re.findall(r"stopping (\w+)", watching.seen.getvalue()) == ["worker", "web", "database"]


def test_a_process_that_does_not_listen_is_killed_after_its_grace(watching: Watching) -> None:
    deaf = watching.start("web", DEAF, grace=0.3)
    watching.supervisor.stop()
    assert deaf.exit_code == -signal.SIGKILL


def test_what_a_killed_process_had_started_ends_before_it_is_started_again(watching: Watching) -> None:
    pool = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        + SLEEPS
    )
    first = watching.start("worker", pool)
    family = proc.family(first.pid)
    assert len(family) == 2
    os.kill(first.pid, signal.SIGKILL)
    _until(lambda: watching.supervisor["worker"].pid != first.pid)
    assert proc.gone(family)


def test_a_step_that_fails_is_named_with_its_last_lines(watching: Watching) -> None:
    failing = _program("migrations", "print('no such column'); raise SystemExit(3)", says="")
    with pytest.raises(GaveUp, match=r"migrations failed \(exit code 3\).*\n.*no such column"):
        watching.supervisor.run(failing, doing="migrating")


def test_a_step_that_does_not_end_is_ended(watching: Watching) -> None:
    others = proc.family(os.getpid())
    with pytest.raises(GaveUp, match=r"migrations was not ready within 0 s"):
        watching.supervisor.run(_program("migrations", SLEEPS), doing="migrating", seconds=0.4)
    assert proc.gone(proc.family(os.getpid()) - others)


def test_warnings_reach_the_terminal_with_the_name_and_the_rest_only_the_log(watching: Watching) -> None:
    lines = [
        "INFO:     started",
        "WARNING:  disk almost full",
        '{"event": "slow", "level": "warning"}',
        '{"event": "is_error", "level": "info"}',
        "[2026-01-01 00:00:00,000: ERROR/MainProcess] lost the broker",
    ]
    child = watching.start("web", f"print({chr(10).join(lines)!r}, flush=True);" + SLEEPS)
    _until(lambda: "lost the broker" in watching.seen.getvalue())
    assert re.findall(r"^web \| (.*)$", watching.seen.getvalue(), re.MULTILINE) == [
        lines[1],
        lines[2],
        lines[4],
    ]
    assert child.last_lines()[:5] == lines


def test_each_start_has_a_line_with_its_time(watching: Watching) -> None:
    watching.supervisor.start(_program("web", SLEEPS), "on port 8000")
    assert re.match(r"  starting web \.\.\. ready in \d+\.\d s \(on port 8000\)\n", watching.seen.getvalue())


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    for turn in ("first", "second"):
        watching = Watching(tmp_path)
        watching.start("web", f"print({turn!r});" + SLEEPS)
        watching.supervisor.stop()
    assert (tmp_path / "web.log").read_text().startswith("second")
    assert (tmp_path / "web.log.1").read_text().startswith("first")


def test_a_child_ends_with_the_thread_that_started_it(tmp_path: Path) -> None:
    """As after kill -9 of a supervisor: there is nobody left to stop it, so the kernel does."""
    children: list[Child] = []
    thread = threading.Thread(
        target=lambda: children.append(Child(_program("web", DEAF), tmp_path / "web.log"))
    )
    thread.start()
    thread.join()
    assert proc.gone({children[0].pid})
    children[0].bury()


def test_a_terminal_that_was_closed_stops_nobody(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    closed = os.fdopen(writer, "w")
    blind = Supervisor(tmp_path, Terminal(closed))
    blind.start(_program("web", SLEEPS))
    pid = blind["web"].pid
    blind.stop()
    assert not proc.alive({pid})
    with suppress(BrokenPipeError):
        closed.close()


def _program(name: str, code: str, *, grace: float = 5.0, says: str = "ready") -> Program:
    return Program(
        name=name,
        argv=(sys.executable, "-c", code),
        env=dict(os.environ),
        cwd=Path("/"),
        ready=lambda child: child.said(says),
        grace=grace,
    )


def _until(holds: Callable[[], bool], within: float = 10.0) -> None:
    deadline = monotonic() + within
    while not holds():
        assert monotonic() < deadline, "it did not happen in time"
        sleep(0.02)
