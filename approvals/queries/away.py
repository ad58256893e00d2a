"""Who stands in for whom: what a person wrote down, for whom they stand in, and whom they may name."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from approvals.database import tenant_scope
from approvals.identity.models import Membership
from approvals.identity.requester import Reviewer
from approvals.models import Delegation

SHOWN = 50  # of one's own, the newest


@dataclass(frozen=True)
class StandIn:
    """One delegation, as one of the two sees it: `person` is the other."""

    id: UUID
    person: str
    starts_at: datetime
    ends_at: datetime  # or when it was ended
    reason: str
    state: str  # "now", "later" or "over"


@dataclass(frozen=True)
class Away:
    """`mine` are the reader's own, the newest first; `for_others` is for whom they stand in, now or later."""

    mine: tuple[StandIn, ...]
    for_others: tuple[StandIn, ...]
    colleagues: tuple[tuple[UUID, str], ...]


def away(by: Reviewer) -> Away:
    with tenant_scope(by.tenant_id):
        mine = Delegation.objects.filter(delegator_id=by.person_id).select_related("delegate")
        others = Delegation.objects.open().filter(delegate_id=by.person_id).select_related("delegator")
        members = Membership.objects.filter(tenant_id=by.tenant_id, person__is_active=True)
        names = members.exclude(person_id=by.person_id).values_list("person_id", "person__name").distinct()
        return Away(
            tuple(_shown(one, one.delegate.name) for one in mine.order_by("-starts_at", "-id")[:SHOWN]),
            tuple(_shown(one, one.delegator.name) for one in others.order_by("starts_at", "id")),
            tuple(sorted(names, key=lambda one: (one[1].lower(), one[0]))),
        )


def _shown(one: Delegation, person: str) -> StandIn:
    now, ends_at = timezone.now(), one.ended_at or one.ends_at
    state = "over" if ends_at <= now else "later" if one.starts_at > now else "now"
    return StandIn(one.pk, person, one.starts_at, ends_at, one.reason, state)
