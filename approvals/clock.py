"""The clock's verbs, in the sweeper: what happens to a request because time has passed."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.functions import TransactionNow
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from approvals import outbox, switches, watching
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Claim, Vote
from approvals.notifications import stays_uncertain
from approvals.states import Status, sources

SWEEPER = Actor("system", "sweeper")
# By the database's clock, which refuses by it too (migration 0012). What a switch holds is left alone.
WAITS = Q(status=Status.PENDING, frozen_at=None, expires_at__gt=TransactionNow())
ESCALATES = WAITS & Q(escalates_at__lte=TransactionNow(), escalated_at=None)
REMINDS = WAITS & Q(reminds_at__lte=TransactionNow(), reminded_at=None)
# Nobody has voted on it or is looking at it. Of both the sweeper sees that they are there, and no more.
UNTOUCHED = ~Exists(Vote.objects.filter(request=OuterRef("pk"), revision=OuterRef("revision"))) & ~Exists(
    Claim.objects.filter(
        request=OuterRef("pk"), revision=OuterRef("revision"), released_at=None, until__gt=TransactionNow()
    )
)


def expire(request_id: UUID, tenant_id: UUID) -> bool:
    """True when the request's time was up, no switch held it, and it expired now."""
    now = timezone.now()
    with tenant_scope(tenant_id):
        # By the database's clock, which refuses by it too (migration 0026).
        late = ApprovalRequest.objects.filter(
            pk=request_id,
            status__in=sources(Status.EXPIRED),
            expires_at__lte=TransactionNow(),
            frozen_at=None,
        )
        won = late.exclude(switches.covered(switches.STILL_ON & switches.IN_TIME)).update(
            status=Status.EXPIRED, finished_at=now
        )
        if won == 1:
            request = ApprovalRequest.objects.only("id", "tenant_id", "revision", "trace_id").get(
                pk=request_id
            )
            record(
                "request.expired",
                tenant_id=tenant_id,
                actor=SWEEPER,
                request_id=request_id,
                trace_id=request.trace_id,
            )
            outbox.announce(request, "request.expired")
            watching.moved(request)
    return won == 1


def escalate(request_id: UUID, tenant_id: UUID) -> bool:
    """True when nobody had decided in the time that the rule gives, and others are asked too from now on."""
    return _urged(request_id, tenant_id, ESCALATES, "escalated_at", "request.escalated", "request.escalated")


def remind(request_id: UUID, tenant_id: UUID) -> bool:
    """True when half of the time was over with nobody at it, and the receivers are told again, this once."""
    return _urged(
        request_id, tenant_id, REMINDS & UNTOUCHED, "reminded_at", "request.reminded", "request.reminder"
    )


def _urged(request_id: UUID, tenant_id: UUID, due: Q, done: str, kind: str, announcement: str) -> bool:
    with tenant_scope(tenant_id):
        waiting = ApprovalRequest.objects.filter(due, pk=request_id).exclude(switches.covered())
        won = waiting.update(**{done: TransactionNow()})
        if won == 1:
            request = ApprovalRequest.objects.only("id", "tenant_id", "revision", "trace_id").get(
                pk=request_id
            )
            record(
                kind,
                tenant_id=tenant_id,
                actor=SWEEPER,
                request_id=request_id,
                trace_id=request.trace_id,
                data={"revision": request.revision},
            )
            outbox.announce(request, announcement)
            watching.moved(request)
    return won == 1


def tell_of_doubt(request_id: UUID, tenant_id: UUID) -> bool:
    """True when it stays in doubt whether a request happened, and operators are told so now, this once."""
    with tenant_scope(tenant_id):
        won = ApprovalRequest.objects.filter(_in_doubt(), pk=request_id).update(
            doubt_told_at=TransactionNow()
        )
        if won == 1:
            request = ApprovalRequest.objects.only("id", "tenant_id", "revision", "trace_id").get(
                pk=request_id
            )
            record(
                "execution.stays_uncertain",
                tenant_id=tenant_id,
                actor=SWEEPER,
                request_id=request_id,
                trace_id=request.trace_id,
                data={"seconds": settings.UNCERTAIN_ALERT_SECONDS},
            )
            outbox.announce(request, stays_uncertain.KIND)
            outbox.put(request, outbox.MAIL, kind=stays_uncertain.KIND)
    return won == 1


def _in_doubt() -> Q:
    """For too long, and nobody was told yet. A switch stops what is not sent yet, and silences nothing of this."""
    too_long = TransactionNow() - timedelta(seconds=settings.UNCERTAIN_ALERT_SECONDS)
    return Q(status=Status.UNCERTAIN, doubt_told_at=None, doubted_at__lte=too_long)


def to_tell_of_doubt(limit: int = 200) -> list[tuple[UUID, UUID]]:
    """Requests of all tenants that stay in doubt, and whose operators were not told: (id, tenant id)."""
    return list(ApprovalRequest.objects.filter(_in_doubt()).values_list("id", "tenant_id")[:limit])


def to_escalate(limit: int = 200) -> list[tuple[UUID, UUID]]:
    """Requests of all tenants that nobody decided in the time that their rules give: (id, tenant id)."""
    return list(ApprovalRequest.objects.filter(ESCALATES).values_list("id", "tenant_id")[:limit])


def to_remind(limit: int = 200) -> list[tuple[UUID, UUID]]:
    """Requests of all tenants that half of their time has passed by, with nobody at them: (id, tenant id)."""
    return list(ApprovalRequest.objects.filter(REMINDS & UNTOUCHED).values_list("id", "tenant_id")[:limit])


def overdue(limit: int = 200) -> list[tuple[UUID, UUID]]:
    """Requests of all tenants whose time is up: (id, tenant id)."""
    late = Q(status__in=sources(Status.EXPIRED), expires_at__lte=timezone.now(), frozen_at=None)
    return list(ApprovalRequest.objects.filter(late).values_list("id", "tenant_id")[:limit])
