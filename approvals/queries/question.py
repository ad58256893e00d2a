"""A search of the trail as SQL: what is near, or else what the indexes have.

The newest events are read first, so many and no more: whatever is common is among them. What is rarer is left to the
indexes, and put in order afterwards. Each way is slow where the other is quick, and statistics are no help to choose:
what a retired agent asked for is common, and still not among the newest. Where words are asked for together with
something else, the smaller of both is found first, and read for the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from approvals.database import all_words, words_of

READ = "trail.read"
LOOKED = (READ, "trail.searched")
SAID = "remark.made"
NEAR = 1000  # events that are read before the indexes are asked
NEAR_FOR_WORDS = 250  # as many of their texts are taken apart in the same time
CAP = 1000  # nobody counts further
FEW = 1000  # that are found first, to be read for the rest

ASKED = all_words("%(words)s")
# What a request is found by. Arguments and facts are not: they may be sealed, and hold what nobody should search for.
REQUEST_SAYS = words_of("r.headline || ' ' || r.resource_id || ' ' || r.outcome") + f" @@ {ASKED}"
# What auditors searched for before is not told: a search would find itself, and words that were erased.
EVENT_SAYS = f"""EXISTS (SELECT FROM audit_personal p
    WHERE p.tenant_id = e.tenant_id AND p.event_id = e.id AND p.field <> 'searched'
        AND {words_of("p.value")} @@ {ASKED})"""
SAYS = f"((r.id IS NOT NULL AND {REQUEST_SAYS}) OR {EVENT_SAYS})"
# The ids of those that say it, of %(most)s at most, or of all.
EVENTS_SAYING = f"SELECT id FROM audit_events_saying({ASKED}, %(most)s)"  # noqa: S608
REQUESTS_SAYING = f"SELECT id FROM approval_requests_saying({ASKED}, %(most)s)"  # noqa: S608


@dataclass(frozen=True)
class Wanted:
    """What is looked for; all of it holds for an event that is found.

    `request_id` is the request that it is about, `trace_id` the call in which it happened. `person_id` did it.
    `agent_id` did it, or filed that request. `action` to `status` are about the request: `least` and `most` in minor
    units of `currency`, both inclusive. `since` is inclusive, `until` is not. `words` all stand in one text: something
    that a person or an agent said, or the request's headline, resource and outcome together.
    """

    request_id: UUID | None = None
    trace_id: str = ""
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


@dataclass(frozen=True)
class Answer:
    """Ids of events, newest first, and how many there are at least; `is_all`: exactly so many."""

    ids: list[UUID]
    count: int
    is_all: bool


class Question:
    """One search of one tenant, in its scope, of what is older than `before`. `e` is an event, `r` its request.

    `by_program`: by one that reads in somebody's name, which finds no remark by words.
    """

    def __init__(
        self,
        tenant_id: UUID,
        wanted: Wanted,
        before: tuple[datetime, UUID] | None,
        *,
        by_program: bool,
    ) -> None:
        self._words = wanted.words
        self._asked: dict[str, Any] = {
            "tenant": tenant_id,
            "request": wanted.request_id,
            "trace": wanted.trace_id,
            "person": str(wanted.person_id),
            "agent": str(wanted.agent_id),
            "action": wanted.action,
            "resource": wanted.resource,
            "currency": wanted.currency,
            "least_minor": wanted.least,
            "most_minor": wanted.most,
            "status": wanted.status,
            "kind": wanted.kind,
            "since": wanted.since,
            "until": wanted.until,
            "words": wanted.words,
            "at": before and before[0],
            "id": before and before[1],
        }
        about_requests = (wanted.request_id, wanted.agent_id, wanted.action, wanted.resource, wanted.status)
        is_about = any((*about_requests, wanted.currency, wanted.words))
        self._when = _those(
            {
                # Who read or searched is no answer to who let it happen; it is found by its kind.
                f"e.kind NOT IN {LOOKED}": is_about and not wanted.kind,
                # It is not told what a remark says (`told_to`): it could guess that, word by word, by what is found.
                f"e.kind <> '{SAID}'": wanted.words and by_program,
                "e.at >= %(since)s": wanted.since,
                "e.at < %(until)s": wanted.until,
                "(e.at, e.id) < (%(at)s, %(id)s)": before,
            }
        )
        self._of_event = _those(
            {
                "e.request_id = %(request)s": wanted.request_id,
                "e.trace_id = %(trace)s": wanted.trace_id,
                "e.actor_id = %(person)s": wanted.person_id,
                "e.kind = %(kind)s": wanted.kind,
            }
        )
        self._of_request = _those(
            {
                "r.action = %(action)s": wanted.action,
                "r.resource_id = %(resource)s": wanted.resource,
                "r.status = %(status)s": wanted.status,
                "r.currency = %(currency)s": wanted.currency,
                "r.amount_minor >= %(least_minor)s": wanted.least is not None,
                "r.amount_minor <= %(most_minor)s": wanted.most is not None,
            }
        )
        # An agent does nothing to the requests of another: where a request is asked for, its own column says enough.
        own = "" if self._of_request else "e.actor_id = %(agent)s OR "
        self._of_agent = _those({f"({own}r.agent_id = %(agent)s::uuid)": wanted.agent_id})

    # --- near ---------------------------------------------------------------------------------------------

    def near(self, rows: int) -> Answer | None:
        """From the newest events; None where these are not enough for so many rows."""
        if not self._words:
            return self._of_newest(NEAR, rows)[1]
        found, answer = self._of_newest(NEAR_FOR_WORDS, rows)
        # If they go on like this, some more of them will do.
        goes_on = found * NEAR > 2 * rows * NEAR_FOR_WORDS
        return self._of_newest(NEAR, rows)[1] if answer is None and goes_on else answer

    def _of_newest(self, most: int, rows: int) -> tuple[int, Answer | None]:
        """How many of the newest fit, and the answer if that is enough."""
        says = (SAYS,) if self._words else ()
        kept = _all(*self._of_event, *self._of_request, *self._of_agent, *says)
        found = self._ask(
            f"""WITH newest AS MATERIALIZED (
                SELECT e.id, e.at, e.tenant_id, e.request_id, e.actor_id, e.kind, e.trace_id FROM audit_event e
                WHERE {_all("e.tenant_id = %(tenant)s", *self._when)} ORDER BY e.at DESC, e.id DESC LIMIT {most})
            SELECT e.id, (SELECT count(*) FROM newest) FROM newest e {self._request(says)}
            WHERE {kept} ORDER BY e.at DESC, e.id DESC"""  # noqa: S608
        )
        if len(found) < rows:
            return len(found), None
        is_all = found[0][1] < most
        return len(found), Answer([event_id for event_id, _ in found[:rows]], min(len(found), CAP), is_all)

    # --- from the indexes ---------------------------------------------------------------------------------

    def deep(self, rows: int) -> Answer:
        """From the indexes."""
        matching = self._saying() if self._words else self._fitting()
        # Where an index has what fits in order of time, nothing is to be found before it is put in order.
        is_in_order = not (self._words or self._of_request or self._of_agent)
        found = self._ask(
            f"""WITH found AS {"" if is_in_order else "MATERIALIZED"} ({matching})
            SELECT id, (SELECT count(*) FROM (SELECT FROM found LIMIT {CAP + 1}) counted) FROM found
            ORDER BY at DESC, id DESC LIMIT {rows}"""  # noqa: S608
        )
        count = found[0][1] if found else 0
        return Answer([event_id for event_id, _ in found], min(count, CAP), count <= CAP)

    def _fitting(self) -> str:
        """All that fits but for the words."""
        if self._of_agent and not self._of_request:
            asked = (
                "SELECT id FROM approval_request WHERE tenant_id = %(tenant)s AND agent_id = %(agent)s::uuid"
            )
            return f"""{self._events("", "e.actor_id = %(agent)s")}
                UNION {self._events("", f"e.request_id IN ({asked})")}"""
        return self._events(self._request(), *self._of_request, *self._of_agent)

    def _saying(self) -> str:
        """What fits, and says the words as well."""
        rest = (*self._of_request, *self._of_agent)
        events, requests = self._few(EVENTS_SAYING), self._few(REQUESTS_SAYING)
        if events is not None and requests is not None:
            self._asked |= {"events": events, "requests": requests}
            return f"""{self._events(self._request(), "e.id = ANY(%(events)s)", *rest)}
                UNION {self._events(self._request(), "e.request_id = ANY(%(requests)s)", *rest)}"""
        if self._of_event or rest:
            fitting = self._few(f"SELECT id FROM ({self._fitting()}) e LIMIT %(most)s")  # noqa: S608
            if fitting is not None:
                self._asked["fitting"] = fitting
                return self._events(self._request((SAYS,)), "e.id = ANY(%(fitting)s)", SAYS)
        self._asked["most"] = None
        if (self._of_event or self._of_agent) and not self._of_request:
            return f"""SELECT id, at FROM ({self._fitting()}) e
                WHERE id IN ({EVENTS_SAYING}) OR request_id IN ({REQUESTS_SAYING})"""  # noqa: S608
        return f"""{self._events(f"JOIN ({EVENTS_SAYING}) said ON said.id = e.id {self._request()}", *rest)}
            UNION {self._events(f"JOIN ({REQUESTS_SAYING}) said ON said.id = e.request_id {self._request()}", *rest)}"""

    def _few(self, sql: str) -> list[UUID] | None:
        """These ids; None where there are more than a few."""
        self._asked["most"] = FEW + 1
        found = [row[0] for row in self._ask(sql)]
        return found if len(found) <= FEW else None

    # --- parts --------------------------------------------------------------------------------------------

    def _events(self, joined: str, *conditions: str) -> str:
        kept = _all("e.tenant_id = %(tenant)s", *self._when, *self._of_event, *conditions)
        return f"SELECT e.id, e.at, e.request_id FROM audit_event e {joined} WHERE {kept}"  # noqa: S608

    def _request(self, also: tuple[str, ...] = ()) -> str:
        """The event's request, where something is asked of it; it must be there if all of that is."""
        if not (self._of_request or self._of_agent or also):
            return ""
        kind = "JOIN" if self._of_request else "LEFT JOIN"
        return f"{kind} approval_request r ON r.id = e.request_id AND r.tenant_id = e.tenant_id"

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, self._asked)
            return list(cursor.fetchall())


def _those(conditions: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(condition for condition, is_asked in conditions.items() if is_asked)


def _all(*conditions: str) -> str:
    return " AND ".join(conditions) or "true"
