"""An operator asks to settle by hand what stays in doubt. When another agrees, `actions.settle_execution` does it."""

import re
from uuid import UUID

from approvals import actions, judge, submit
from approvals.acting import acting_on
from approvals.actions.contract import ONE_LINE
from approvals.actions.settle_execution import LONGEST_REFERENCE, NAME, SETTLER
from approvals.database import tenant_scope
from approvals.errors import (
    BecauseMissing,
    FindingMissing,
    NothingInDoubt,
    OperatorsSettle,
    PartOfIt,
    ReferenceWrong,
    Refusal,
)
from approvals.identity.models import Tenant
from approvals.identity.requester import Reviewer, asking
from approvals.models import ApprovalRequest
from approvals.states import Status

BECAUSE = (10, 500)  # characters


def ask(
    request_id: UUID,
    *,
    by: Reviewer,
    happened: bool | None,
    reference: str,
    reason: str,
    key: str | None = None,
    trace_id: str = "",
) -> ApprovalRequest:
    """File the request that settles this one; asked twice under one `key`, it is the same request.

    `happened` is None where nothing was said; `reference` is the provider's own, "" where it never happened. Raises
    NotFound, OperatorsSettle, NothingInDoubt, PartOfIt, FindingMissing, ReferenceWrong, BecauseMissing, and what
    `submit.submit` raises; then nothing was filed, and the refusal is on the trail.
    """
    reference, reason = reference.strip(), reason.strip()
    with acting_on(request_id, "settle", by=by, refused="request.refused", trace_id=trace_id) as request:
        if refusal := _refusal(by, request):
            raise refusal
        _check_finding(happened, reference, reason)
    with tenant_scope(by.tenant_id):
        slug = Tenant.objects.values_list("slug", flat=True).get(pk=by.tenant_id)
    arguments = {
        "request_id": str(request_id),
        "happened": happened,
        "provider_reference": reference,
        "reason": reason,
    }
    return submit.submit(NAME, arguments, by=asking(by, slug), key=key, trace_id=trace_id).request


def _refusal(by: Reviewer, request: ApprovalRequest) -> Refusal | None:
    """What stands against this person asking, in the order in which they should hear of it."""
    if SETTLER not in by.roles:
        return OperatorsSettle()
    if request.status != Status.UNCERTAIN or request.action in actions.of_people():
        return NothingInDoubt(status=request.status.replace("_", " "))
    if why := judge.dependent_because(by.person_id, request):
        return PartOfIt(why=why)
    return None


def _check_finding(happened: bool | None, reference: str, reason: str) -> None:
    if happened is None:
        raise FindingMissing
    if happened != bool(reference) or len(reference) > LONGEST_REFERENCE or not re.match(ONE_LINE, reference):
        raise ReferenceWrong
    if not BECAUSE[0] <= len(reason) <= BECAUSE[1]:
        raise BecauseMissing
