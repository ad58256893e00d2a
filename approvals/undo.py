"""Asking that what was done be undone: a request of the action's inverse, filed like any other and linked to the first.

It is judged by the policy of its own action, with facts of its own, and decided by its own votes; nothing is undone
because it is asked for. Only what was carried out can be undone, and by one request at a time (the database holds
both, and that the link never changes: migration 0032).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from approvals import inverse, limits, submit
from approvals.audit.events import record
from approvals.errors import NotFound, Refusal
from approvals.identity.requester import Requester
from approvals.models import ApprovalRequest
from approvals.submit import Filed, actor, scope
from approvals.tracing import span


@span("undo")
def undo(request_id: UUID, *, by: Requester, reason: str, key: str | None = None, trace_id: str) -> Filed:
    """File the request that undoes one of this agent's own. `reason` is its own; `key` as in `submit.submit`.

    Raises NotFound, NothingDone, Irreversible, NothingToPutBack, and what `submit.submit` raises; then nothing was
    filed, and the refusal is on the trail.
    """
    with _refusals_on_trail(request_id, by, trace_id):
        request = _mine(request_id, by)
        action, arguments = inverse.to_undo(request)
    wanted = {**arguments, "reason": reason}
    return submit.submit(action, wanted, by=by, key=key, undoes=request, trace_id=trace_id)


def _mine(request_id: UUID, by: Requester) -> ApprovalRequest:
    with scope(by):
        request = ApprovalRequest.objects.filed_by(by).filter(pk=request_id).first()
    if request is None:
        raise NotFound(thing="request", id=request_id)
    return request


@contextmanager
def _refusals_on_trail(request_id: UUID, by: Requester, trace_id: str) -> Iterator[None]:
    try:
        yield
    except NotFound as refusal:
        data = {"code": refusal.code, "wanted": "undo", "id": str(request_id)}
        limits.record_sparingly("access.denied", by=by, trace_id=trace_id, data=data)
        raise
    except Refusal as refusal:
        data = {"code": refusal.code, "wanted": "undo", "id": str(request_id)}
        with scope(by):
            record(
                "request.refused",
                tenant_id=by.tenant_id,
                actor=actor(by),
                request_id=request_id,
                trace_id=trace_id,
                data=data,
            )
        raise
