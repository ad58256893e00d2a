"""What the attempts at a request so far have left: one that is open, a hold, doubt. In a scope of its tenant."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, Min, Q, QuerySet
from django.utils import timezone

from approvals.models import ApprovalRequest, Execution, Switch


def open_one(request: ApprovalRequest) -> Execution | None:
    """The attempt that nobody has ended: a worker is at it, or died over it."""
    return Execution.objects.filter(request=request, finished_at=None).first()


def was_held_by(switch: Switch, request: ApprovalRequest) -> bool:
    return Execution.objects.filter(request=request, held_by=switch.pk).exists()


def was_in_doubt(request: ApprovalRequest) -> bool:
    """Whether nobody answered one of them, so that it may have happened."""
    return _in_doubt(request).exists()


def doubts(request: ApprovalRequest) -> int:
    """How many of them nobody answered."""
    return _in_doubt(request).count()


def key_is_over(request: ApprovalRequest, lives: timedelta) -> bool:
    """Whether another attempt could arrive when the provider has forgotten the key of the first that was sent.

    One that starts now may be under way for BACKING_LONGEST_SECONDS, so its time is up by as much sooner.
    """
    first = Execution.objects.filter(request=request).aggregate(first=Min("sent_at"))["first"]
    arrives = timezone.now() + timedelta(seconds=settings.BACKING_LONGEST_SECONDS)
    return first is not None and arrives - first >= lives


def unproven(request: ApprovalRequest, lags: timedelta) -> float:
    """Seconds for which "there is no record" is not proof yet; not above 0 once it is.

    An attempt that nobody answered may still arrive, and then be missing from an index that `lags`. One that the API
    itself ended with an error (500) has ended there; 502 to 504 are a gateway's words.
    """
    ended = Q(backing_status=500)
    found = _in_doubt(request).aggregate(
        sent=Max("sent_at", filter=~ended | Q(backing_status=None)), ended=Max("finished_at", filter=ended)
    )
    longest = timedelta(seconds=settings.BACKING_LONGEST_SECONDS)
    proofs = [at for at in (found["sent"] and found["sent"] + longest, found["ended"]) if at]
    return float((max(proofs) + lags - timezone.now()).total_seconds()) if proofs else 0.0


def absent_since(request: ApprovalRequest) -> datetime | None:
    """When a look-up that could have found the last attempt in doubt first had no record of it; None before."""
    last = _in_doubt(request).order_by("number").last()
    return last.absent_at if last else None


def mark_absent(request: ApprovalRequest) -> None:
    """From now on `absent_since`."""
    last = _in_doubt(request).order_by("-number").values("pk")[:1]
    Execution.objects.filter(pk__in=last, absent_at=None).update(absent_at=timezone.now())


def _in_doubt(request: ApprovalRequest) -> QuerySet[Execution]:
    return Execution.objects.filter(request=request, outcome="uncertain")
