"""Deadlines under a switch: the clock of a request stands from when the sweeper saw the switch until it sees it off.

While it stands, nobody's time runs out; then the deadline moves on by the time it stood. So a request goes on with
exactly the time that it had left, under however many switches, one after the other or at once.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.postgres.functions import TransactionNow
from django.db.models import QuerySet
from django.utils import timezone

from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Switch
from approvals.states import OPEN
from approvals.switches.reach import on, over, reached

BATCH = 200  # requests whose clock is stopped, and whose clock is set on, in one round
SETTLES = timedelta(minutes=1)  # in which every process knows of a switch, and what was under way is filed
SWEEPER = Actor("system", "sweeper")


@dataclass(frozen=True)
class Clock:
    """A deadline, and since when it is held, if it is."""

    expires_at: datetime
    frozen_at: datetime | None

    def at(self, now: datetime, *, held: bool) -> "Clock":
        """The same clock once somebody looked: stopped where it now is held, set on where it no longer is."""
        if held and self.frozen_at is None:
            return Clock(self.expires_at, now)
        if not held and self.frozen_at is not None:
            return Clock(self.goes_on_until(now), None)
        return self

    def goes_on_until(self, now: datetime) -> datetime:
        """The deadline if its clock went on now."""
        return self.expires_at + (now - self.frozen_at if self.frozen_at else timedelta())


def is_held(request: ApprovalRequest) -> bool:
    """Whether the request's clock stands; that of one which has ended has nothing to hold."""
    return request.frozen_at is not None and request.status in OPEN


def deadline(request: ApprovalRequest) -> datetime:
    """When the request's time is up; where a switch holds it, when it would be if it went on this moment."""
    if not is_held(request):
        return request.expires_at
    return Clock(request.expires_at, request.frozen_at).goes_on_until(timezone.now())


def time_is_up(request: ApprovalRequest) -> bool:
    """Whether the deadline has passed, and no switch holds it; in a scope of the request's tenant.

    The switch itself is asked too: the sweeper may not have seen it yet.
    """
    is_late = not is_held(request) and request.expires_at <= timezone.now()
    return is_late and over(request) is None


@dataclass(frozen=True)
class Due:
    """Some requests of one tenant whose clocks are to be looked at, and the switches that are on."""

    tenant_id: UUID
    request_ids: tuple[UUID, ...]
    switches: tuple[Switch, ...]


class Clocks:
    """What the sweeper has to tend to.

    Looks through the requests after the switches have changed, until there is nothing to do any more: under a switch
    that is older than that, nobody files any.
    """

    def __init__(self) -> None:
        self._settled: frozenset[UUID] | None = None

    def due(self) -> list[Due]:
        """At most BATCH clocks to stop and BATCH to set on, by tenant; those with the nearest deadlines first."""
        switches = tuple(on())
        now_on = frozenset(switch.pk for switch in switches)
        if now_on == self._settled:
            return []
        covered = reached(switches)
        stop = _some(_open().filter(covered, frozen_at=None), switches)
        set_on = _some(_open().exclude(covered).exclude(frozen_at=None), switches)
        is_settled = not (stop or set_on or any(map(_is_young, switches)))
        self._settled = now_on if is_settled else None
        return stop + set_on


def tend(due: Due) -> None:
    """Bring these clocks up to date, in one transaction with their events. Doing it twice changes nothing.

    A row that somebody works on has its turn in a later round.
    """
    with tenant_scope(due.tenant_id):
        mine = _open().filter(pk__in=due.request_ids)
        covered = set(mine.filter(reached(due.switches)).values_list("pk", flat=True))
        rows = mine.only("id", "tenant_id", "expires_at", "frozen_at", "trace_id")
        for request in rows.annotate(now=TransactionNow()).select_for_update(skip_locked=True):
            _set(request, request.now, is_covered=request.pk in covered)


def _is_young(switch: Switch) -> bool:
    return timezone.now() - switch.turned_on_at < SETTLES


def _open() -> QuerySet[ApprovalRequest]:
    return ApprovalRequest.objects.filter(status__in=OPEN)


def _some(requests: QuerySet[ApprovalRequest], switches: tuple[Switch, ...]) -> list[Due]:
    of_tenant: dict[UUID, list[UUID]] = defaultdict(list)
    for request_id, tenant_id in requests.order_by("expires_at").values_list("id", "tenant_id")[:BATCH]:
        of_tenant[tenant_id].append(request_id)
    return [Due(tenant_id, tuple(ids), switches) for tenant_id, ids in of_tenant.items()]


def _set(request: ApprovalRequest, now: datetime, *, is_covered: bool) -> None:
    if request.frozen_at and request.frozen_at > now:
        return  # somebody gave it a new deadline since this transaction began
    before = Clock(request.expires_at, request.frozen_at)
    after = before.at(now, held=is_covered)
    if after == before:
        return
    changed = ApprovalRequest.objects.filter(pk=request.pk)
    changed.update(expires_at=after.expires_at, frozen_at=after.frozen_at)
    if before.frozen_at is not None:
        _record(request, before.frozen_at, now, after.expires_at)


def _record(request: ApprovalRequest, since: datetime, until: datetime, expires_at: datetime) -> None:
    record(
        "request.extended",
        tenant_id=request.tenant_id,
        actor=SWEEPER,
        request_id=request.pk,
        trace_id=request.trace_id,
        data={
            "held_since": since.isoformat(),
            "held_until": until.isoformat(),
            "expires_at": expires_at.isoformat(),
        },
    )
