"""What was pushed through alone, for those who watch: each use with what was said to it, the unreviewed first."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.utils import timezone

from approvals import judge, switches
from approvals.database import tenant_scope
from approvals.glass import AUDITOR, BREAKER, SECURITY
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, BreakGlass
from approvals.queries.paging import ROWS
from approvals.states import OPEN, Status


@dataclass(frozen=True)
class GlassReview:
    who: str
    verdict: str
    comment: str
    at: datetime


@dataclass(frozen=True)
class GlassUse:
    """One time that somebody pushed a request through alone. `is_mine`: the reader did, so somebody else reviews it.

    `holds`: its request may still be carried out under it. `came_back`: it was not, for it was no longer true.
    """

    id: UUID
    request_id: UUID
    headline: str
    revision: int
    who: str
    reason: str
    proof: str
    at: datetime
    valid_until: datetime
    is_mine: bool
    holds: bool
    came_back: bool
    review: GlassReview | None


def may_watch(by: Reviewer) -> bool:
    """Who sees each use, and the banner while one is not reviewed."""
    return bool({SECURITY, AUDITOR} & by.roles) or switches.may_operate(by)


def may_review(by: Reviewer) -> bool:
    return bool({SECURITY, AUDITOR} & by.roles)


def may_break(by: Reviewer, request: ApprovalRequest) -> bool:
    """Whether a page speaks of it, be it to say that nobody can; the verb checks by itself, and says more."""
    pending = request.status == Status.PENDING
    return BREAKER in by.roles and pending and judge.independent(by.person_id, request)


def unreviewed(by: Reviewer) -> int:
    """How many of the tenant nobody has reviewed yet."""
    with tenant_scope(by.tenant_id):
        return BreakGlass.objects.filter(tenant_id=by.tenant_id, review=None).count()


def glass_uses(by: Reviewer) -> tuple[tuple[GlassUse, ...], tuple[GlassUse, ...]]:
    """All that are not reviewed yet, oldest first, and the newest that are."""
    with tenant_scope(by.tenant_id):
        found = BreakGlass.objects.filter(tenant_id=by.tenant_id).select_related(
            "person", "request", "review", "review__person"
        )
        waiting = found.filter(review=None).order_by("created_at", "id")
        done = found.exclude(review=None).order_by("-created_at", "id")[:ROWS]
        return tuple(_use(row, by) for row in waiting), tuple(_use(row, by) for row in done)


def glass_of(request: ApprovalRequest, by: Reviewer) -> GlassUse | None:
    """The one of its current revision; in the tenant's scope."""
    row = (
        BreakGlass.objects.filter(request=request, revision=request.revision)
        .select_related("person", "request", "review", "review__person")
        .first()
    )
    return _use(row, by) if row else None


def _use(row: BreakGlass, by: Reviewer) -> GlassUse:
    came_back = row.revision != row.request.revision or row.request.status == Status.STALE
    return GlassUse(
        id=row.pk,
        request_id=row.request_id,
        headline=row.request.headline,
        revision=row.revision,
        who=row.person.name,
        reason=row.reason,
        proof=row.proof,
        at=row.created_at,
        valid_until=row.valid_until,
        is_mine=row.person_id == by.person_id,
        holds=not came_back and row.request.status in OPEN and row.valid_until > timezone.now(),
        came_back=came_back,
        review=_review(row),
    )


def _review(row: BreakGlass) -> GlassReview | None:
    try:
        said = row.review
    except ObjectDoesNotExist:
        return None
    return GlassReview(said.person.name, said.verdict, said.comment, said.created_at)
