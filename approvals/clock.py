"""The clock's verbs, in the sweeper: what happens to a request because time has passed."""

from uuid import UUID

from django.contrib.postgres.functions import TransactionNow
from django.db.models import Q
from django.utils import timezone

from approvals import outbox, switches, watching
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest
from approvals.states import Status, sources

SWEEPER = Actor("system", "sweeper")


def expire(request_id: UUID, tenant_id: UUID) -> bool:
    """True when the request's time was up, no switch held it, and it expired now."""
    now = timezone.now()
    with tenant_scope(tenant_id):
        # By the database's clock, which refuses by it too (migration 0009).
        late = ApprovalRequest.objects.filter(
            pk=request_id,
            status__in=sources(Status.EXPIRED),
            expires_at__lte=TransactionNow(),
            frozen_at=None,
        )
        won = late.exclude(switches.covered()).update(status=Status.EXPIRED, finished_at=now)
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


def overdue(limit: int = 200) -> list[tuple[UUID, UUID]]:
    """Requests of all tenants whose time is up: (id, tenant id)."""
    late = Q(status__in=sources(Status.EXPIRED), expires_at__lte=timezone.now(), frozen_at=None)
    return list(ApprovalRequest.objects.filter(late).values_list("id", "tenant_id")[:limit])
