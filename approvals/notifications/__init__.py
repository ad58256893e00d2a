"""Who hears what: Slack cards, signed webhooks and mail, told by a worker from the outbox.

An announcement becomes one message a receiver, and each message is sent until the receiver took it or gave
reason to give up. Messages carry what an outsider may know, never a sensitive field.
"""

from approvals.notifications.again import send_again
from approvals.notifications.choosing import Choice, choice_of, choose
from approvals.notifications.delivery import announce, deliver
from approvals.notifications.digest import due_digests, order_digest
from approvals.notifications.hearing import hear_only, switch
from approvals.notifications.operating import may_operate_receivers
from approvals.notifications.receivers import ReceiverRefused, add_receiver, new_secret
from approvals.notifications.rotation import end_overlap, renew_secret, replace_token
from approvals.notifications.trial import send_test

__all__ = [
    "Choice",
    "ReceiverRefused",
    "add_receiver",
    "announce",
    "choice_of",
    "choose",
    "deliver",
    "due_digests",
    "end_overlap",
    "hear_only",
    "may_operate_receivers",
    "new_secret",
    "order_digest",
    "renew_secret",
    "replace_token",
    "send_again",
    "send_test",
    "switch",
]
