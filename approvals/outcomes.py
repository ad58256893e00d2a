"""What became of a request that was carried out: its move, its event and who is told, together in one transaction.

The same for every way there: a worker's own attempt, the provider's record, and people who settle a doubt by hand.
"""

from django.db.models import DateTimeField, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from approvals import attempts, moves, outbox
from approvals.audit.events import Actor, record
from approvals.errors import CountersignError
from approvals.models import ApprovalRequest
from approvals.states import Status

WORKER = Actor("system", "worker")
OUTCOME_ON_TRAIL = 300  # characters of an outcome, at most


class LeaseLost(CountersignError):
    """Another worker took this attempt over; its record counts, not ours."""


def move(request: ApprovalRequest, new: Status, **changes: object) -> None:
    """Raises LeaseLost when somebody else was first."""
    if not moves.make(request, new, **changes):
        raise LeaseLost


def event(kind: str, request: ApprovalRequest, data: dict[str, object], **words: str) -> None:
    """A line on the trail, by the worker.

    `words` may be the backing API's, about whoever it is about: they are kept so that they can be erased.
    """
    record(
        kind,
        tenant_id=request.tenant_id,
        actor=WORKER,
        request_id=request.pk,
        trace_id=request.trace_id,
        data=data,
        personal=words,
    )


def doubt(request: ApprovalRequest, why: str) -> None:
    """Whether it happened is not known: the provider is asked in a moment, and later each time that it comes to this.

    An API that answers every attempt with an error would else be sent the same thing every few seconds. Who has been
    told of the first doubt is not told of the next.
    """
    is_news = request.doubted_at is None
    first = Coalesce("doubted_at", Value(timezone.now(), DateTimeField()))
    move(request, Status.UNCERTAIN, outcome=why, doubted_at=first)
    event("execution.uncertain", request, {}, because=why)
    outbox.put(request, outbox.RECONCILE, wait_seconds=outbox.backoff(attempts.doubts(request)))
    if is_news:
        outbox.announce(request, "request.uncertain")


def finish(request: ApprovalRequest, status: Status, outcome: str, reference: str) -> None:
    """Succeeded, with the provider's reference, or failed; `outcome` is what the agent and the reviewers read."""
    move(
        request,
        status,
        outcome=outcome[:1000],
        backing_reference=reference,
        finished_at=timezone.now(),
    )
    event(f"execution.{status}", request, {"reference": reference}, outcome=outcome[:OUTCOME_ON_TRAIL])
    outbox.announce(request, f"request.{status}")


def ran_out(request: ApprovalRequest) -> None:
    """Every attempt so far is known not to have happened, and nobody agreed to one as late as this."""
    finish(
        request, Status.FAILED, "The approval ran out before it could be carried out; nothing was done.", ""
    )
