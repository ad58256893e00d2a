"""Full payloads for people: who may open one, and who has."""

from dataclasses import dataclass
from datetime import datetime

from approvals import switches
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, PayloadReading
from approvals.states import FINAL


@dataclass(frozen=True)
class Reading:
    """One time that somebody opened it. Why stands on the trail."""

    who: str
    at: datetime


def may_open(by: Reviewer, request: ApprovalRequest) -> bool:
    """Whether a page speaks of it; the verb checks by itself, and says more."""
    return switches.OPERATOR in by.roles and request.status in FINAL and request.payload_erased_at is None


def readings_of(request: ApprovalRequest) -> tuple[Reading, ...]:
    """The newest first; in the tenant's scope."""
    rows = PayloadReading.objects.filter(request=request).order_by("-created_at")
    return tuple(Reading(*row) for row in rows.values_list("person__name", "created_at"))
