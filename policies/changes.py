"""What changed between two texts, line by line: for people who decide about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

CONTEXT = 3  # lines around what changed


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its numbers in both texts; a gap stands for `skipped` lines that are the same in both."""

    kind: Literal["same", "added", "removed", "gap"]
    text: str = ""
    old: int | None = None
    new: int | None = None
    skipped: int = 0


@lru_cache(maxsize=8)  # each page of a version asks anew, and long texts that are unlike take seconds
def changes(old: str, new: str, context: int = CONTEXT) -> tuple[Line, ...]:
    """Every line that was added or removed, in order, with some of what is around them; () for equal texts."""
    before, after = lines(old), lines(new)
    found: list[Line] = []
    shown = 0  # lines of `before` so far
    for group in SequenceMatcher(None, before, after).get_grouped_opcodes(context):
        if group == [("equal", 0, len(before), 0, len(after))] and before == after:
            return ()
        found += _gap(group[0][1] - shown)
        for operation in group:
            found += _told(operation, before, after)
        shown = group[-1][2]
    return (*found, *_gap(len(before) - shown)) if found else ()


def counted(found: tuple[Line, ...]) -> tuple[int, int]:
    """How many lines were added, and how many removed."""
    kinds = [line.kind for line in found]
    return kinds.count("added"), kinds.count("removed")


def lines(text: str) -> list[str]:
    """As editors number them; one that is empty ends a text that ends with a line break."""
    return text.split("\n")


def _gap(skipped: int) -> list[Line]:
    return [Line("gap", skipped=skipped)] if skipped else []


def _told(operation: tuple[str, int, int, int, int], before: list[str], after: list[str]) -> Iterator[Line]:
    tag, old_from, old_to, new_from, new_to = operation
    if tag == "equal":
        for index in range(old_to - old_from):
            yield Line("same", before[old_from + index], old_from + index + 1, new_from + index + 1)
        return
    for index in range(old_from, old_to):
        yield Line("removed", before[index], old=index + 1)
    for index in range(new_from, new_to):
        yield Line("added", after[index], new=index + 1)
