"""The trail for reading: what happened, by whom, in words. And the event of an access that was denied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db.models import Q

from approvals import limits
from approvals.audit import queries as audit
from approvals.audit.decisions import decided
from approvals.audit.events import Actor, record
from approvals.audit.queries import KeptOutside, TrailEntry
from approvals.database import tenant_scope
from approvals.glass import AUDITOR as AUDITOR
from approvals.identity.models import Agent, Membership
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, Switch
from approvals.queries.paging import ROWS, Page, mark, page, parsed
from approvals.queries.question import SAID

REFUSALS = ("access.denied", "limit.reached", "request.refused")
# The kind's own sentence is about a request that was not filed; its data says when it was about one that was.
WITHDRAWAL_REFUSED = "The requester wanted to take the request back and could not; it stays as it is."
LAST_APPROVAL = "The last approval that the policy asks for was given."
PUSHED_THROUGH = "The request was approved: one person pushed it through alone (break-glass)."
APPROVAL_REVOKED = "A reviewer took the approval back; the request was denied."


@dataclass(frozen=True)
class Stopped:
    """What the switch of an event stops. `agent` and `tool` are "" for all of them; so is a reason told elsewhere."""

    for_everybody: bool
    agent: str
    tool: str
    stops: str
    reason: str


@dataclass(frozen=True)
class TrailLine:
    """One event in a sentence, the name of who did it, and which request it was about."""

    entry: TrailEntry
    meaning: str
    actor: str
    request_id: UUID | None
    headline: str  # of the request, "" where the event has none
    stop: Stopped | None  # by the switch that the event names
    rule: str  # that approved the request, so that no person did; else ""
    whose: str  # the agent or person whom a process tells of, where it is not the actor; else ""
    about: tuple[str, ...]  # of what was refused: what was wanted, on what, and by which rule or scope


def tenant_trail(by: Reviewer, *, after: str = "", rows: int = ROWS) -> Page[TrailLine]:
    """All events of the tenant, newest first; `after` is a page's mark. For auditors: the caller checks."""
    place = parsed(after)
    with tenant_scope(by.tenant_id):
        entries = audit.recent(by.tenant_id, limit=rows + 1, before=place[1:] if place else None)
        told = lines(by.tenant_id, told_to(by, entries))
    return page(told, [mark(entry.at, entry.id) for entry in entries], rows)


def kept_outside(by: Reviewer) -> list[KeptOutside]:
    """Where the tenant's checkpoints have come to, outside. For auditors: the caller checks."""
    with tenant_scope(by.tenant_id):
        return audit.kept_outside(by.tenant_id)


def denied(by: Reviewer, *, wanted: str, code: str, what: str = "") -> None:
    """Leave an event of an access that this person was denied. `what` is the id they named, if any.

    Of what a program was denied in their name, the first at once and the others once a minute, with their number.
    """
    who = Actor("person", str(by.person_id))
    times = _times(by, wanted, code)
    if times != 0:
        counted = {} if times is None else {"refused": times}
        with tenant_scope(by.tenant_id):
            record(
                "access.denied",
                tenant_id=by.tenant_id,
                actor=who,
                data={"code": code, "wanted": wanted, "id": what, **through(by), **counted},
            )
    decided(wanted, is_allowed=False, by=who, tenant_id=by.tenant_id, resource_id=what or None, because=code)


def _times(by: Reviewer, wanted: str, code: str) -> int | None:
    """How many denials of a program the event is to tell of, 0 for no event; None for a person, who is no loop."""
    if by.through is None:
        return None
    return limits.times_untold(f"denied {by.tenant_id} {by.person_id} {by.through} {code} {wanted}")


def through(by: Reviewer) -> dict[str, str]:
    """The agent that read in the person's name, where it was one."""
    return {"agent": str(by.through)} if by.through else {}


def allowed(by: Reviewer, *, wanted: str, what: str = "") -> None:
    """Log that this person was allowed what others are denied. `what` is the id they named, if any."""
    who = Actor("person", str(by.person_id))
    decided(wanted, is_allowed=True, by=who, tenant_id=by.tenant_id, resource_id=what or None)


def told_to(by: Reviewer, entries: Sequence[TrailEntry]) -> Sequence[TrailEntry]:
    """What colleagues said to one another is for people: a program that reads in somebody's name gets the rest."""
    if not by.through:
        return entries
    return [replace(one, personal=_without_words(one)) if one.kind == SAID else one for one in entries]


def _without_words(entry: TrailEntry) -> dict[str, str | None]:
    return {name: value for name, value in entry.personal.items() if name != "remark"}


