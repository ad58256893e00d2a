"""Break-glass reading: an operator opens the full payload of a finished request, and everybody who watches is told.

What they read is handed back when all of that is written down, and not before.
"""

from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from approvals import outbox
from approvals.acting import acting_on
from approvals.audit.events import Actor, record
from approvals.errors import (
    NobodyWatches,
    OpenedWhileOpen,
    OpenersOnly,
    OpeningReasonMissing,
    SecondFactorNeeded,
)
from approvals.glass import SECURITY
from approvals.identity.models import Membership
from approvals.identity.proof import Proof, newest_by_second_factor
from approvals.identity.requester import Reviewer
from approvals.material import Content
from approvals.models import ApprovalRequest, PayloadReading, Revision
from approvals.states import FINAL
from approvals.switches import OPERATOR
from approvals.tracing import span

KIND = "payload.opened"
OPENER = OPERATOR  # the role
REASON = (10, 500)  # characters


@dataclass(frozen=True)
class Opened:
    """One revision, whole: canonical JSON as it was claimed, and as it was looked up."""

    revision: int
    arguments: str
    facts: str
    salt: str  # before each of them in its digest; "" of what people asked for


@span("open payload")
def open_payload(request_id: UUID, *, by: Reviewer, reason: str, trace_id: str = "") -> tuple[Opened, ...]:
    """The payload of each revision, the newest first.

    Raises NotFound, OpenersOnly, OpenedWhileOpen, PayloadErased, PayloadUnreadable, OpeningReasonMissing,
    NobodyWatches or SecondFactorNeeded; then nothing is handed back, and the refusal is on the trail.
    """
    reason = reason.strip()
    with acting_on(
        request_id, "open_payload", by=by, refused="payload.refused", trace_id=trace_id
    ) as request:
        if OPENER not in by.roles:
            raise OpenersOnly(role=OPENER)
        if request.status not in FINAL:
            raise OpenedWhileOpen(status=request.status.replace("_", " "))
        opened = _whole(request)
        proof = _checked(by, reason)
        _tell(request, by, reason, proof, trace_id)
    return opened


def _whole(request: ApprovalRequest) -> tuple[Opened, ...]:
    earlier = Revision.objects.filter(request=request).order_by("-revision")
    every: list[Content] = [request, *earlier]
    return tuple(Opened(one.revision, one.arguments, one.facts, request.salt) for one in every)


def _checked(by: Reviewer, reason: str) -> Proof:
    if not REASON[0] <= len(reason) <= REASON[1]:
        raise OpeningReasonMissing
    watching = Membership.objects.filter(tenant_id=by.tenant_id, role=SECURITY, person__is_active=True)
    if not watching.exclude(person_id=by.person_id).exists():
        raise NobodyWatches
    if (proof := newest_by_second_factor(by.proofs)) is None:
        raise SecondFactorNeeded
    return proof


def _tell(request: ApprovalRequest, by: Reviewer, reason: str, proof: Proof, trace_id: str) -> None:
    """The row, its event and everybody's alert, in the caller's transaction."""
    now = timezone.now()
    reading = PayloadReading(
        tenant_id=by.tenant_id,
        request=request,
        person_id=by.person_id,
        proof=proof.method,
        proved_at=min(proof.at, now),
        created_at=now,
    )
    reading.save(force_insert=True)
    record(
        KIND,
        tenant_id=by.tenant_id,
        actor=Actor("person", str(by.person_id)),
        request_id=request.pk,
        trace_id=trace_id or request.trace_id,
        data={"reading": str(reading.pk), "revision": request.revision, "proof": proof.method},
        personal={"name": by.name, "reason": reason},
    )
    outbox.announce(request, KIND)
    outbox.put(request, outbox.MAIL, kind=KIND)
