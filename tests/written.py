"""What this process writes to its log, as anybody would read it there."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

Lines: TypeAlias = Callable[[str | None], list[dict[str, Any]]]


@contextmanager
def written() -> Iterator[Lines]:
    """Yields `lines(event)`: those of one event, or of all (None), as JSON, so far."""
    stream, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(root.handlers[0].formatter)

    def lines(event: str | None) -> list[dict[str, Any]]:
        every = [json.loads(line) for line in stream.getvalue().splitlines()]
        for line in every:
            line.pop("message", None)  # left on the record by pytest's own formatter
        return [line for line in every if event in (None, line["event"])]

    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
