"""A request's move from one status to another: one conditional update, and the bell for whoever watches it."""

from uuid import UUID

from approvals import watching
from approvals.errors import NotFound
from approvals.models import ApprovalRequest
from approvals.states import Status, sources


def make(request: ApprovalRequest, new: Status, **changes: object) -> bool:
    """False when the request's status leads there no more, and nothing was changed: somebody else was first.

    Conditional on the old status even where the row is locked. For the verbs alone, each in one transaction with its
    event; what being too late means, each of them says itself.
    """
    won = ApprovalRequest.objects.filter(pk=request.pk, status__in=sources(new)).update(status=new, **changes)
    if won != 1:
        return False
    watching.moved(request)
    request.status = new
    return True


def locked(request_id: UUID) -> ApprovalRequest:
    """The request, for this transaction alone. Raises NotFound."""
    request = ApprovalRequest.objects.select_for_update().filter(pk=request_id).first()
    if request is None:
        raise NotFound(thing="request", id=request_id)
    return request
