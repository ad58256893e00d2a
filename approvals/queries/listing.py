"""Requests as the REST API lists them: all of a company, or an agent's own; newest first, by what they are.

Looked for as the trail is (`question.py`): the newest are read first, so many and no more, and what is rarer among them
is left to the indexes and put in order afterwards. Who asked has an index in order of time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.db import connection

from approvals import material, switches
from approvals.database import all_words, tenant_scope, words_of
from approvals.errors import NotFound
from approvals.fields import Amount, Field, amount
from approvals.identity.models import Agent
from approvals.identity.requester import Requester, Reviewer
from approvals.kept import as_redacted
from approvals.material import REASON
from approvals.models import ApprovalRequest
from approvals.queries import exercises
from approvals.queries.agent import AgentView, agent_view, mine, review_url
from approvals.queries.paging import ROWS, Page, mark, page, parsed

NEAR = 1000  # requests that are read before the indexes are asked
FEW = 1000  # that say the words, to be read for the rest

ASKED = all_words("%(words)s")
SAYS = words_of("r.headline || ' ' || r.resource_id || ' ' || r.outcome") + f" @@ {ASKED}"
SAYING = f"SELECT id FROM approval_requests_saying({ASKED}, %(few)s)"  # noqa: S608
LOOKED_AT = (
    *("id", "created_at", "status", "action", "risk", "currency", "amount_minor"),
    *("headline", "resource_id", "outcome"),
)
_LISTED = (
    *("id", "status", "revision", "action", "headline", "resource_id", "risk", "amount_minor", "currency"),
    *("agent_id", "person_id", "requester_name", "is_canary", "undoes_id", "outcome"),
    *("created_at", "expires_at", "frozen_at", "decided_at", "finished_at"),
)


@dataclass(frozen=True)
class Sought:
    """What is looked for; all of it holds. `requester` is an agent, or a person who asked on our pages.

    `least` and `most` are minor units of `currency`, both inclusive; `since` is inclusive, `until` is not. `words` all
    stand in the headline, the thing or the outcome.
    """

    requester: UUID | None = None
    status: str = ""
    action: str = ""
    risk: str = ""
    currency: str = ""
    least: int | None = None
    most: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: str = ""


@dataclass(frozen=True)
class Listed:
    """One request in a list. `thing` is what it is about, as the company's system names it."""

    id: UUID
    status: str
    revision: int
    action: str
    headline: str
    thing: str
    risk: str
    amount: Amount | None
    requester_kind: Literal["agent", "person"]
    requester_id: UUID
    requester: str
    undoes: UUID | None
    created_at: datetime
    expires_at: datetime  # if it is held: were it to go on now
    is_held: bool  # by a switch
    decided_at: datetime | None
    finished_at: datetime | None
    outcome: str

    @property
    def url(self) -> str:
        return review_url(self.id)


@dataclass(frozen=True)
class WithoutSensitive:
    """What a request claims and what was looked up, with no field that its action calls sensitive."""

    reason: str
    claims: tuple[Field, ...]
    facts: tuple[Field, ...]


def requests_page(by: Reviewer, sought: Sought, *, after: str = "", rows: int = ROWS) -> Page[Listed]:
    """The requests of the person's company that fit, newest first; `after` is a page's mark."""
    with tenant_scope(by.tenant_id):
        who = exercises.askers_for(by, sought.requester) if sought.requester else None
        ids = _ids(by.tenant_id, sought, who, parsed(after), rows + 1)
        found = {one.pk: one for one in ApprovalRequest.objects.filter(pk__in=ids).only(*_LISTED)}
        shown = [_listed(found[request_id], by) for request_id in ids]
    return page(shown, [mark(one.created_at, one.id) for one in shown], rows)


def own_requests_page(by: Requester, sought: Sought, *, after: str = "", rows: int = ROWS) -> Page[AgentView]:
    """The same of an agent: its own alone, as it may know them."""
    if sought.requester not in (None, by.id):
        return Page((), "")
    with tenant_scope(by.tenant_id, agent_id=by.agent_id, person_id=by.person_id):
        ids = _ids(by.tenant_id, sought, (by.id,), parsed(after), rows + 1)
        found = {one.pk: one for one in ApprovalRequest.objects.filed_by(by).filter(pk__in=ids)}
        shown = [agent_view(found[request_id]) for request_id in ids]
    return page(shown, [mark(one.created_at, one.request_id) for one in shown], rows)


def listed(request_id: UUID, by: Reviewer) -> Listed:
    """One of them, as it is listed. Raises NotFound."""
    with tenant_scope(by.tenant_id):
        if request := ApprovalRequest.objects.filter(pk=request_id).only(*_LISTED).first():
            return _listed(request, by)
    raise NotFound(thing="request", id=request_id)


def own_request(request_id: UUID, by: Requester) -> AgentView:
    """One of the agent's own requests. Raises NotFound for any other, worded alike; the caller leaves the event."""
    found = mine(request_id, by)
    if found is None:
        raise NotFound(thing="request", id=request_id)
    return agent_view(found)


def without_sensitive(request_id: UUID, by: Reviewer) -> WithoutSensitive:
    """For who does not decide, as what is finished is shown. Raises NotFound."""
    with tenant_scope(by.tenant_id):
        request = ApprovalRequest.objects.filter(pk=request_id).first()
        if request is None:
            raise NotFound(thing="request", id=request_id)
        shown = as_redacted(request)
        claims = material.claimed(shown)
        facts = material.looked_up(shown)
    reason = next((claim.value for claim in claims if claim.name == REASON), "")
    return WithoutSensitive(reason, tuple(claim for claim in claims if claim.name != REASON), facts)