def lines(tenant_id: UUID, entries: Sequence[TrailEntry]) -> tuple[TrailLine, ...]:
    """These events as people read them, in the same order; in the tenant's scope."""
    names, switches = names_in(tenant_id), _switches(tenant_id, entries)
    requests = _requests(tenant_id, entries)
    return tuple(
        TrailLine(
            entry,
            _meaning(entry),
            _actor(entry, names),
            request.pk if (request := requests.get(entry.id)) else entry.request_id,
            request.headline if request else "",
            _stop(entry, switches.get(str(entry.data.get("switch"))), names),
            _rule(entry),
            _whose(entry, names),
            _refused(entry),
        )
        for entry in entries
    )


def _meaning(entry: TrailEntry) -> str:
    if entry.kind == "request.approved" and entry.actor.kind == "person":
        return PUSHED_THROUGH if entry.data.get("break_glass") else LAST_APPROVAL
    if entry.kind == "request.denied" and entry.data.get("revoked"):
        return APPROVAL_REVOKED
    return WITHDRAWAL_REFUSED if _kept(entry) else entry.meaning


def _requests(tenant_id: UUID, entries: Sequence[TrailEntry]) -> dict[UUID, ApprovalRequest]:
    """The requests that the events are about, by the event: its own, or the one that was not taken back.

    Such an event only names an id, so it is believed only of a request that whoever it was filed.
    """
    ids = {key for entry in entries if (key := entry.request_id or _kept(entry))}
    ours = ApprovalRequest.objects.filter(tenant_id=tenant_id, pk__in=ids)
    found = {request.pk: request for request in ours.only("id", "headline", "agent_id", "person_id")}
    about = {}
    for entry in entries:
        request = found.get(entry.request_id or _kept(entry) or entry.id)
        if request and (
            entry.request_id or entry.actor.id in map(str, (request.agent_id, request.person_id))
        ):
            about[entry.id] = request
    return about


def _kept(entry: TrailEntry) -> UUID | None:
    """The request that this event says was not taken back."""
    is_withdrawal = entry.kind == "request.refused" and entry.data.get("wanted") == "withdraw"
    return _id(entry.data.get("id")) if is_withdrawal else None


def _switches(tenant_id: UUID, entries: Sequence[TrailEntry]) -> dict[str, Switch]:
    """Those that the events name, by id; ours and everybody's."""
    wanted = {switch_id for entry in entries if (switch_id := _id(entry.data.get("switch")))}
    ours = Switch.objects.filter(Q(tenant_id=tenant_id) | Q(tenant_id=None))
    return {str(switch.pk): switch for switch in ours.filter(pk__in=wanted)} if wanted else {}


def _id(written: object) -> UUID | None:
    """None for what is no id: an event says what its process wrote."""
    try:
        return UUID(str(written))
    except ValueError:
        return None


def _rule(entry: TrailEntry) -> str:
    is_by_rule = entry.kind == "request.approved" and entry.actor.kind == "system"
    return str(entry.data.get("rule", "")) if is_by_rule else ""


def _whose(entry: TrailEntry, names: Mapping[str, str]) -> str:
    """A name, or the id of somebody who has none here."""
    if entry.actor.kind != "system":
        return ""
    told = str(entry.data.get("agent") or entry.data.get("person") or "")
    return names.get(told, told)


def _refused(entry: TrailEntry) -> tuple[str, ...]:
    if entry.kind not in REFUSALS:
        return ()
    told = (
        str(entry.data.get(name) or "") for name in ("wanted", "action", "id", "resource_id", "scope", "rule")
    )
    return tuple(one for one in told if one)


def _stop(entry: TrailEntry, switch: Switch | None, names: Mapping[str, str]) -> Stopped | None:
    """What was written down then comes before what the switch says today: it is sealed."""
    if switch is None:
        return None
    told = entry.data if "stops" in entry.data else vars(switch)
    agent = str(told["agent_id"] or "")
    return Stopped(
        for_everybody=switch.tenant_id is None,
        agent=names.get(agent, agent),
        tool=str(told["tool"]),
        stops=str(told["stops"]),
        reason="" if "reason" in entry.personal else switch.reason,
    )


def _actor(entry: TrailEntry, names: dict[str, str]) -> str:
    """The name that was written down then, else today's; an erased person keeps their id only."""
    if entry.actor.kind == "system":
        return entry.actor.id
    return entry.personal.get("name") or names.get(entry.actor.id) or entry.actor.id


def names_in(tenant_id: UUID) -> dict[str, str]:
    """People and agents of the tenant, by id; in its scope."""
    people = Membership.objects.filter(tenant_id=tenant_id).values_list("person_id", "person__name")
    agents = Agent.objects.filter(tenant_id=tenant_id).values_list("id", "name")
    return {str(key): name for key, name in (*people, *agents)}
