"""A test: one receiver is told that it is told, through the outbox as everything else."""

from uuid import UUID

from approvals import outbox
from approvals.errors import ReceiverIsOff, TestOnItsWay
from approvals.identity.requester import Reviewer
from approvals.models import Outbox
from approvals.notifications.operating import found, noted, operating

# Attempts at a test: whoever pressed the button waits for what comes of it.
LAST_TEST = 3
NOTICE = "This is a test. An operator of Countersign wants to see whether messages arrive here. Nothing was asked for."


def send_test(receiver_id: UUID, *, by: Reviewer) -> Outbox:
    """Send a test. Raises ReceiversByOperators, NotFound, ReceiverIsOff or TestOnItsWay; then none is sent."""
    with operating("test_receiver", by=by, tenant_id=by.tenant_id, what=receiver_id):
        receiver = found(receiver_id)
        if not receiver.is_active:
            raise ReceiverIsOff
        waiting = Outbox.objects.filter(receiver=receiver, kind=outbox.TEST, done_at=None, gave_up_at=None)
        if waiting.exists():
            raise TestOnItsWay
        row = outbox.try_out(by.tenant_id, receiver_id)
        noted("receiver.tested", receiver, by=by, data={"message": str(row.pk)})
    return row
