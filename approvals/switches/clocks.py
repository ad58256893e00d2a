"""Deadlines under a switch: the clock of a request stands from when the sweeper saw the switch until it sees it off.

While it stands, nobody's time runs out; then the deadline moves on by the time it stood. So a request goes on with
exactly the time that it had left, under however many switches, one after the other or at once. A switch that is turned
on after the time was up holds nothing: a stop brings no request back.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.postgres.functions import TransactionNow
from django.db.models import Case, F, Q, QuerySet, When
from django.db.models.functions import Greatest
from django.utils import timezone

from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Switch
from approvals.states import OPEN, Status, sources
from approvals.switches.reach import IN_TIME, STILL_ON, covered, first_in_time, on, over, reached

BATCH = 200  # requests whose clock is stopped, and whose clock is set on, in one round
SETTLES = timedelta(minutes=1)  # in which every process knows of a switch, and what was under way is filed
SWEEPER = Actor("system", "sweeper")
# When a clock is stopped and when it is set on, as the database asks for it (migration 0026): at `now` of this
# transaction, which may have waited.
IS_ON = STILL_ON & IN_TIME & Q(turned_on_at__lte=TransactionNow())
WAS_ON = STILL_ON | Q(turned_off_at__gt=TransactionNow())
# Seen only after the deadline, it has stood since the switch came on, which is why nobody's time ran out; or since
# somebody gave it that deadline, where that was later.
SINCE = Case(
    When(expires_at__gt=TransactionNow(), then=TransactionNow()),
    default=Greatest(first_in_time(), F("facts_read_at"), F("decided_at")),
)


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


def time_from(now: datetime, time: timedelta, request: ApprovalRequest) -> dict[str, datetime | None]:
    """A new deadline. Where a switch holds the request, it holds this one too, from now on."""
    return {"expires_at": now + time, "frozen_at": now if request.frozen_at else None}


def time_is_up(request: ApprovalRequest) -> bool:
    """Whether the deadline has passed, and no switch holds it; in a scope of the request's tenant.

    The switch itself is asked too: the sweeper may not have seen it yet. One that came after the deadline is too late.
    """
    if is_held(request) or request.expires_at > timezone.now():
        return False
    oldest = over(request)
    return oldest is None or oldest.turned_on_at > request.expires_at


def status_in_words(request: ApprovalRequest) -> str:
    """For whoever is too late: what is overdue has expired, also before the sweeper has written it down."""
    is_late = request.status in sources(Status.EXPIRED) and time_is_up(request)
    return "expired" if is_late else request.status.replace("_", " ")


@dataclass(frozen=True)
class Due:
    """Some requests of one tenant whose clocks are to be looked at."""

    tenant_id: UUID
    request_ids: tuple[UUID, ...]


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
        stop = _some(_open().filter(reached(switches, in_time=True), frozen_at=None))
        set_on = _some(_open().exclude(reached(switches)).exclude(frozen_at=None))
        is_settled = not (stop or set_on or any(map(_is_young, switches)))
        self._settled = now_on if is_settled else None
        return stop + set_on


def tend(due: Due) -> None:
    """Bring these clocks up to date, in one transaction with their events. Doing it twice changes nothing.

    A row that somebody works on has its turn in a later round.
    """
    with tenant_scope(due.tenant_id):
        mine = _open().filter(pk__in=due.request_ids)
        rows = mine.only("id", "tenant_id", "expires_at", "frozen_at", "trace_id")
        # A clock that stands goes on standing under any switch; one that has run out is not stopped.
        is_covered = Case(When(frozen_at=None, then=covered(STILL_ON & IN_TIME)), default=covered())
        looked = rows.annotate(now=TransactionNow(), is_covered=is_covered).select_for_update(
            skip_locked=True
        )
        clocks = [(each, _at(each, each.now, is_covered=each.is_covered)) for each in looked]
        # In one statement with the question, and so below: a switch that is turned this moment costs a round, no more.
        stopped = [request.pk for request, clock in clocks if clock.frozen_at and not request.frozen_at]
        ApprovalRequest.objects.filter(covered(IS_ON), pk__in=stopped).update(frozen_at=SINCE)
        for request, clock in clocks:
            if request.frozen_at and not clock.frozen_at:
                _set_on(request, request.frozen_at, clock.expires_at)


def _is_young(switch: Switch) -> bool:
    return timezone.now() - switch.turned_on_at < SETTLES


def _open() -> QuerySet[ApprovalRequest]:
    return ApprovalRequest.objects.filter(status__in=OPEN)


def _some(requests: QuerySet[ApprovalRequest]) -> list[Due]:
    of_tenant: dict[UUID, list[UUID]] = defaultdict(list)
    for request_id, tenant_id in requests.order_by("expires_at").values_list("id", "tenant_id")[:BATCH]:
        of_tenant[tenant_id].append(request_id)
    return [Due(tenant_id, tuple(ids)) for tenant_id, ids in of_tenant.items()]


def _at(request: ApprovalRequest, now: datetime, *, is_covered: bool) -> Clock:
    clock = Clock(request.expires_at, request.frozen_at)
    if request.frozen_at and request.frozen_at > now:
        return clock  # somebody gave it a new deadline since this transaction began
    return clock.at(now, held=is_covered)


def _set_on(request: ApprovalRequest, since: datetime, expires_at: datetime) -> None:
    held = ApprovalRequest.objects.filter(~covered(WAS_ON), pk=request.pk)
    stood = expires_at - request.expires_at
    later = {"escalates_at": F("escalates_at") + stood, "reminds_at": F("reminds_at") + stood}
    if held.update(expires_at=expires_at, frozen_at=None, **later) == 1:
        _record(request, since, since + (expires_at - request.expires_at), expires_at)


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
