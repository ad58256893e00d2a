"""What people saw beside what ran: digests computed anew from what is stored, never a verdict that was written down.

Three things are held against each other: what a decision was bound to (the vote, and its event), what is stored now,
and what a worker wrote down as it sent it, after it had read the facts again. Of these facts the digest is all that was
kept: a worker sends nothing where it differs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from approvals import judge, material
from approvals.audit import queries as audit
from approvals.audit.queries import TrailEntry
from approvals.database import tenant_scope
from approvals.errors import NotFound, PayloadErased, PayloadUnreadable
from approvals.fields import Field
from approvals.identity.requester import Reviewer
from approvals.kept import Kept, as_shown, kept
from approvals.models import ApprovalRequest, BreakGlass, Execution, Revision, Vote
from approvals.outcomes import OUTCOME_ON_TRAIL
from approvals.payloads import digest, salted
from approvals.queries.trail import denied
from approvals.states import Status

Mark: TypeAlias = Literal["same", "differs", "unknown"]
Lost: TypeAlias = Literal["", "row", "event"]

SAYS_ARGUMENTS = ("request.created", "request.revised", "canary.filed")
SAYS_FACTS = (*SAYS_ARGUMENTS, "request.reopened", "request.rejudged")
CAST, BROKEN = "vote.cast", "request.break_glass"
# What an earlier revision has of its own; all else is the request's.
OF_A_REVISION = (
    "revision",
    "arguments",
    "facts",
    "redacted",
    "verdict",
    "policy_version_id",
    "headline",
    "amount_minor",
    "currency",
    "risk",
)


@dataclass(frozen=True)
class Bound:
    """A decision, and the digest of what was on the screen. `now` is that of what is stored, "" where nobody can tell.

    `on_trail` is the digest that its event has. A decision has both a row and an event; `lost` says which is not there.
    """

    who: str
    is_glass: bool
    at: datetime
    revision: int
    digest: str
    on_trail: str
    now: str
    lost: Lost = ""

    @property
    def mark(self) -> Mark:
        return "differs" if self.lost else _mark(self.digest, self.on_trail, self.now)


@dataclass(frozen=True)
class Part:
    """Arguments or facts: the digest when people saw them, of what is stored now, and as it was sent; "" is unknown."""

    fields: tuple[Field, ...]
    seen: str
    now: str
    sent: str
    was_sent: bool

    @property
    def mark(self) -> Mark:
        return _mark(self.seen, self.now, *([self.sent] if self.was_sent else []))

    @property
    def ran(self) -> Mark:
        """Whether what was sent is what people saw, whatever is stored by now."""
        return _mark(self.seen, self.sent)


@dataclass(frozen=True)
class Attempt:
    """One that was sent: what its event says, and what the execution record has. `key_fits`: both name the same key."""

    number: int
    at: datetime
    key: str
    key_fits: bool
    status: int | None
    outcome: str
    detail: str
    finished_at: datetime | None


@dataclass(frozen=True)
class Said:
    """How it ended, on the trail and on the request; None where the trail says nothing, or it was erased there.

    Of long words the trail keeps the first `kept_of_it` characters.
    """

    on_trail: str | None
    stored: str
    kept_of_it: int | None = None

    @property
    def mark(self) -> Mark:
        if self.on_trail is None:
            return "unknown"
        return "same" if self.stored[: self.kept_of_it] == self.on_trail else "differs"


@dataclass(frozen=True)
class Compared:
    """`revision` is the one that was sent, or the current one where none was; None where its event does not say."""

    request_id: UUID
    headline: str
    status: Status
    revision: int
    is_revision_written: bool
    rule: str  # that let it through without people; else ""
    bounds: tuple[Bound, ...]
    arguments: Part
    facts: Part
    attempts: tuple[Attempt, ...]
    outcome: Said
    reference: Said
    kept: Kept

    @property
    def is_ended(self) -> bool:
        """Whether there is an outcome to compare: it was sent, or the trail says that it ended without."""
        return bool(self.attempts) or self.reference.on_trail is not None

    @property
    def mark(self) -> Mark:
        """Of all that was held against each other."""
        marks = {self.arguments.mark, self.facts.mark, *(bound.mark for bound in self.bounds)}
        marks |= {self.outcome.mark, self.reference.mark} if self.is_ended else set()
        marks |= {"same" if one.key_fits else "differs" for one in self.attempts}
        return "differs" if "differs" in marks else "unknown" if "unknown" in marks else "same"


def compared(request_id: UUID, by: Reviewer) -> Compared:
    """Of one request. For auditors: the caller checks.

    Raises NotFound, leaving an event, for what is not this tenant's.
    """
    with tenant_scope(by.tenant_id):
        request = ApprovalRequest.objects.select_related("policy_version").filter(pk=request_id).first()
        if request is not None:
            return _compared(request, audit.trail(by.tenant_id, request_id))
        denied(by, wanted="trail", code="not_found", what=str(request_id))
    raise NotFound(thing="request", id=request_id)


def _compared(request: ApprovalRequest, entries: Sequence[TrailEntry]) -> Compared:
    sent = [one for one in entries if one.kind == "execution.sent"]
    last = sent[-1] if sent else None
    written = last.data.get("revision") if last else None
    revision = written if isinstance(written, int) else request.revision
    then = _as_it_was(request, revision)
    shown = as_shown(then, decides=False)
    before = [one for one in entries if last is None or one.at <= last.at]
    return Compared(
        request_id=request.pk,
        headline=request.headline,
        status=Status(request.status),
        revision=revision,
        is_revision_written=isinstance(written, int),
        rule=_rule(before),
        bounds=tuple(_bounds(request, then, entries)),
        arguments=Part(
            material.claimed(shown),
            _told(before, SAYS_ARGUMENTS, "arguments_sha256", revision),
            _now(lambda: salted(request.salt, then.arguments)),
            _of(last, "arguments_sha256"),
            last is not None,
        ),
        facts=Part(
            material.looked_up(shown),
            _told(before, SAYS_FACTS, "facts_sha256", revision),
            _now(lambda: salted(request.salt, then.facts)),
            _of(last, "facts_sha256"),
            last is not None,
        ),
        attempts=tuple(_attempts(request, sent)),
        outcome=Said(_end(entries, "outcome"), request.outcome, OUTCOME_ON_TRAIL),
        reference=Said(_end(entries, "reference"), request.backing_reference),
        kept=kept(request, decides=False),
    )


def _as_it_was(request: ApprovalRequest, revision: int) -> ApprovalRequest:
    """The request in one of its revisions. Never to be saved."""
    earlier = Revision.objects.filter(request=request, revision=revision).first()
    if earlier is None:
        return request
    then = copy(request)
    for name in OF_A_REVISION:
        # Past the fields' own reading: what is sealed stays so, and what was erased raises only where it is read.
        then.__dict__[name] = earlier.__dict__[name]
    return then


def _bounds(request: ApprovalRequest, then: ApprovalRequest, entries: Sequence[TrailEntry]) -> list[Bound]:
    """Of those who let this revision through, in order of time: what is stored of them, and what is only told."""
    now = _shown_now(then)
    told = {(one.kind, one.actor.id): one for one in entries if _lets(one, then.revision)}
    votes = Vote.objects.filter(request=request, revision=then.revision, decision=Vote.APPROVE)
    glasses = BreakGlass.objects.filter(request=request, revision=then.revision)
    rows: list[Vote | BreakGlass] = [*votes.select_related("person"), *glasses.select_related("person")]
    found = []
    for row in rows:
        is_glass = isinstance(row, BreakGlass)
        event = told.pop((BROKEN if is_glass else CAST, str(row.person_id)), None)
        lost: Lost = "" if event else "event"
        found.append(
            Bound(
                row.person.name,
                is_glass,
                row.created_at,
                row.revision,
                row.digest,
                _of(event, "seen_sha256"),
                now,
                lost,
            )
        )
    for event in told.values():
        who, on_trail = event.personal.get("name") or event.actor.id, _of(event, "seen_sha256")
        found.append(Bound(who, event.kind == BROKEN, event.at, then.revision, "", on_trail, now, "row"))
    return sorted(found, key=lambda one: one.at)


def _lets(entry: TrailEntry, revision: int) -> bool:
    is_approval = entry.kind == CAST and entry.data.get("decision") == Vote.APPROVE
    return (is_approval or entry.kind == BROKEN) and entry.data.get("revision") == revision


def _shown_now(then: ApprovalRequest) -> str:
    """The digest of what a page shows of it now; "" where a sentence of it is not what it was, and nothing changed.

    Of an undoing the page says whether it is exact, for which what it undoes has to be there still.
    """
    if then.undoes_id and material.how_exactly(then) in (material.UNTOLD, material.NOT_COMPARED):
        return ""
    return _now(lambda: digest(judge.seen(then)))


def _attempts(request: ApprovalRequest, sent: Sequence[TrailEntry]) -> Iterator[Attempt]:
    rows: Mapping[int, Execution] = {one.number: one for one in Execution.objects.filter(request=request)}
    for entry in sent:
        number = entry.data.get("attempt")
        row = rows.get(number) if isinstance(number, int) else None
        key = _of(entry, "key")
        yield Attempt(
            number=number if isinstance(number, int) else 0,
            at=entry.at,
            key=key,
            key_fits=row is not None and row.key == key,
            status=row.backing_status if row else None,
            outcome=row.outcome if row else "",
            detail=row.detail if row else "",
            finished_at=row.finished_at if row else None,
        )


def _told(entries: Sequence[TrailEntry], kinds: Sequence[str], name: str, revision: int) -> str:
    """What the last event before it was sent says, of this revision or of one before it that it took over."""
    said = [
        _of(one, name)
        for one in entries
        if one.kind in kinds and name in one.data and int(str(one.data.get("revision") or 1)) <= revision
    ]
    return said[-1] if said else ""


def _rule(entries: Sequence[TrailEntry]) -> str:
    let = [one for one in entries if one.kind == "request.approved"]
    return _of(let[-1], "rule") if let and let[-1].actor.kind == "system" else ""


def _end(entries: Sequence[TrailEntry], name: str) -> str | None:
    ends = [one for one in entries if one.kind in ("execution.succeeded", "execution.failed")]
    if not ends:
        return None
    said = ends[-1].personal.get(name) if name in ends[-1].personal else ends[-1].data.get(name)
    return None if said is None else str(said)


def _of(entry: TrailEntry | None, name: str) -> str:
    return str(entry.data.get(name) or "") if entry else ""


def _now(compute: Callable[[], str]) -> str:
    """ "" where what it is made of was erased, or no key opens it."""
    try:
        return compute()
    except (PayloadErased, PayloadUnreadable):
        return ""


def _mark(*digests: str) -> Mark:
    """Whether all that are known are the same; unknown where one is not known, and the others do not differ."""
    known = {one for one in digests if one}
    if len(known) > 1:
        return "differs"
    return "same" if all(digests) else "unknown"
