"""Whether somebody's break-glass stands in for the people that a request still needs: asked before it is executed."""

from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from approvals import judge
from approvals.errors import CoolsTooLong, FourEyesAlways, NothingToBreak, PolicyForbids, Refusal, WindowShut
from approvals.identity.models import Membership
from approvals.identity.proof import SECOND_FACTORS, fresh_for
from approvals.models import ApprovalRequest, BreakGlass
from approvals.models.break_glass import BOX
from approvals.payloads import digest
from policies.verdicts import NO_TIME, AutoApprove, Deny, Require, from_json
from policies.windows import opening

BREAKER = "break_glass"  # the role
SECURITY, AUDITOR = "security", "auditor"  # who is told of it, and who looks at it afterwards
# The approval ends this much before the glass does: its clock is read a moment later, and the database compares.
EARLIER = timedelta(seconds=10)


def never_because(request: ApprovalRequest) -> Refusal | None:
    """Why nobody at all can push this one through, whatever they prove: so that a page says it instead of asking."""
    verdict = from_json(request.verdict)
    if isinstance(verdict, Deny):
        return PolicyForbids(because=verdict.because)
    if isinstance(verdict, AutoApprove):
        return NothingToBreak()
    if request.agent_id is None:
        return FourEyesAlways()
    if verdict.cooling_off and verdict.cooling_off >= BOX - EARLIER:
        return CoolsTooLong()
    now = timezone.now()
    opens = opening(verdict.windows, now + (verdict.cooling_off or NO_TIME))
    if verdict.windows and (opens is None or opens - now >= lasts(verdict)):
        return WindowShut()
    return None


def lasts(verdict: Require) -> timedelta:
    """How long an approval by a broken glass holds: no longer than one by the people whom the rule asks would."""
    return min(BOX - EARLIER, verdict.valid_for)


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
