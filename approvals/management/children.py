"""One child process: what it is, how it is started, how it ends, and that it never outlives its parent."""

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from approvals.management.accounts import Account

# Loaded before any fork: importing or allocating in the forked child could deadlock on another thread's lock.
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1  # prctl(2)
# Plain log lines (uvicorn), Celery's [... WARNING/MainProcess], structlog's JSON, and a traceback.
WARNINGS = re.compile(
    r'^(WARNING|ERROR|CRITICAL)\b|\b(WARNING|ERROR|CRITICAL)/|"level": ?"(warning|error|critical)"|^Traceback'
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """A process to be: its command, its surroundings, and the manners of its end.

    `ready` is asked again and again until it says yes; `grace` is how many seconds the process may take to
    end after `stop_signal`. `end_signal` ends it at once, with all that it started: when somebody hurries,
    when the grace is over, and (on Linux) when its parent dies. `warnings` picks the log lines worth showing.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cwd: Path
    ready: Callable[["Child"], bool] = lambda _: True
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    end_signal: signal.Signals = signal.SIGKILL
    grace: float = 5.0
    warnings: re.Pattern[str] = WARNINGS


class Child:
    """A running process, its session and its log. It dies with the thread that started it (on Linux)."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        account = program.account
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 the commands are ours
                program.argv,
                env=dict(program.env),
                cwd=program.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the supervisor: it stops its children in order
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                preexec_fn=_dies_with(os.getpid(), program.end_signal),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def said(self, pattern: str) -> bool:
        """Whether a line of its log matches."""
        return re.search(pattern, self.log.read_text(errors="replace"), re.MULTILINE) is not None

    def last_lines(self, count: int = 20) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()[-count:]

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Ask, wait until its grace is over or somebody hurries, then insist. Returns when it is gone."""
        if self.exit_code is None and not hurry():
            self._send(self.program.stop_signal)
            self._gone_within(self.program.grace, hurry)
        if self.exit_code is None:
            self._send(self.program.end_signal)
            self._gone_within(2.0)
        self.bury()

    def bury(self) -> None:
        """End whatever is left of its process group, such as the pool of a worker that was killed."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _send(self, number: signal.Signals) -> None:
        # Popen looks whether the process is already reaped, so a stranger with a reused pid is never hit.
        self._process.send_signal(number)

    def _gone_within(self, seconds: float, hurry: Callable[[], bool] = lambda: False) -> None:
        deadline = monotonic() + seconds
        while self.exit_code is None and not hurry() and monotonic() < deadline:
            sleep(0.02)


def _dies_with(parent: int, number: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None

    def ask_the_kernel() -> None:
        # Python calls this after it changed user: a change of credentials would clear the request.
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # the parent died before the request was in force
            os._exit(1)

    return ask_the_kernel
