"""What a person sees while things start and run: one line a step, and warnings that do not cut it in two."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import RLock
from time import monotonic
from typing import TextIO


class Terminal:
    """Lines for people, from any thread. Quiet: none. A terminal that was closed is no reason to fail."""

    def __init__(self, output: TextIO | None = None, *, quiet: bool = False) -> None:
        self._output = None if quiet else output or sys.stdout
        self._lock = RLock()
        self._open_step = ""

    @contextmanager
    def step(self, doing: str, *, then: str, remark: str = "") -> Iterator[None]:
        """`doing ... ✓ then in 0.8 s (remark)`: the first half at once, the rest when the block ends well."""
        began = monotonic()
        self._write(f"  {doing} ... ", leaves_open=doing)
        try:
            yield
        except BaseException:
            self._finish(doing, "not done")
            raise
        bracket = f" ({remark})" if remark else ""
        self._finish(doing, f"{self._tick()}{then} in {monotonic() - began:.1f} s{bracket}")

    def say(self, text: str) -> None:
        with self._lock:
            newline = "\n" if self._open_step else ""
            self._write(f"{newline}{text}\n")

    def _finish(self, doing: str, outcome: str) -> None:
        with self._lock:
            again = "" if self._open_step == doing else f"  {doing} ... "
            self._write(f"{again}{outcome}\n")

    def _tick(self) -> str:
        with suppress(UnicodeEncodeError, LookupError):
            "✓".encode(getattr(self._output, "encoding", None) or "ascii")
            return "✓ "
        return ""

    def _write(self, text: str, *, leaves_open: str = "") -> None:
        with self._lock:
            self._open_step = leaves_open
            if self._output is None:
                return
            encoding = getattr(self._output, "encoding", None) or "ascii"
            # A log line may hold anything; a terminal that hung up must not stop the stopping.
            with suppress(OSError, ValueError):
                self._output.write(text.encode(encoding, "replace").decode(encoding))
                self._output.flush()
