"""Settle what is in doubt by asking the provider for our reference; never by trying blindly."""

from uuid import UUID

from approvals import actions, attempts, judge, outbox, outcomes, switches
from approvals.actions.contract import Arguments, Receipt
from approvals.database import tenant_scope
from approvals.errors import BackingRefused, NoAnswer, TryLater
from approvals.models import ApprovalRequest, Execution
from approvals.states import Status
from approvals.tracing import span


@span("reconcile")
def run(request_id: UUID, tenant_id: UUID) -> None:
    """Settle an uncertain request by what the provider has on record under our reference.

    Raises outbox.Postponed while it does not answer, or while what was sent may still be under way.
    """
    with tenant_scope(tenant_id):
        request = ApprovalRequest.objects.select_related("tenant").get(pk=request_id)
        under_way = attempts.under_way(request)
    if request.status != Status.UNCERTAIN:
        return
    action, arguments, _ = judge.stored(request)
    receipt = asked(request, action, arguments, request.tenant.slug)
    if receipt is None and under_way > 0:
        raise outbox.Postponed(under_way, "not found yet; what was sent may still be under way")
    with tenant_scope(tenant_id):
        found = {"found": receipt is not None, "reference": receipt.reference if receipt else ""}
        outcomes.event("execution.reconciled", request, found)
        if receipt is not None:
            outcomes.finish(request, Status.SUCCEEDED, receipt.summary, receipt.reference)
        else:
            _never_happened(request)


def asked(
    request: ApprovalRequest, action: actions.AnyAction, arguments: Arguments, tenant_slug: str
) -> Receipt | None:
    """The provider's record of this request, or None when it has none. Raises outbox.Postponed."""
    try:
        return action.reconcile(arguments, action.reader(tenant_slug), reference=str(request.pk))
    except (NoAnswer, TryLater, BackingRefused) as error:
        raise outbox.Postponed(5, str(error)) from error


def _never_happened(request: ApprovalRequest) -> None:
    """Says the provider: the one case in which another attempt is right, if it was not refused meanwhile."""
    last = Execution.objects.filter(request=request).order_by("number").last()
    if last is not None and last.outcome == "failed":
        outcomes.finish(request, Status.FAILED, last.detail, "")
    elif switches.time_is_up(request):
        outcomes.ran_out(request)
    else:
        outcomes.move(request, Status.EXECUTING)
        outbox.put(request, outbox.EXECUTE)
