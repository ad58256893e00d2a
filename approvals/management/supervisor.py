"""Starts processes in order, keeps them running, and stops them in reverse; nothing it started outlives it.

A process that dies is started again, after a pause that doubles. One that dies five times within a minute is
named with its last lines, and the whole run ends: a part that cannot stay up is a defect to see, not to hide.
"""

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from types import FrameType

from django.core.management.base import CommandError

from approvals.management.children import Child, Program
from approvals.management.disk import private_folder
from approvals.management.terminal import Terminal

READY_SECONDS = 60.0
DEATHS_ALLOWED = 5
WITHIN_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 2.0
_LAST_LINES = 20
_LONGEST_LINE = 400
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class GaveUp(CommandError):
    """A process kept dying, never became ready, or a step before it failed; its last lines say why."""


@dataclass
class _Watched:
    child: Child
    deaths: deque[float] = field(default_factory=deque)  # of the last minute
    restart_at: float | None = None
    shown: int = 0  # bytes of the log that were searched for warnings


class Supervisor:
    """The processes of one run. `logs` is the folder for their logs; `<name>.log.1` is the run before.

    `deaths_allowed` within a minute ends the run: more of them where somebody kills on purpose.
    """

    def __init__(self, logs: Path, terminal: Terminal, *, deaths_allowed: int = DEATHS_ALLOWED) -> None:
        self._logs = private_folder(logs)
        self._terminal = terminal
        self._deaths_allowed = deaths_allowed
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.Lock()
        self._failure: GaveUp | None = None
        # Plain flags, not events: a signal handler must not wait for a lock that the code under it may hold.
        self._asked_to_stop = False
        self._hurry = False
        self._raise_on_signal = False
        # The kernel ends a child with the thread that started it: this one must last until all are stopped.
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._keep_watch, name="supervisor", daemon=True)

    def __getitem__(self, name: str) -> Child:
        """The running process of this name; after a restart, the new one. Raises KeyError."""
        return self._watched[name].child

    def start(self, program: Program, remark: str = "") -> None:
        """Start it and wait until it is ready. Raises GaveUp, or KeyboardInterrupt if asked to stop."""
        with self._terminal.step(f"starting {program.name}", then="ready", remark=remark):
            watched = _Watched(Child(program, self._fresh_log(program)))
            with self._lock:
                self._watched[program.name] = watched
            if not self._watch.is_alive():
                self._watch.start()
            self._wait_for(
                program,
                lambda: watched.child.exit_code is None and program.ready(watched.child),
                READY_SECONDS,
            )

    def run(self, program: Program, *, doing: str, seconds: float = 300.0) -> None:
        """Run it to its end. Raises GaveUp when that is not a success within so many seconds."""
        with self._terminal.step(doing, then="done"):
            child = Child(program, self._fresh_log(program))
            try:
                self._wait_for(program, lambda: child.exit_code is not None, seconds)
            finally:
                child.stop(lambda: self._hurry)
            if child.exit_code:
                raise self._gave_up(child, f"{program.name} failed ({_ending(child)}).")

    def wait(self) -> None:
        """Until a signal (KeyboardInterrupt) or until a process cannot be kept running (GaveUp)."""
        while True:
            self._check()
            sleep(0.05)

    def raise_failure(self) -> None:
        """Raises GaveUp if a process could not be kept running."""
        if self._failure:
            raise self._failure

    def stop(self) -> None:
        """Stop everything, the last started first. Returns when it is gone; a signal meanwhile hurries it."""
        self._asked_to_stop, self._raise_on_signal = True, False
        with self._lock:  # a restart under way is finished first, so that it is stopped too
            running = list(reversed(self._watched.values()))
        for watched in running:
            with self._terminal.step(f"stopping {watched.child.program.name}", then="stopped"):
                watched.child.stop(lambda: self._hurry)
        self._over.set()
        if self._watch.is_alive():
            self._watch.join()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Take over SIGINT, SIGTERM, SIGHUP: the first asks to stop, the second hurries. Main thread only."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A block in which the first signal raises KeyboardInterrupt where it happens to be."""
        self._check()
        self._raise_on_signal = True
        try:
            yield
        finally:
            self._raise_on_signal = False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._hurry, self._asked_to_stop = self._asked_to_stop, True
        if self._raise_on_signal:
            self._raise_on_signal = False
            raise KeyboardInterrupt

    def _check(self) -> None:
        self.raise_failure()
        if self._asked_to_stop:
            raise KeyboardInterrupt

    def _wait_for(self, program: Program, done: Callable[[], bool], seconds: float) -> None:
        deadline = monotonic() + seconds
        while not done():
            self._check()
            if monotonic() > deadline:
                log = self._logs / f"{program.name}.log"
                raise GaveUp(f"{program.name} was not ready within {seconds:.0f} s. Its log is {log}.")
            sleep(0.02)

    def _fresh_log(self, program: Program) -> Path:
        log = self._logs / f"{program.name}.log"
        if log.exists():
            log.replace(log.with_name(f"{program.name}.log.1"))
        return log

    # --- in the watching thread ---------------------------------------------------------------------------

    def _keep_watch(self) -> None:
        while not self._over.wait(0.05):
            with self._lock:
                for watched in self._watched.values():
                    self._show_warnings(watched)
                    if not (self._asked_to_stop or self._failure):
                        self._keep_alive(watched)

    def _keep_alive(self, watched: _Watched) -> None:
        if watched.restart_at is not None:
            if monotonic() >= watched.restart_at:
                self._restart(watched)
        elif watched.child.exit_code is not None:
            self._mourn(watched)

    def _restart(self, watched: _Watched) -> None:
        watched.restart_at = None
        try:
            watched.child = Child(watched.child.program, watched.child.log)
        except OSError as error:  # its binary is gone, or there is no memory: this thread must not die of it
            self._failure = GaveUp(f"{watched.child.program.name} could not be started again: {error}")

    def _mourn(self, watched: _Watched) -> None:
        child, now = watched.child, monotonic()
        child.bury()
        watched.deaths.append(now)
        while now - watched.deaths[0] >= WITHIN_SECONDS:
            watched.deaths.popleft()
        times = len(watched.deaths)
        if times >= self._deaths_allowed:
            self._failure = self._gave_up(
                child, f"{child.program.name} died {times} times within a minute ({_ending(child)})."
            )
            return
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (times - 1), LONGEST_PAUSE_SECONDS)
        watched.restart_at = now + pause
        self._terminal.say(
            f"{child.program.name} died ({_ending(child)}); starting it again in {pause:.2g} s"
        )

    def _show_warnings(self, watched: _Watched) -> None:
        with suppress(FileNotFoundError), watched.child.log.open("rb") as log:
            log.seek(watched.shown)
            text, newline, _ = log.read().rpartition(b"\n")
            watched.shown += len(text) + len(newline)
            self._show(watched.child.program, text.decode(errors="replace").splitlines())

    def _show(self, program: Program, lines: list[str]) -> None:
        for line in lines:
            if program.warnings.search(line):
                self._terminal.say(f"{program.name} | {line[:_LONGEST_LINE]}")

    def _gave_up(self, child: Child, sentence: str) -> GaveUp:
        lines = "\n".join(f"  {line}" for line in child.last_lines(_LAST_LINES))
        return GaveUp(f"{sentence} Its last lines, from {child.log}:\n{lines}")


def _ending(child: Child) -> str:
    code = child.exit_code or 0
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
