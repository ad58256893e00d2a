"""Policy versions for people: which there are, what each says and would change, and who put it in force."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from approvals.actions.activate_policy import APPROVER, NAME
from approvals.database import tenant_scope
from approvals.errors import NotFound
from approvals.identity.models import Membership
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, PolicyActivation, PolicyVersion, Vote
from approvals.queries.paging import ROWS, Page, mark, page, parsed
from approvals.queries.trail import denied
from approvals.states import OPEN, Status
from policies.changes import Line, changes, counted, lines


@dataclass(frozen=True)
class PolicyRow:
    """One version. `author` is "" for the one that a company begins with; `is_asked`: a request for it is open."""

    number: int
    author: str
    because: str
    based_on: int | None
    created_at: datetime
    is_active: bool
    activated_at: datetime | None
    until: datetime | None  # when another took its place, the last time
    is_asked: bool = False


@dataclass(frozen=True)
class Change:
    """What one text changes of another: `lines` is (), where they are the same to the letter."""

    before: int | None  # the version that it is compared with; None where no policy is in force
    after: int
    lines: tuple[Line, ...]
    added: int
    removed: int


@dataclass(frozen=True)
class InForce:
    """Once that a version came into force. `request_id` is None where the seed signed it."""

    at: datetime
    replaced: int | None
    request_id: UUID | None
    asked_by: str
    agreed: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """A request to put it in force that is not finished."""

    request_id: UUID
    status: Status
    by: str
    at: datetime


@dataclass(frozen=True)
class PolicyView:
    """One version, whole. `has_decider`: somebody could agree to it, if the reader asked for it."""

    row: PolicyRow
    source: str
    source_sha256: str
    text: tuple[Line, ...]
    change: Change  # of what is in force now
    in_force: tuple[InForce, ...]  # the last time first
    asked: tuple[Asked, ...]
    has_decider: bool


@dataclass(frozen=True)
class PolicyChange:
    """What an activation asks for: the whole change, who wrote it and why.

    `overtaken_by` is in force by now, where that is no longer what was in force at its look-up.
    """

    row: PolicyRow
    change: Change
    overtaken_by: int | None


def policies(by: Reviewer, *, after: str = "", rows: int = ROWS) -> Page[PolicyRow]:
    """The versions of the reviewer's tenant, the newest first; `after` is a page's mark."""
    with tenant_scope(by.tenant_id):
        found = _versions().order_by("-number")
        if place := parsed(after):
            found = found.filter(number__lt=place[0])
        versions = list(found[: rows + 1])
        waiting = {_payload(one)["args"]["version_id"] for one in _open()}
    marks = [mark(version.created_at, version.pk, version.number) for version in versions]
    shown = [replace(_row(version), is_asked=str(version.pk) in waiting) for version in versions]
    return page(shown, marks, rows)


def policy_view(number: int, by: Reviewer) -> PolicyView:
    """One version of the reviewer's tenant. Raises NotFound, leaving an event, for any other number."""
    with tenant_scope(by.tenant_id):
        version = _version(number)
        if version is not None:
            return _view(version, by)
        denied(by, wanted="policy", code="not_found", what=f"version {number}")
    raise NotFound(thing="policy version", id=number)


def policy_in_force(by: Reviewer) -> PolicyView | None:
    """The version in force now."""
    with tenant_scope(by.tenant_id):
        active = _active()
        return _view(active, by) if active else None


def change_asked(request: ApprovalRequest) -> PolicyChange | None:
    """What an activation changes, of what was in force at its look-up; None for others. In its tenant's scope."""
    if request.action != NAME:
        return None
    if not request.redacted:
        return None  # erased
    payload = _payload(request)
    version, facts = _version(payload["args"]["number"]), payload["facts"]
    before = facts["active_number"]
    if version is None:
        return None
    change = _change(_version(before) if before else None, version)
    return PolicyChange(_row(version), change, _overtaken_by(facts))


def _payload(request: ApprovalRequest) -> dict[str, dict[str, Any]]:
    """`args` and `facts` of an activation: nothing of it is sensitive, so the redacted payload is the whole."""
    found: dict[str, dict[str, Any]] = json.loads(request.redacted)
    return found


def _overtaken_by(facts: Mapping[str, object]) -> int | None:
    """What is in force now, where it is not what these facts of an activation say."""
    now = _active()
    if now is None or (now.number, now.source_sha256) == (
        facts["active_number"],
        facts["active_source_sha256"],
    ):
        return None
    return now.number


def _version(number: int) -> PolicyVersion | None:
    return _versions().filter(number=number).first()


def _active() -> PolicyVersion | None:
    return _versions().filter(is_active=True).first()


def _versions() -> QuerySet[PolicyVersion]:
    replaced = PolicyActivation.objects.filter(replaced=OuterRef("pk")).order_by("-id")
    return PolicyVersion.objects.select_related("author", "based_on").annotate(
        until=Subquery(replaced.values("at")[:1])
    )


def _row(version: PolicyVersion) -> PolicyRow:
    return PolicyRow(
        number=version.number,
        author=version.author.name if version.author else "",
        because=version.because,
        based_on=version.based_on.number if version.based_on else None,
        created_at=version.created_at,
        is_active=version.is_active,
        activated_at=version.activated_at,
        until=version.until,  # type: ignore[attr-defined] # an annotation
    )


def _change(before: PolicyVersion | None, after: PolicyVersion) -> Change:
    found = changes(before.source if before else "", after.source)
    return Change(before.number if before else None, after.number, found, *counted(found))


def _view(version: PolicyVersion, by: Reviewer) -> PolicyView:
    numbered = enumerate(lines(version.source), 1)
    operators = Membership.objects.filter(tenant_id=by.tenant_id, role=APPROVER, person__is_active=True)
    parts = [person_id for person_id in (version.author_id, by.person_id) if person_id]
    return PolicyView(
        row=_row(version),
        source=version.source,
        source_sha256=version.source_sha256,
        text=tuple(Line("same", text, new=number) for number, text in numbered),
        change=_change(_active(), version),
        in_force=_in_force(version),
        asked=_asked(version),
        has_decider=operators.exclude(person_id__in=parts).exists(),
    )


def _in_force(version: PolicyVersion) -> tuple[InForce, ...]:
    found = PolicyActivation.objects.filter(version=version).select_related("replaced", "request")
    return tuple(
        InForce(
            at=one.at,
            replaced=one.replaced.number if one.replaced else None,
            request_id=one.request_id,
            asked_by=one.request.requester_name if one.request else "",
            agreed=_agreed(one.request) if one.request else (),
        )
        for one in found.order_by("-id")[:ROWS]
    )


def _agreed(request: ApprovalRequest) -> tuple[str, ...]:
    votes = Vote.objects.filter(request=request, revision=request.revision, decision=Vote.APPROVE)
    return tuple(votes.order_by("created_at").values_list("person__name", flat=True))


def _asked(version: PolicyVersion) -> tuple[Asked, ...]:
    return tuple(
        Asked(one.pk, Status(one.status), one.requester_name, one.created_at)
        for one in _open()
        if _payload(one)["args"]["version_id"] == str(version.pk)
    )


def _open() -> QuerySet[ApprovalRequest]:
    """The activations that are not finished, the oldest first."""
    return ApprovalRequest.objects.filter(action=NAME, status__in=sorted(OPEN)).order_by("created_at")
