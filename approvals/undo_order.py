"""People ask on a page that what was done be undone; a worker looks it up and files the request in their name.

A page reaches no system of the company, so it writes an order, and no worker files anything without one (migration
0032). From there on it is a request like any other: whoever ordered it is its requester and no judge of it.
"""

from uuid import UUID

from django.utils import timezone

from approvals import inverse, outbox, submit
from approvals.acting import acting_on
from approvals.audit.events import Actor, record
from approvals.characters import cut
from approvals.database import tenant_scope
from approvals.errors import (
    BecauseMissing,
    LimitsUnknown,
    NotYoursToUndo,
    Refusal,
    SwitchesUnknown,
    UndoneAlready,
)
from approvals.identity.models import Membership, Person
from approvals.identity.requester import Requester, Reviewer
from approvals.models import ApprovalRequest, UndoOrder
from approvals.tracing import span

REASON = (10, 500)  # characters, as in `actions.contract.Reason`
LONGEST_REFUSAL = 500  # characters
WORKER = Actor("system", "worker")


@span("order undo")
def ask(request_id: UUID, *, by: Reviewer, reason: str, trace_id: str = "") -> UndoOrder:
    """Order that a request be undone, for this `reason` (10 to 500 characters).

    Raises NotFound, NotYoursToUndo, NothingDone, Irreversible, NothingToPutBack, UndoneAlready or BecauseMissing; then
    nothing was ordered, and the refusal is on the trail.
    """
    reason = reason.strip()
    with acting_on(request_id, "undo", by=by, refused="request.refused", trace_id=trace_id) as request:
        _check_may_ask(request, by.roles)
        inverse.to_undo(request)
        if inverse.is_being_undone(request):
            raise UndoneAlready
        if not REASON[0] <= len(reason) <= REASON[1] or "\0" in reason:
            raise BecauseMissing
        with tenant_scope(by.tenant_id, person_id=by.person_id):
            return _ordered(request, by, reason, trace_id)


def _ordered(request: ApprovalRequest, by: Reviewer, reason: str, trace_id: str) -> UndoOrder:
    """Order, event and outbox row, in the caller's transaction."""
    order = UndoOrder(
        tenant_id=by.tenant_id,
        request=request,
        person_id=by.person_id,
        reason=reason,
    )
    order.save(force_insert=True)
    record(
        "undo.asked",
        tenant_id=by.tenant_id,
        actor=Actor("person", str(by.person_id)),
        request_id=request.pk,
        trace_id=trace_id or request.trace_id,
        data={"order": str(order.pk)},
        personal={"reason": reason, "name": by.name},
    )
    outbox.put(request, outbox.UNDO)
    return order


def file(request_id: UUID, tenant_id: UUID) -> None:
    """File what was ordered, in a worker, or write down why not. Raises what has to wait for another turn."""
    with tenant_scope(tenant_id):
        orders = UndoOrder.objects.select_related("request", "tenant")
        order = orders.filter(request_id=request_id, answered_at=None).first()
    if order is None:
        return
    try:
        filed = _filed(order)
    except (LimitsUnknown, SwitchesUnknown):
        raise
    except Refusal as refusal:
        _refuse(order, refusal)
    else:
        with tenant_scope(tenant_id):
            _answer(order, filed=filed)


def _filed(order: UndoOrder) -> ApprovalRequest:
    """Raises what `submit.submit` raises, and NotYoursToUndo where the person has lost the role meanwhile."""
    request, (by, roles) = order.request, _asker(order)
    _check_may_ask(request, roles)
    action, arguments = inverse.to_undo(request)
    wanted = {**arguments, "reason": order.reason}
    # The order's own name: a worker that died after filing finds what it had filed.
    key = f"undo:{order.pk}"
    return submit.submit(action, wanted, by=by, key=key, undoes=request, trace_id=request.trace_id).request


def _asker(order: UndoOrder) -> tuple[Requester, frozenset[str]]:
    """The person as who files it, and the roles that they hold now."""
    who, tenant = order.person_id, order.tenant
    with tenant_scope(tenant.pk):
        name = Person.objects.values_list("name", flat=True).get(pk=who)
        held = Membership.objects.filter(person_id=who, tenant_id=tenant.pk, person__is_active=True)
        roles = frozenset(held.values_list("role", flat=True))
    return Requester(tenant.pk, tenant.slug, name, owner_id=who, person_id=who), roles


def _refuse(order: UndoOrder, refusal: Refusal) -> None:
    """For the page to say, with its event; one transaction."""
    with tenant_scope(order.tenant_id):
        if _answer(order, refusal=cut(str(refusal), LONGEST_REFUSAL)):
            record(
                "undo.refused",
                tenant_id=order.tenant_id,
                actor=WORKER,
                request_id=order.request_id,
                trace_id=order.request.trace_id,
                data={"order": str(order.pk), "code": refusal.code},
            )


def _answer(order: UndoOrder, **answer: object) -> bool:
    """False where another worker was first. In the caller's transaction."""
    still_open = UndoOrder.objects.filter(pk=order.pk, answered_at=None)
    return still_open.update(answered_at=timezone.now(), **answer) == 1


def _check_may_ask(request: ApprovalRequest, held: frozenset[str]) -> None:
    roles = inverse.roles_that_undo(request)
    if not roles & held:
        raise NotYoursToUndo(roles=" or ".join(sorted(roles)).replace("_", " "))
