"""Events as rows of a table that spreadsheets read: no cell of it is a formula, whatever somebody wrote.

Nor where a spreadsheet takes another sign than the comma to stand between cells, as most of Europe's do: it begins a
cell in the middle of ours, behind the quotation marks that it has lost count of.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
# What makes a spreadsheet take a cell for a formula (OWASP, CSV Injection), also as letters of full width: where a cell
# begins, or may begin for a program that cuts elsewhere. Quotation marks and blanks between may be dropped.
SIGNS = "=+@＝＋－＠-"  # noqa: RUF001
FORMULA = re.compile(rf"""((?:^|[;,|\t\r\n\v\f\x1c-\x1f\x85\u2028\u2029])[\s"]*)(?=[{SIGNS}])""")
BLANKS = ("\t", "\r", "\n")
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
    said = (f"{name}: {ERASED if value is None else value}" for name, value in entry.personal.items())
    before = (
        f"{entry.at:%Y-%m-%dT%H:%M:%S.%f}Z",
        entry.kind,
        line.meaning,
        line.actor,
        entry.actor.kind,
        entry.actor.id,
        str(line.request_id or ""),
        line.headline,
        "; ".join(said),
    )
    data = json.dumps(_as_text_in(entry.data), ensure_ascii=False, sort_keys=True)
    behind = (entry.trace_id, str(entry.id), "yes" if entry.sealed else "no")
    return (*map(as_text, before), data, *map(as_text, behind))


def _written(rows: Sequence[Sequence[str]]) -> str:
    text = StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


def as_text(cell: str) -> str:
    """The cell, with an apostrophe wherever a spreadsheet would begin to work something out."""
    text = FORMULA.sub(r"\1'", cell)
    return f"'{text}" if text.startswith(BLANKS) else text


def _as_text_in(data: object) -> object:
    """The same within the words of JSON, which stays JSON: a negative number in a list is no formula."""
    if isinstance(data, str):
        return as_text(data)
    if isinstance(data, Mapping):
        return {as_text(name): _as_text_in(value) for name, value in data.items()}
    return [_as_text_in(one) for one in data] if isinstance(data, list | tuple) else data
