"""What an approved request waits for before a worker claims it: a switch, its time to cool off, its window.

Until then it can still be taken back, and the trail of a long wait does not grow. What a dead worker left open is
settled at any hour.
"""

from uuid import UUID

from approvals import attempts, hours, lastlook, outbox, switches
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest
from approvals.states import Status
from policies.verdicts import from_json


def out(request_id: UUID, tenant_id: UUID) -> None:
    """Return when it need not wait. Raises outbox.Postponed, with the seconds that are left."""
    with tenant_scope(tenant_id):
        request = ApprovalRequest.objects.get(pk=request_id)
        if request.status not in (Status.APPROVED, Status.EXECUTING) or attempts.open_one(request):
            return
        _wait_while_held(request)
        _wait_while_it_cools(request)
        _wait_for_its_window(request)


def _wait_while_held(request: ApprovalRequest) -> None:
    """By a switch that it was held by before: the first time is told by an attempt and its event."""
    switch = switches.over(request)
    if switch and attempts.was_held_by(switch, request):
        raise switches.waits(switch)


def _wait_while_it_cools(request: ApprovalRequest) -> None:
    seconds = lastlook.cools(request, from_json(request.verdict))
    if request.status == Status.APPROVED and seconds > 0:
        raise outbox.Postponed(seconds, "it cools off: until then the approval can be taken back")


def _wait_for_its_window(request: ApprovalRequest) -> None:
    """What has run out waits for nothing."""
    windows = hours.windows_of(from_json(request.verdict))
    if not windows or switches.time_is_up(request):
        return
    if opens := lastlook.closed(request, windows):
        raise outbox.Postponed(opens.seconds, opens.because)
