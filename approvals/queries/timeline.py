"""One request from the tool call to the answer of the company's system: each event of its trail, and what it says.

All of it is read from the events themselves (`said.py`). Two things are not sealed: the names of today, and what the
execution record has of the answer to an attempt, of which the page says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from approvals.audit import queries as audit
from approvals.audit.queries import TrailEntry, Written
from approvals.database import tenant_scope
from approvals.errors import NotFound
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, Execution, Vote
from approvals.queries import exercises
from approvals.queries.question import READ
from approvals.queries.said import Fact, Known, Words, known, said
from approvals.queries.trail import TrailLine, denied, lines, told_to
from approvals.states import Status

# Where in its course an event stands: its icon and its word. By the longest beginning of its kind.
PHASES: Mapping[str, tuple[str, Words]] = MappingProxyType(
    {
        "request.": ("pen", gettext_lazy("Asked")),
        "canary.": ("pen", gettext_lazy("Asked")),
        "undo.": ("refresh", gettext_lazy("Asked")),
        "claim.": ("clock", gettext_lazy("Looked at")),
        "vote.": ("check", gettext_lazy("Decided")),
        "request.approved": ("check", gettext_lazy("Decided")),
        "request.denied": ("cross", gettext_lazy("Decided")),
        "request.changes_requested": ("pen", gettext_lazy("Decided")),
        "request.break_glass": ("warning", gettext_lazy("Decided")),
        "break_glass.": ("warning", gettext_lazy("Reviewed")),
        "execution.": ("arrow", gettext_lazy("Carried out")),
        "execution.succeeded": ("done", gettext_lazy("Carried out")),
        "execution.failed": ("warning", gettext_lazy("Carried out")),
        "execution.uncertain": ("question", gettext_lazy("Carried out")),
        "notification.": ("dot", gettext_lazy("Told")),
        "payload.": ("lock", gettext_lazy("Payload")),
    }
)
ELSE = ("dot", gettext_lazy("Happened"))


@dataclass(frozen=True)
class Answer:
    """What the execution record has of an attempt. It is no part of the sealed trail. `outcome` is "" while it runs."""

    status: int | None
    outcome: str
    detail: str
    at: datetime | None
    took: timedelta | None


@dataclass(frozen=True)
class Step:
    """One event. `after` is the time since the one before it, None for the first one.

    `written` is None for whoever does not see events to the letter.
    """

    line: TrailLine
    icon: str
    phase: Words
    facts: tuple[Fact, ...]
    after: timedelta | None
    answer: Answer | None
    written: Written | None
    is_new_day: bool


@dataclass(frozen=True)
class Short:
    """Who let it happen. `let_by` are names, or a rule; empty where nothing let it through."""

    asked_by: str
    asked_at: datetime | None
    let_by: tuple[str, ...] = ()
    let_how: Words = ""
    ended: Words = ""
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Told:
    """One request in short, for a list: who let it happen, and where it stands."""

    request_id: UUID
    headline: str
    status: Status
    short: Short


@dataclass(frozen=True)
class Timeline:
    """A request's course. `reads` are who read its trail, the newest first, and stand apart from it."""

    request_id: UUID
    headline: str
    is_undoing: bool
    status: Status
    trace_ids: tuple[str, ...]
    short: Short
    steps: tuple[Step, ...]
    reads: tuple[TrailLine, ...]
    took: timedelta | None
    is_exact: bool
    was_sent: bool

    @property
    def lines(self) -> tuple[TrailLine, ...]:
        return tuple(step.line for step in self.steps)


def timeline(request_id: UUID, by: Reviewer) -> Timeline:
    """One request's events in order of time. Raises NotFound, leaving an event, for what is not this tenant's.

    Auditors and operators see each event to the letter too; to others an exercise must read as any request.
    """
    with tenant_scope(by.tenant_id):
        fields = (*exercises.TOLD_BY, "headline", "undoes_id")
        request = ApprovalRequest.objects.filter(pk=request_id).only(*fields).first()
        if request is not None:
            return _timeline(request, by)
        denied(by, wanted="trail", code="not_found", what=str(request_id))
    raise NotFound(thing="request", id=request_id)


def in_short(request_ids: Sequence[UUID], by: Reviewer) -> tuple[Told, ...]:
    """Who let these happen, in this order. For auditors: the caller checks."""
    with tenant_scope(by.tenant_id):
        mine = ApprovalRequest.objects.filter(tenant_id=by.tenant_id, pk__in=request_ids)
        found = {one.pk: one for one in mine.only("id", "headline", "status")}
        every = [entry for key in found for entry in audit.trail(by.tenant_id, key)]
        told: dict[UUID, list[TrailLine]] = {key: [] for key in found}
        for entry, line in zip(every, lines(by.tenant_id, every), strict=True):
            if entry.request_id in told:
                told[entry.request_id].append(line)
    return tuple(
        Told(key, found[key].headline, Status(found[key].status), _short(told[key]))
        for key in request_ids
        if key in found
    )


