"""How many attempts at one action a company's system gets at once, and how many begin within a minute.

An action declares both (`at_once`, `a_minute`); the setting EXECUTION_LIMITS overrides it. Counted in PostgreSQL by
tenant and action, in the transaction that claims, one claim at a time: so no limit is passed, however many workers ask.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from approvals import actions, outbox
from approvals.database import StillBusy, one_at_a_time
from approvals.errors import SettingMissing
from approvals.models import ApprovalRequest, Execution

MINUTE = timedelta(minutes=1)
# Seconds until it is asked again where too many are under way: nobody knows when one of them ends.
BUSY_SECONDS = 2.0


@dataclass(frozen=True)
class Pace:
    """None is no limit."""

    at_once: int | None
    a_minute: int | None


def of(action: actions.AnyAction) -> Pace:
    """What holds for an action: what is set, or else what it declares."""
    if action.name in settings.EXECUTION_LIMITS:
        return Pace(*settings.EXECUTION_LIMITS[action.name])
    return Pace(action.at_once, action.a_minute)


def check_known() -> None:
    """Raises SettingMissing where EXECUTION_LIMITS names what is no action: such a limit would hold nothing."""
    if unknown := sorted(set(settings.EXECUTION_LIMITS) - {action.name for action in actions.known()}):
        raise SettingMissing(name="EXECUTION_LIMITS", hint=f"There is no action {', '.join(unknown)}.")


def wait_for_turn(request: ApprovalRequest) -> outbox.Postponed | None:
    """Why and how long the next attempt at this request has to wait; None when it may begin now.

    In the transaction that then claims it: until that ends, nobody else claims one of this action.
    """
    limit = of(actions.get(request.action))
    if limit == Pace(None, None):
        return None
    if not _in_turn(request):
        return outbox.Postponed(outbox.spread(BUSY_SECONDS), "others were claiming the same kind of thing")
    mine = Execution.objects.filter(tenant_id=request.tenant_id, request__action=request.action)
    if limit.at_once is not None and mine.filter(finished_at=None).count() >= limit.at_once:
        because = f"as many as may be carried out at once are under way: {limit.at_once}"
        return outbox.Postponed(outbox.spread(BUSY_SECONDS), because)
    now = timezone.now()
    recent = mine.filter(started_at__gt=now - MINUTE).order_by("-started_at")
    begun = list(recent.values_list("started_at", flat=True)[: limit.a_minute]) if limit.a_minute else []
    if begun and len(begun) == limit.a_minute:
        seconds = (begun[-1] + MINUTE - now).total_seconds()
        return outbox.Postponed(
            outbox.spread(seconds), f"as many as may begin in a minute have: {limit.a_minute}"
        )
    return None


def _in_turn(request: ApprovalRequest) -> bool:
    """One claim of an action at a time, from here to the end of the transaction; False when others took too long."""
    try:
        one_at_a_time(f"pace:{request.tenant_id}:{request.action}")
    except StillBusy:
        return False
    return True
