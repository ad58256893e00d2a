"""How far something long has come: a bar on a terminal, and a line now and then where nobody watches one."""

from time import monotonic
from typing import Any

WIDTH = 30
EVERY = 0.1  # seconds between two pictures of the bar
STEPS = 10  # lines, where there is no terminal


class Bar:
    """`show(done)` as often as you like; `close()` at the end leaves the terminal as it was."""

    def __init__(self, total: int, output: Any, what: str) -> None:
        self._total, self._output, self._what = total, output, what
        self._on_terminal = bool(getattr(output, "isatty", lambda: False)())
        self._began, self._shown_at, self._step = monotonic(), 0.0, 0

    def show(self, done: int) -> None:
        if not self._on_terminal:
            step = done * STEPS // max(self._total, 1)
            if step > self._step:
                self._step = step
                self._output.write(f"{self._counted(done)}\n")
        elif monotonic() - self._shown_at >= EVERY:
            self._shown_at = monotonic()
            filled = WIDTH * done // max(self._total, 1)
            bar = "#" * filled + "." * (WIDTH - filled)
            self._write(f"\r[{bar}] {self._counted(done)}{self._left(done)}\x1b[K")

    def close(self) -> None:
        if self._on_terminal:
            self._write("\r\x1b[K")

    def _counted(self, done: int) -> str:
        return f"{done:,} of {self._total:,} {self._what}"

    def _left(self, done: int) -> str:
        spent = monotonic() - self._began
        return f", {spent / done * (self._total - done):.0f} s left" if done and spent > 1 else ""

    def _write(self, text: str) -> None:
        self._output.write(text, ending="") if hasattr(self._output, "style_func") else self._output.write(
            text
        )
        self._output.flush()
