"""Keyset paging: a page says where the next one starts, so rows that arrive meanwhile neither repeat nor hide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")
ROWS = 25


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, and the mark after which the next page starts ("" on the last one)."""

    rows: tuple[T, ...]
    next: str


def mark(at: datetime, row_id: UUID, rank: int = 0) -> str:
    """Where a row stands in its list, for a URL."""
    return f"{rank}~{at.isoformat()}~{row_id}"


def parsed(text: str) -> tuple[int, datetime, UUID] | None:
    """The rank, time and id of a mark; None for anything else, which reads as the first page."""
    try:
        rank, at, row_id = text.split("~")
        when = datetime.fromisoformat(at)
        # In UTC, for the database takes fewer time zones than Python; a moment that has none there overflows.
        return (int(rank), when.astimezone(UTC), UUID(row_id)) if when.tzinfo else None
    except (ValueError, OverflowError):
        return None


def page(found: Sequence[T], marks: Sequence[str], rows: int) -> Page[T]:
    """`found` was asked for one row more than a page holds: the surplus one says that there is a next page."""
    shown = tuple(found[:rows])
    return Page(shown, marks[rows - 1] if len(found) > rows else "")
