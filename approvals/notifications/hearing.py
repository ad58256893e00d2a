"""What a receiver hears, and whether it hears anything: an operator's verbs."""

from collections.abc import Iterable
from uuid import UUID

from approvals.errors import ReceiverStands
from approvals.identity.requester import Reviewer
from approvals.models import Receiver
from approvals.notifications.kinds import muted
from approvals.notifications.operating import found, noted, operating


def hear_only(receiver_id: UUID, hears: Iterable[str], *, by: Reviewer) -> Receiver:
    """From now on it hears these kinds, and what is for all. Messages that wait already still go to it.

    Raises ReceiversByOperators or NotFound; then nothing changed.
    """
    with operating("choose_what_a_receiver_hears", by=by, tenant_id=by.tenant_id, what=receiver_id):
        receiver = found(receiver_id)
        receiver.mutes = muted(hears)
        Receiver.objects.filter(pk=receiver_id).update(mutes=receiver.mutes)
        noted("receiver.changed", receiver, by=by, data={"mutes": ", ".join(receiver.mutes)})
    return receiver


def switch(receiver_id: UUID, *, on: bool, by: Reviewer) -> Receiver:
    """Off: it hears no more, and what comes to its turn meanwhile is given up. On again: from the next event on.

    What waits for a later attempt all the while is sent then.

    Raises ReceiversByOperators, NotFound or ReceiverStands; then nothing changed.
    """
    verb = "switch_receiver_on" if on else "switch_receiver_off"
    with operating(verb, by=by, tenant_id=by.tenant_id, what=receiver_id):
        receiver = found(receiver_id)
        if Receiver.objects.filter(pk=receiver_id, is_active=not on).update(is_active=on) != 1:
            raise ReceiverStands(state="on" if on else "off")
        receiver.is_active = on
        noted("receiver.switched_on" if on else "receiver.switched_off", receiver, by=by, data={})
    return receiver
