"""Out of office: somebody decides in the place of somebody else, from one moment to another.

Only for oneself, to one person of the same company, and not further: who stands in for somebody cannot hand that on.
What is pending already moves with it, for roles are asked for when somebody votes (`quorum`); it ends by its time, and
no job has to run for that.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from approvals import claims
from approvals.audit.decisions import deciding
from approvals.audit.events import Actor, record
from approvals.database import one_at_a_time, tenant_scope
from approvals.errors import DelegationNotTaken, DelegationOver, NotFound
from approvals.identity.models import Membership
from approvals.identity.requester import Reviewer
from approvals.models import Delegation
from approvals.models.delegations import LONGEST
from approvals.quorum import OFFICES

REASON = 300  # characters at most
NOW = timedelta(minutes=1)  # a beginning this long ago is meant as now


def delegate(
    to: UUID, *, starts_at: datetime | None = None, ends_at: datetime, reason: str = "", by: Reviewer
) -> Delegation:
    """From `starts_at` (None is now) until `ends_at` this person's reviewer roles are held by `to` as well.

    Raises NotFound for somebody who has no role in the tenant, and DelegationNotTaken, which says why.
    """
    who = Actor("person", str(by.person_id))
    with deciding("delegate", by=who, tenant_id=by.tenant_id), tenant_scope(by.tenant_id):
        by.check_in_person()
        one_at_a_time(f"away {by.person_id}")  # so that each sees what overlaps with the other
        now = timezone.now()
        is_now = starts_at is None or now - NOW <= starts_at <= now
        begins = now if is_now or starts_at is None else starts_at
        name = _check(to, begins, ends_at, reason, by, now)
        made = Delegation(
            tenant_id=by.tenant_id,
            delegator_id=by.person_id,
            delegate_id=to,
            starts_at=begins,
            ends_at=ends_at,
            reason=reason.strip(),
            created_at=now,
        )
        made.save(force_insert=True)
        _record(
            "delegation.made",
            made,
            by,
            data={"starts_at": begins.isoformat(), "ends_at": ends_at.isoformat()},
            personal={"stands_in": name, **({"reason": made.reason} if made.reason else {})},
        )
        if is_now:
            claims.pass_on(by, to)
        return made


def end_delegation(delegation_id: UUID, *, by: Reviewer) -> Delegation:
    """Back in office before the time. Raises NotFound for what is not this person's own, or DelegationOver."""
    who = Actor("person", str(by.person_id))
    with deciding("end_delegation", by=who, tenant_id=by.tenant_id), tenant_scope(by.tenant_id):
        by.check_in_person()
        mine = Delegation.objects.filter(pk=delegation_id, delegator_id=by.person_id)
        won = mine.open().update(ended_at=timezone.now())
        found = mine.first()
        if found is None:
            raise NotFound(thing="delegation", id=delegation_id)
        if won != 1:
            raise DelegationOver
        _record("delegation.ended", found, by, data={}, personal={})
        return found


def _check(to: UUID, begins: datetime, ends: datetime, reason: str, by: Reviewer, now: datetime) -> str:
    """The delegate's name."""
    theirs = Membership.objects.filter(person_id=to, tenant_id=by.tenant_id, person__is_active=True)
    name = theirs.values_list("person__name", flat=True).first()
    if name is None:
        raise NotFound(thing="colleague", id=to)
    why = (
        "nobody stands in for themselves."
        if to == by.person_id
        else "you hold no role here that decides about requests."
        if not by.roles - OFFICES
        else "it cannot begin in the past."
        if begins < now
        else "it has to end after it begins."
        if ends <= begins
        else f"it lasts at most {LONGEST.days} days. Choose an earlier end; you can write down another one later."
        if ends - begins > LONGEST
        else f"a reason has at most {REASON} characters."
        if len(reason.strip()) > REASON
        else f"{name} stands in for you in a part of this time already. End that first."
        if _overlaps(to, begins, ends, by)
        else ""
    )
    if why:
        raise DelegationNotTaken(why=why)
    return name


def _overlaps(to: UUID, begins: datetime, ends: datetime, by: Reviewer) -> bool:
    mine = Delegation.objects.open().filter(delegator_id=by.person_id, delegate_id=to)
    return mine.filter(starts_at__lt=ends, ends_at__gt=begins).exists()


def _record(
    kind: str, about: Delegation, by: Reviewer, *, data: dict[str, str], personal: dict[str, str]
) -> None:
    record(
        kind,
        tenant_id=by.tenant_id,
        actor=Actor("person", str(by.person_id)),
        data={"delegation": str(about.pk), "delegate": str(about.delegate_id), **data},
        personal={"name": by.name, **personal},
    )
