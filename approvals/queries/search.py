"""The trail, searched: for auditors, by person, agent, action, resource, amount, time, words, outcome and kind of event.

The newest events are read first, so many of them and no more: whatever is common is among them. What is too rare for that
is left to the indexes, and put in order afterwards. Either alone is slow where the other is quick, and statistics are
no help to choose: what an agent asked for that was retired last year is common, and still not among the newest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from approvals.audit import queries as audit
from approvals.database import all_words, tenant_scope, words_of
from approvals.errors import SearchPageUnknown
from approvals.identity.requester import Reviewer
from approvals.queries.paging import ROWS, Page, mark, page, parsed
from approvals.queries.trail import TrailLine, lines

NEAR = 1000  # events that are read before the indexes are asked
NEAR_FOR_WORDS = 250  # as many of their texts are taken apart in the same time
CAP = 1000  # nobody counts further
FEW = 1000  # events that are read for their words, where all else fits

ASKED_IN_WORDS = all_words("%(words)s")
# What a request is found by. Arguments and facts are not: they may be sealed, and hold what nobody should search for.
REQUEST_SAYS = words_of("r.headline || ' ' || r.resource_id || ' ' || r.outcome")
SAYS = f"""(r.id IS NOT NULL AND {REQUEST_SAYS} @@ {ASKED_IN_WORDS} OR EXISTS (
    SELECT FROM audit_personal p WHERE p.tenant_id = e.tenant_id AND p.event_id = e.id
        AND {words_of("p.value")} @@ {ASKED_IN_WORDS}))"""


@dataclass(frozen=True)
class Wanted:
    """What is looked for; all of it holds for an event that is found.

    `person_id` did it. `agent_id` did it, or filed the request that it is about. `action` to `status` are about that
    request: `least` and `most` in minor units of `currency`, both inclusive. `since` is inclusive, `until` is not.
    `words` all stand in one text: something that a person or an agent said, or the request's headline, resource and
    outcome together.
    """

    person_id: UUID | None = None
    agent_id: UUID | None = None
    action: str = ""
    resource: str = ""
    currency: str = ""
    least: int | None = None
    most: int | None = None
    status: str = ""
    kind: str = ""
    since: datetime | None = None
    until: datetime | None = None
    words: str = ""

    @property
    def is_nothing(self) -> bool:
        return self == Wanted()


@dataclass(frozen=True)
class Found:
    """A page of events, and how many there are at least; `is_all`: exactly so many. Counted on the first page only."""

    page: Page[TrailLine]
    count: int | None
    is_all: bool


def search(by: Reviewer, wanted: Wanted, *, after: str = "", rows: int = ROWS) -> Found:
    """The events of the tenant that fit, newest first; `after` is a page's mark. For auditors: the caller checks.

    Raises SearchPageUnknown for a mark that is none.
    """
    place = parsed(after)
    if after and place is None:
        raise SearchPageUnknown
    with tenant_scope(by.tenant_id):
        question = _Question(by.tenant_id, wanted, place[1:] if place else None)
        ids, count, is_all = question.near(rows) or question.deep(rows)
        entries = audit.chosen(by.tenant_id, ids)
        told = lines(by.tenant_id, entries)
    shown = page(told, [mark(entry.at, entry.id) for entry in entries], rows)
    return Found(shown, None if place else count, is_all)


class _Question:
    """One search as SQL. `e` is an event, `r` the request that it is about."""

    def __init__(self, tenant_id: UUID, wanted: Wanted, before: tuple[datetime, UUID] | None) -> None:
        self._wanted = wanted
        self._parameters: dict[str, object] = {
            **{
                name: str(value) if isinstance(value, UUID) else value for name, value in vars(wanted).items()
            },
            "tenant": tenant_id,
            "at": before and before[0],
            "id": before and before[1],
        }
        self._when = _chosen(
            {
                "e.at >= %(since)s": wanted.since,
                "e.at < %(until)s": wanted.until,
                "(e.at, e.id) < (%(at)s, %(id)s)": before,
            }
        )
        self._of_event = _chosen(
            {"e.actor_id = %(person_id)s": wanted.person_id, "e.kind = %(kind)s": wanted.kind}
        )
        self._of_request = _chosen(
            {
                "r.action = %(action)s": wanted.action,
                "r.resource_id = %(resource)s": wanted.resource,
                "r.status = %(status)s": wanted.status,
                "r.currency = %(currency)s": wanted.currency,
                "r.amount_minor >= %(least)s": wanted.least is not None,
                "r.amount_minor <= %(most)s": wanted.most is not None,
            }
        )
        # An agent does nothing to the requests of another: where a request is asked for, its own column says enough.
        own = "" if self._of_request else "e.actor_id = %(agent_id)s OR "
        self._of_agent = (f"({own}r.agent_id = %(agent_id)s::uuid)",) if wanted.agent_id else ()

    def near(self, rows: int) -> tuple[list[UUID], int, bool] | None:
        """From the newest events; None where these are not enough for a page and one row more."""
        most = NEAR_FOR_WORDS if self._wanted.words else NEAR
        found = self._ask(
            f"""WITH newest AS MATERIALIZED (
                SELECT e.id, e.at, e.tenant_id, e.request_id, e.actor_id, e.kind FROM audit_event e
                WHERE {_all("e.tenant_id = %(tenant)s", *self._when)} ORDER BY e.at DESC, e.id DESC LIMIT {most})
            SELECT e.id, (SELECT count(*) FROM newest) FROM newest e {self._request()}
            WHERE {self._everything()} ORDER BY e.at DESC, e.id DESC"""
        )
        if len(found) <= rows:
            return None
        return [event_id for event_id, _ in found[: rows + 1]], len(found), found[0][1] < most

    def deep(self, rows: int) -> tuple[list[UUID], int, bool]:
        """From the indexes."""
        found = self._ask(
            f"""WITH found AS {"" if self._is_in_order else "MATERIALIZED"} ({self._matching()})
            SELECT id, (SELECT count(*) FROM (SELECT FROM found LIMIT {CAP + 1}) counted) FROM found
            ORDER BY at DESC, id DESC LIMIT {rows + 1}"""
        )
        count = found[0][1] if found else 0
        return [event_id for event_id, _ in found], min(count, CAP), count <= CAP

    @property
    def _is_in_order(self) -> bool:
        """An index has what is asked for in order of time; everything else is found first, and put in order then."""
        return not (self._of_request or self._of_agent or self._wanted.words)

    def _matching(self) -> str:
        if self._wanted.words:
            return self._few_with_words() or self._with_words()
        return self._without_words()

    def _without_words(self) -> str:
        if self._of_agent and not self._of_request:
            asked = "SELECT id FROM approval_request WHERE tenant_id = %(tenant)s AND agent_id = %(agent_id)s::uuid"
            return f"""{self._events("", "e.actor_id = %(agent_id)s")}
                UNION {self._events("", f"e.request_id IN ({asked})")}"""
        return self._events(self._request(), *self._of_request, *self._of_agent)

    def _few_with_words(self) -> str:
        """Where little else fits, its texts are read; "" where there is more to read."""
        if not (self._of_event or self._of_request or self._of_agent):
            return ""
        few = [
            event_id
            for event_id, *_ in self._ask(f"SELECT id FROM ({self._without_words()}) e LIMIT {FEW + 1}")
        ]
        if len(few) > FEW:
            return ""
        self._parameters["few"] = few
        return self._events(self._request(), "e.id = ANY(%(few)s)", SAYS)

    def _with_words(self) -> str:
        said = f"JOIN audit_events_saying({ASKED_IN_WORDS}) said ON said.id ="
        asked = f"JOIN approval_requests_saying({ASKED_IN_WORDS}) said ON said.id ="
        return f"""{self._events(f"{said} e.id {self._request()}", *self._of_request, *self._of_agent)}
            UNION {self._events(f"{asked} e.request_id {self._request()}", *self._of_request, *self._of_agent)}"""

    def _events(self, joined: str, *conditions: str) -> str:
        kept = _all("e.tenant_id = %(tenant)s", *self._when, *self._of_event, *conditions)
        return f"SELECT e.id, e.at FROM audit_event e {joined} WHERE {kept}"

    def _request(self) -> str:
        kind = "JOIN" if self._of_request else "LEFT JOIN" if self._of_agent or self._wanted.words else ""
        return (
            f"{kind} approval_request r ON r.id = e.request_id AND r.tenant_id = e.tenant_id" if kind else ""
        )

    def _everything(self) -> str:
        says = (SAYS,) if self._wanted.words else ()
        return _all(*self._of_event, *self._of_request, *self._of_agent, *says)

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, self._parameters)
            return list(cursor.fetchall())


def _chosen(conditions: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(condition for condition, is_asked in conditions.items() if is_asked)


def _all(*conditions: str) -> str:
    return " AND ".join(conditions) or "true"