def _listed(request: ApprovalRequest, by: Reviewer) -> Listed:
    return Listed(
        id=request.pk,
        status=request.status,
        revision=request.revision,
        action=request.action,
        headline=request.headline,
        thing=request.resource_id,
        risk=request.risk,
        amount=amount(request.amount_minor, request.currency),
        requester_kind="agent" if request.agent_id else "person",
        requester_id=exercises.asker_for(by, request),  # type: ignore[arg-type] # one of them, by a constraint
        requester=request.requester_name,
        undoes=request.undoes_id,
        created_at=request.created_at,
        expires_at=switches.deadline(request),
        is_held=switches.is_held(request),
        decided_at=request.decided_at,
        finished_at=request.finished_at,
        outcome=request.outcome,
    )


# --- which ------------------------------------------------------------------------------------------------


def _ids(
    tenant_id: UUID,
    sought: Sought,
    who: tuple[UUID, ...] | None,
    place: tuple[int, datetime, UUID] | None,
    rows: int,
) -> list[UUID]:
    """The first `rows` behind a place, of those who asked, in the tenant's scope."""
    if who == ():
        return []
    asked: dict[str, Any] = {**vars(sought), "tenant": tenant_id, "rows": rows, "few": FEW + 1}
    asked |= {"who": who and (who[0] if len(who) == 1 else list(who))}
    asked |= {"at": place[1], "id": place[2]} if place else {}
    in_order = _those(
        {
            "r.tenant_id = %(tenant)s": True,
            _whose(who): who,
            "r.created_at >= %(since)s": sought.since,
            "r.created_at < %(until)s": sought.until,
            "(r.created_at, r.id) < (%(at)s, %(id)s)": place,
        }
    )
    rest = _those(
        {
            "r.status = %(status)s": sought.status,
            "r.action = %(action)s": sought.action,
            "r.risk = %(risk)s": sought.risk,
            "r.currency = %(currency)s": sought.currency,
            "r.amount_minor >= %(least)s": sought.least is not None,
            "r.amount_minor <= %(most)s": sought.most is not None,
        }
    )
    if not rest and not sought.words:
        return _only_ids(_ask(_first(in_order), asked))
    near = _near(in_order, (*rest, SAYS) if sought.words else rest, asked)
    return near if near is not None else _deep((*in_order, *rest), sought.words, asked)


def _whose(who: tuple[UUID, ...] | None) -> str:
    """By their column: each has its index, and under row-level security none has one on either of both."""
    if who is None:
        return ""
    column = "agent_id" if Agent.objects.filter(pk=who[0]).exists() else "person_id"
    return f"r.{column} = {'%(who)s' if len(who) == 1 else 'ANY(%(who)s)'}"


def _near(in_order: tuple[str, ...], rest: tuple[str, ...], asked: dict[str, Any]) -> list[UUID] | None:
    """From the newest; None where these are not enough for so many rows."""
    columns = ", ".join(f"r.{name}" for name in LOOKED_AT)
    found = _ask(
        f"""WITH newest AS MATERIALIZED (
            SELECT {columns} FROM approval_request r WHERE {" AND ".join(in_order)}
            ORDER BY r.created_at DESC, r.id DESC LIMIT {NEAR})
        SELECT r.id, (SELECT count(*) FROM newest) FROM (SELECT NULL) always
        LEFT JOIN newest r ON {" AND ".join(rest)} ORDER BY r.created_at DESC, r.id DESC LIMIT %(rows)s""",  # noqa: S608
        asked,
    )
    ids = _only_ids(found)
    return ids if len(ids) == asked["rows"] or found[0][1] < NEAR else None


def _deep(conditions: tuple[str, ...], words: str, asked: dict[str, Any]) -> list[UUID]:
    """From the indexes."""
    if words:
        saying = _only_ids(_ask(f"SELECT id, 0 FROM ({SAYING}) said", asked))  # noqa: S608
        is_few = len(saying) <= FEW
        asked |= {"saying": saying, "few": None}
        conditions += ("r.id = ANY(%(saying)s)" if is_few else f"r.id IN ({SAYING})",)
    found = _ask(
        f"""WITH found AS MATERIALIZED (
            SELECT r.id, r.created_at FROM approval_request r WHERE {" AND ".join(conditions)})
        SELECT id, 0 FROM found ORDER BY created_at DESC, id DESC LIMIT %(rows)s""",  # noqa: S608
        asked,
    )
    return _only_ids(found)


def _first(in_order: tuple[str, ...]) -> str:
    return f"""SELECT r.id, 0 FROM approval_request r WHERE {" AND ".join(in_order)}
        ORDER BY r.created_at DESC, r.id DESC LIMIT %(rows)s"""  # noqa: S608


def _those(conditions: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(condition for condition, is_asked in conditions.items() if is_asked)


def _only_ids(found: list[tuple[UUID | None, int]]) -> list[UUID]:
    return [request_id for request_id, _ in found if request_id is not None]


def _ask(sql: str, asked: Mapping[str, Any]) -> list[tuple[UUID | None, int]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, asked)
        return list(cursor.fetchall())
