"""What a receiver can hear, in words and in groups, and what it hears in any case."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from approvals.notifications import broken_glass, changed_factors, opened_payload, stays_uncertain, trouble
from approvals.outbox import DIGEST, TEST


@dataclass(frozen=True)
class Group:
    """Kinds of events that belong together, each with the words for it."""

    name: str | Promise
    kinds: Mapping[str, str | Promise]


# What an operator can switch off for a receiver.
GROUPS = (
    Group(
        _("While people decide"),
        {
            "request.created": _("A request was filed, or has come back"),
            "request.reminder": _("Half of the time is over, and nobody is at it"),
            "request.escalated": _("Nobody decided in time: others may, too"),
            "request.changes_requested": _("A reviewer asked the agent for changes"),
        },
    ),
    Group(
        _("What was decided"),
        {
            "request.approved": _("Approved"),
            "request.denied": _("Denied, or an approval taken back"),
            "request.expired": _("Expired: nobody finished it in time"),
            "request.withdrawn": _("Withdrawn by the requester"),
        },
    ),
    Group(
        _("What came of it"),
        {
            "request.succeeded": _("Carried out"),
            "request.failed": _("Approved, but it could not be done"),
            "request.uncertain": _("Sent, and no clear answer"),
        },
    ),
)
# What every receiver hears, whatever it mutes and whatever channels a rule names: silence would be a danger.
FOR_ALL = Group(
    _("Told to every receiver, always"),
    {
        broken_glass.KIND: _("Break-glass: one person pushed a request through alone"),
        opened_payload.KIND: _("Break-glass: somebody opened all that a finished request asked for"),
        stays_uncertain.KIND: _("It stays unknown whether something happened"),
        trouble.KIND: _("A policy rule could not be worked out"),
    },
)
TO_ALL = frozenset(FOR_ALL.kinds)
CHOOSABLE = frozenset(chain.from_iterable(group.kinds for group in GROUPS))
WORDS: Mapping[str, str | Promise] = MappingProxyType(
    {
        **{kind: words for group in (*GROUPS, FOR_ALL) for kind, words in group.kinds.items()},
        TEST: _("A test of the receiver"),
        DIGEST: _("What waits for somebody, once a day"),
        changed_factors.ADDED: _("A second factor was added to somebody's account"),
        changed_factors.REMOVED: _("A second factor was taken away from somebody's account"),
    }
)


def muted(hears: Iterable[str]) -> list[str]:
    """What is left out where only this is to be heard; what is for all is never among it."""
    return sorted(CHOOSABLE - set(hears))
