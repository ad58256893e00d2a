"""Events as rows of a table that spreadsheets read: no cell of it is a formula, whatever somebody wrote."""

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from uuid import UUID

from approvals.audit import queries as audit
from approvals.database import tenant_scope
from approvals.identity.requester import Reviewer
from approvals.queries.trail import TrailLine, lines

CHUNK = 500  # events
COLUMNS = (
    "time (UTC)",
    "kind",
    "what happened",
    "by",
    "by (kind)",
    "by (id)",
    "request",
    "headline",
    "said",
    "data",
    "trace",
    "event",
    "sealed",
)
# What makes a spreadsheet take a cell for a formula (OWASP, CSV Injection), also as letters of full width.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
ERASED = "[erased]"


def table(by: Reviewer, event_ids: Sequence[UUID], *, is_cut: bool) -> Iterator[str]:
    """CSV (RFC 4180) with a head, in the order of the ids, some hundred rows a piece.

    With `is_cut` its last row says that more would have fitted. For auditors: the caller checks.
    """
    yield _written([COLUMNS])
    for start in range(0, len(event_ids), CHUNK):
        with tenant_scope(by.tenant_id):
            entries = audit.chosen(by.tenant_id, event_ids[start : start + CHUNK])
            told = lines(by.tenant_id, entries)
        yield _written([_row(line) for line in told])
    if is_cut:
        words = (
            f"CUT OFF: more than {len(event_ids)} events fit. Search for less, and take the rest by itself."
        )
        yield _written([(words, *[""] * (len(COLUMNS) - 1))])


def _row(line: TrailLine) -> tuple[str, ...]:
    entry = line.entry
    return (
        f"{entry.at:%Y-%m-%dT%H:%M:%S.%f}Z",
        entry.kind,
        line.meaning,
        line.actor,
        entry.actor.kind,
        entry.actor.id,
        str(line.request_id or ""),
        line.headline,
        "; ".join(f"{name}: {ERASED if value is None else value}" for name, value in entry.personal.items()),
        json.dumps(entry.data, ensure_ascii=False, sort_keys=True),
        entry.trace_id,
        str(entry.id),
        "yes" if entry.sealed else "no",
    )


def _written(rows: Sequence[Sequence[str]]) -> str:
    text = StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([[as_text(cell) for cell in row] for row in rows])
    return text.getvalue()


def as_text(cell: str) -> str:
    """The cell, with an apostrophe before it where a spreadsheet would work it out."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
