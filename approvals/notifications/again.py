"""A message is sent once more, under the id that it has: whoever took it before can tell that it is the same."""

from datetime import datetime
from uuid import UUID

from approvals import outbox
from approvals.errors import MessageMovedOn, NotFound, ReceiverIsOff
from approvals.identity.requester import Reviewer
from approvals.models import Outbox
from approvals.notifications.operating import found, noted, operating


def send_again(message_id: UUID, *, ended_at: datetime, by: Reviewer) -> None:
    """For a message to a receiver that was delivered or given up at that moment, as a page has shown it.

    Raises ReceiversByOperators, NotFound, ReceiverIsOff, or MessageMovedOn: two clicks send it once.
    """
    with operating("send_message_again", by=by, tenant_id=by.tenant_id, what=message_id):
        rows = Outbox.objects.filter(pk=message_id, topic=outbox.DELIVER).exclude(kind=outbox.TEST)
        row = rows.only("topic", "tenant_id", "kind", "attempts", "receiver_id", "request_id").first()
        if row is None or row.receiver_id is None:
            raise NotFound(thing="message", id=message_id)
        receiver = found(row.receiver_id)
        if not receiver.is_active:
            raise ReceiverIsOff
        if not outbox.again(row, ended_at):
            raise MessageMovedOn
        noted(
            "notification.sent_again",
            receiver,
            by=by,
            request_id=row.request_id,
            data={"message": str(message_id), "kind": row.kind, "attempts": row.attempts},
        )
