"""What is kept outside, read back: a file or a folder of pushed checkpoints, to hold the trail against.

Two lines that a target keeps are read: the checkpoint's own (a folder's file, a store's object), and the body of the
webhook that carried it. Signatures are not looked at here: what is outside is believed because it is outside.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

from approvals.audit.format import digest

Outside: TypeAlias = Mapping[UUID, Mapping[int, str]]
"""The digest of each checkpoint that is kept outside, by tenant and number."""


class NotReadable(ValueError):
    """What was named holds something that is no pushed checkpoint."""


def read(path: Path) -> Outside:
    """Everything in a file, or in all files below a folder. Raises NotReadable, or OSError."""
    found: dict[UUID, dict[int, str]] = defaultdict(dict)
    for file in sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]:
        for place, line in enumerate(_lines(file), 1):
            if not line.strip():
                raise NotReadable(f"{file}, line {place}: the line is blank; take it out")
            try:
                tenant_id, number, known_as = _checkpoint(line)
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
                raise NotReadable(f"{file}, line {place}: it is no pushed checkpoint") from None
            if found[tenant_id].setdefault(number, known_as) != known_as:
                raise NotReadable(
                    f"{file}, line {place}: there is another checkpoint {number} of this tenant"
                )
    if not found:
        raise NotReadable(f"{path} holds no checkpoint")
    return found


def _lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8", newline="\n") as lines:
        yield from lines


def _checkpoint(line: str) -> tuple[UUID, int, str]:
    said = json.loads(line, object_pairs_hook=_once)
    text = str(said.get("data", said)["text"])
    signed = json.loads(text, object_pairs_hook=_once)
    return UUID(signed["tenant"]), int(signed["number"]), digest(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name stands twice: of one that does, another reader may see the other value."""
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("a name stands twice")
    return found
