"""Who hears what: Slack cards, signed webhooks and mail, told by a worker from the outbox.

An announcement becomes one message a receiver, and each message is sent until the receiver took it or gave
reason to give up. Messages carry what an outsider may know, never a sensitive field.
"""

from approvals.notifications.delivery import announce, deliver
from approvals.notifications.receivers import ReceiverRefused, add_receiver, new_secret

__all__ = ["ReceiverRefused", "add_receiver", "announce", "deliver", "new_secret"]
