"""Whether somebody's break-glass stands in for the people that a request still needs: asked before it is executed."""

from django.db.models import F
from django.utils import timezone

from approvals import judge
from approvals.identity.models import Membership
from approvals.identity.proof import SECOND_FACTORS, fresh_for
from approvals.models import ApprovalRequest, BreakGlass
from approvals.payloads import digest

BREAKER = "break_glass"  # the role
SECURITY, AUDITOR = "security", "auditor"  # who is told of it, and who looks at it afterwards


def in_force(request: ApprovalRequest) -> BreakGlass | None:
    """The one for exactly what is stored now, in its time, by an independent person who holds the role still."""
    found = BreakGlass.objects.filter(
        request=request,
        revision=request.revision,
        digest=digest(judge.seen(request)),
        valid_until__gt=timezone.now(),
        proof__in=SECOND_FACTORS,
        proved_at__gte=F("created_at") - fresh_for(),
    ).first()
    if found is None or not judge.independent(found.person_id, request):
        return None
    holds = Membership.objects.filter(
        person_id=found.person_id, person__is_active=True, tenant_id=request.tenant_id, role=BREAKER
    )
    return found if holds.exists() else None
