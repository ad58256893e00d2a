"""Looking the facts of a waiting request up once more: asked for on its page, done by a worker, shown beside the first.

Pages hold no credential for the company's systems. What is found changes nothing: a vote is bound to the facts of the
revision, and before anything is done a worker looks once more and sends back what is no longer true.
"""

from datetime import timedelta
from uuid import UUID

from django.utils import timezone
from pydantic import ValidationError

from approvals import judge, moves, outbox, quorum, switches
from approvals.audit.decisions import deciding
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import (
    BackingRefused,
    LookedUpJustNow,
    MoveRefused,
    NoAnswer,
    NotFound,
    NotSetUp,
    PayloadUnreadable,
)
from approvals.identity.requester import Reviewer
from approvals.models import ApprovalRequest, FreshLook
from approvals.payloads import canonical
from approvals.states import Status

PAUSE = timedelta(seconds=10)  # between two of one request
WORKER = Actor("system", "worker")


def ask(request_id: UUID, *, by: Reviewer) -> None:
    """Raises NotFound, MoveRefused, SelfApproval, NotEntitled or AlreadyVoted for what is not this person's to decide,
    and LookedUpJustNow.
    """
    who = Actor("person", str(by.person_id))
    with (
        deciding("look_up", by=who, tenant_id=by.tenant_id, request_id=request_id),
        tenant_scope(by.tenant_id),
    ):
        by.check_in_person()
        request = moves.locked(request_id)
        if request.status != Status.PENDING or switches.time_is_up(request):
            raise MoveRefused(status=switches.status_in_words(request), wanted="looked up")
        quorum.check_entitled(by, request, approves=False)
        if FreshLook.objects.filter(request=request, asked_at__gt=timezone.now() - PAUSE).exists():
            raise LookedUpJustNow
        put(request, by)


def put(request: ApprovalRequest, by: Reviewer) -> None:
    """In the caller's transaction, of a request that is locked: ask in the place of whatever was asked before."""
    FreshLook.objects.filter(request=request).delete()
    FreshLook(tenant_id=by.tenant_id, request=request, person_id=by.person_id).save(force_insert=True)
    outbox.put(request, outbox.LOOK)
    record(
        "request.look_asked",
        tenant_id=by.tenant_id,
        actor=Actor("person", str(by.person_id)),
        request_id=request.pk,
        trace_id=request.trace_id,
        data={"revision": request.revision},
        personal={"name": by.name},
    )


def look(request_id: UUID, tenant_id: UUID) -> None:
    """In a worker. Where the company's system refuses or does not answer, that is what was found."""
    with tenant_scope(tenant_id):
        request = ApprovalRequest.objects.select_related("tenant").get(pk=request_id)
        asked = FreshLook.objects.filter(request=request, looked_at=None).first()
    if asked is None or request.status != Status.PENDING:
        return
    found = _found(request)
    with tenant_scope(tenant_id):
        still = FreshLook.objects.filter(
            pk=asked.pk, looked_at=None, request__status=Status.PENDING, request__revision=request.revision
        )
        if still.update(looked_at=timezone.now(), **found):
            record(
                "request.looked_up",
                tenant_id=tenant_id,
                actor=WORKER,
                request_id=request_id,
                trace_id=request.trace_id,
                data={
                    "revision": request.revision,
                    "differs": bool(found["facts"]) and found["facts"] != request.facts,
                    "answered": bool(found["facts"]),
                },
            )


def _found(request: ApprovalRequest) -> dict[str, str | None]:
    """The columns of a look. An exercise is made up, so nobody could look it up: it is as it was."""
    if request.is_canary:
        return {"facts": request.facts, "problem": ""}
    try:
        action, arguments, _ = judge.stored(request)
        facts = judge.look_up(action, arguments, action.reader(request.tenant.slug))
    except (NoAnswer, BackingRefused, NotFound, NotSetUp, PayloadUnreadable) as error:
        return {"facts": None, "problem": str(error)[:500]}
    except ValidationError:
        return {"facts": None, "problem": "Its action has another form now, so it cannot be looked up."}
    return {"facts": canonical(facts), "problem": ""}
