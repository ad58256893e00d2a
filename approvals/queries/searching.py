"""The trail searched, for auditors: by person, agent, action, thing, amount, time, words, outcome and kind of event."""

from dataclasses import dataclass
from uuid import UUID

from approvals.audit import queries as audit
from approvals.database import tenant_scope
from approvals.errors import SearchPageUnknown
from approvals.identity.requester import Reviewer
from approvals.queries.paging import ROWS, Page, mark, page, parsed
from approvals.queries.question import Question, Wanted
from approvals.queries.trail import TrailLine, lines, told_to


@dataclass(frozen=True)
class Found:
    """A page of events, and how many there are at least; `is_all`: exactly so many. Only the first page counts."""

    page: Page[TrailLine]
    count: int | None
    is_all: bool


def search(by: Reviewer, wanted: Wanted, *, after: str = "", rows: int = ROWS) -> Found:
    """The events of the tenant that fit, newest first; `after` is a page's mark. For auditors: the caller checks.

    Raises SearchPageUnknown for a mark that is none.
    """
    place = parsed(after)
    if after and (place is None or place[0] != 0):
        raise SearchPageUnknown
    with tenant_scope(by.tenant_id):
        older_than = place[1:] if place else None
        question = Question(by.tenant_id, wanted, older_than, by_program=bool(by.through))
        answer = question.near(rows + 1) or question.deep(rows + 1)
        entries = audit.chosen(by.tenant_id, answer.ids)
        told = lines(by.tenant_id, told_to(by, entries))
    shown = page(told, [mark(entry.at, entry.id) for entry in entries], rows)
    return Found(shown, None if place else answer.count, answer.is_all)


def every(by: Reviewer, wanted: Wanted, *, most: int) -> tuple[list[UUID], bool]:
    """The ids of the newest events that fit, at most so many, and whether more do. For auditors: the caller checks."""
    with tenant_scope(by.tenant_id):
        question = Question(by.tenant_id, wanted, None, by_program=bool(by.through))
        answer = question.near(most + 1) or question.deep(most + 1)
    return answer.ids[:most], len(answer.ids) > most