def _timeline(request: ApprovalRequest, by: Reviewer) -> Timeline:
    is_exact = exercises.knows(by)
    every = exercises.trail_for(by, request, audit.trail(by.tenant_id, request.pk))
    entries = [one for one in told_to(by, every) if one.kind != READ]
    reads = [one for one in reversed(every) if one.kind == READ] if is_exact else []
    exactly = audit.written(by.tenant_id, [one.id for one in entries]) if is_exact else {}
    attempts = {one.number: one for one in Execution.objects.filter(request=request)}
    told = lines(by.tenant_id, entries)
    return Timeline(
        request_id=request.pk,
        headline=request.headline,
        is_undoing=request.undoes_id is not None,
        status=Status(request.status),
        trace_ids=tuple(dict.fromkeys(one.trace_id for one in entries if one.trace_id)),
        short=_short(told),
        steps=tuple(_steps(told, known(by.tenant_id, entries), attempts, exactly)),
        reads=lines(by.tenant_id, reads),
        took=entries[-1].at - entries[0].at if len(entries) > 1 else None,
        is_exact=is_exact,
        was_sent=any(one.kind == "execution.sent" for one in entries),
    )


def _steps(
    told: Sequence[TrailLine],
    by: Known,
    attempts: Mapping[int, Execution],
    exactly: Mapping[UUID, Written],
) -> Iterator[Step]:
    before: datetime | None = None
    for line in told:
        entry = line.entry
        icon, phase = _phase(entry.kind)
        yield Step(
            line=line,
            icon=icon,
            phase=phase,
            facts=said(entry, by),
            after=entry.at - before if before else None,
            answer=_answer(entry, attempts),
            written=exactly.get(entry.id),
            is_new_day=before is None or before.date() != entry.at.date(),
        )
        before = entry.at


def _phase(kind: str) -> tuple[str, Words]:
    beginnings = [one for one in PHASES if kind.startswith(one)]
    return PHASES[max(beginnings, key=len)] if beginnings else ELSE


def _answer(entry: TrailEntry, attempts: Mapping[int, Execution]) -> Answer | None:
    """Of the attempt that is sent here, by the number that the event names."""
    number = entry.data.get("attempt")
    found = attempts.get(number) if entry.kind == "execution.sent" and isinstance(number, int) else None
    if found is None:
        return None
    took = found.finished_at - found.sent_at if found.finished_at and found.sent_at else None
    return Answer(found.backing_status, found.outcome, found.detail, found.finished_at, took)


# --- in short ---------------------------------------------------------------------------------------------------

ENDS: Mapping[str, Words] = MappingProxyType(
    {
        "execution.succeeded": gettext_lazy("Carried out"),
        "execution.failed": gettext_lazy("Not carried out"),
        "execution.uncertain": gettext_lazy("Sent; whether it happened is not known"),
        "request.denied": gettext_lazy("Denied"),
        "request.withdrawn": gettext_lazy("Taken back"),
        "request.expired": gettext_lazy("Ran out of time"),
        "canary.caught": gettext_lazy("Ended: it was an exercise"),
        "canary.missed": gettext_lazy("Ended: it was an exercise"),
    }
)
# After them it waits for a decision again, and what was approved lets nothing happen any more.
UNDONE = ("request.stale", "request.reopened")


def _short(told: Sequence[TrailLine]) -> Short:
    first = told[0] if told else None
    last = next((line for line in reversed(told) if line.entry.kind in ENDS), None)
    let = next((line for line in reversed(told) if line.entry.kind in ("request.approved", *UNDONE)), None)
    let = let if let and let.entry.kind not in UNDONE else None
    names, how = _let_through(let, told) if let else ((), "")
    return Short(
        asked_by=first.actor if first else "",
        asked_at=first.entry.at if first else None,
        let_by=names,
        let_how=how,
        ended=ENDS[last.entry.kind] if last else "",
        ended_at=last.entry.at if last else None,
    )


def _let_through(let: TrailLine, told: Sequence[TrailLine]) -> tuple[tuple[str, ...], Words]:
    """By a rule, by one person alone, or by those whose approvals of that revision stand before it."""
    if let.rule:
        return (let.rule,), _("a rule of the policy; no person")
    if let.entry.data.get("break_glass"):
        return (let.actor,), _("one person alone, by break-glass")
    revision = let.entry.data.get("revision")
    voters = [
        line.actor
        for line in told
        if line.entry.kind == "vote.cast"
        and line.entry.at <= let.entry.at
        and (line.entry.data.get("decision"), line.entry.data.get("revision")) == (Vote.APPROVE, revision)
    ]
    return tuple(dict.fromkeys(voters)) or (let.actor,), _("by vote")
