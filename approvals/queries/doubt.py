"""What is in doubt, for operators: each request with its age, what was sent and answered, and who settles it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Prefetch, QuerySet
from django.utils import timezone

from approvals import actions, judge, switches
from approvals.actions.settle_execution import NAME, SETTLER
from approvals.database import tenant_scope
from approvals.fields import Amount, amount
from approvals.glass import AUDITOR
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, Execution, Settlement, Vote
from approvals.queries.paging import ROWS, Page, mark, page, parsed
from approvals.states import OPEN, Status


@dataclass(frozen=True)
class InDoubt:
    """One request of which nobody knows whether it happened. `stays`: for longer than operators are left in peace."""

    id: UUID
    headline: str
    amount: Amount | None
    requester: str
    since: datetime
    stays: bool
    times_sent: int
    last_sent_at: datetime | None
    last_status: int | None
    last_answer: str
    absent_at: (
        datetime | None
    )  # since when the provider has no record of it, asked late enough to be believed
    settling: UUID | None  # the request that would settle it, while it is open


@dataclass(frozen=True)
class SettledByHand:
    """How people settled it. `by` is the request in which they agreed."""

    by: UUID
    happened: bool
    at: datetime
    asked_by: str
    agreed: tuple[str, ...]


@dataclass(frozen=True)
class Doubt:
    """What a request's page says of its doubt. `may_settle`: this reader may ask for it; `about`: what it settles."""

    since: datetime | None
    stays: bool
    settling: UUID | None
    settled: SettledByHand | None
    may_settle: bool
    about: UUID | None


def may_see_doubt(by: Reviewer) -> bool:
    """Who has the page, and the banner while something stays in doubt."""
    return switches.may_operate(by) or AUDITOR in by.roles


def staying(by: Reviewer) -> int:
    """How many requests of the tenant stay in doubt."""
    with tenant_scope(by.tenant_id):
        return _in_doubt(by.tenant_id).filter(doubted_at__lte=_then()).count()


def in_doubt(by: Reviewer, *, after: str = "") -> Page[InDoubt]:
    """All of the tenant, the oldest first."""
    with tenant_scope(by.tenant_id):
        found = _in_doubt(by.tenant_id).order_by("doubted_at", "id")
        if start := parsed(after):
            _, at, last = start
            found = found.filter(doubted_at__gte=at).exclude(doubted_at=at, id__lte=last)
        sent = Execution.objects.exclude(sent_at=None).order_by("number")
        rows = list(found.prefetch_related(Prefetch("executions", sent, "sent"))[: ROWS + 1])
        settling = _settling(by.tenant_id, rows)
        marks = [mark(row.doubted_at or row.created_at, row.pk) for row in rows]
        return page([_row(row, settling.get(row.pk)) for row in rows], marks, ROWS)


def doubt_of(request: ApprovalRequest, by: Reviewer) -> Doubt:
    """In the tenant's scope."""
    is_open = request.status == Status.UNCERTAIN
    return Doubt(
        since=request.doubted_at if is_open else None,
        stays=is_open and _stays(request),
        settling=_settling(request.tenant_id, [request]).get(request.pk) if is_open else None,
        settled=_settled(request),
        may_settle=is_open
        and SETTLER in by.roles
        and request.action not in actions.of_people()
        and judge.independent(by.person_id, request),
        about=UUID(request.resource_id) if request.action == NAME else None,
    )


def _in_doubt(tenant_id: UUID) -> QuerySet[ApprovalRequest]:
    return ApprovalRequest.objects.filter(tenant_id=tenant_id, status=Status.UNCERTAIN)


def _then() -> datetime:
    """What was in doubt by then stays in doubt."""
    return timezone.now() - timedelta(seconds=settings.UNCERTAIN_ALERT_SECONDS)


def _stays(request: ApprovalRequest) -> bool:
    return request.doubted_at is not None and request.doubted_at <= _then()


def _settling(tenant_id: UUID, requests: Iterable[ApprovalRequest]) -> dict[UUID, UUID]:
    """By the request in doubt: the newest open one that would settle it."""
    asked = ApprovalRequest.objects.filter(
        tenant_id=tenant_id,
        action=NAME,
        resource_id__in=[str(request.pk) for request in requests],
        status__in=sorted(OPEN),
    )
    return {UUID(about): pk for about, pk in asked.order_by("created_at").values_list("resource_id", "pk")}


def _row(request: ApprovalRequest, settling: UUID | None) -> InDoubt:
    sent: list[Execution] = request.sent  # type: ignore[attr-defined]
    last = sent[-1] if sent else None
    return InDoubt(
        id=request.pk,
        headline=request.headline,
        amount=amount(request.amount_minor, request.currency),
        requester=request.requester_name,
        since=request.doubted_at or request.created_at,
        stays=_stays(request),
        times_sent=len(sent),
        last_sent_at=last.sent_at if last else None,
        last_status=last.backing_status if last else None,
        last_answer=last.detail if last else "",
        absent_at=max((one.absent_at for one in sent if one.absent_at), default=None),
        settling=settling,
    )


def _settled(request: ApprovalRequest) -> SettledByHand | None:
    try:
        found: Settlement = request.settlement
    except ObjectDoesNotExist:
        return None
    asked = found.by
    agreed = Vote.objects.filter(request=asked, revision=asked.revision, decision=Vote.APPROVE)
    names = agreed.order_by("created_at").values_list("person__name", flat=True)
    return SettledByHand(asked.pk, found.happened, found.at, asked.requester_name, tuple(names))
