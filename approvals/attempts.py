"""What the attempts at a request so far have left: one that is open, a hold, doubt. In a scope of its tenant."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from approvals.models import ApprovalRequest, Execution, Switch


def open_one(request: ApprovalRequest) -> Execution | None:
    """The attempt that nobody has ended: a worker is at it, or died over it."""
    return Execution.objects.filter(request=request, finished_at=None).first()


def was_held_by(switch: Switch, request: ApprovalRequest) -> bool:
    return Execution.objects.filter(request=request, held_by=switch.pk).exists()


def was_in_doubt(request: ApprovalRequest) -> bool:
    """Whether nobody answered one of them, so that it may have happened."""
    return Execution.objects.filter(request=request, outcome="uncertain").exists()


def under_way(request: ApprovalRequest) -> float:
    """Seconds for which "there is no record" is not proof yet: an attempt that nobody answered may still arrive.

    One that the API itself ended with an error (500) has ended there; 502 to 504 are a gateway's words.
    """
    in_doubt = Execution.objects.filter(request=request, outcome="uncertain")
    last = in_doubt.exclude(backing_status=500).aggregate(last=Max("sent_at"))["last"]
    if last is None:
        return 0.0
    until = last + timedelta(seconds=settings.BACKING_LONGEST_SECONDS)
    return float((until - timezone.now()).total_seconds())
