"""What was approved already, and whether a budget has room for one more.

A reservation is made when a request is approved, committed when it is carried out, and released when it will not be:
by the database, with the move itself (migration 0014). What a policy counts and caps is policies/usage.py; here it is
summed, and approvals that count together are made one after the other.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from approvals.actions.contract import AnyAction, Arguments, Facts
from approvals.database import StillBusy, one_at_a_time
from approvals.errors import BudgetExceeded, BudgetsBusy
from approvals.models import ApprovalRequest
from policies.context import Requester as Asker
from policies.usage import DIMENSIONS, Dimension, Room, Usage, rooms

USE = "SELECT money, requests FROM reservation_use(%s, %s, %s)"


@dataclass(frozen=True)
class Counted:
    """One request, by everything that a sum can be narrowed to. `request_id` is "" before it is filed."""

    tenant_id: UUID
    action: str
    agent: str  # or the person who asks for themselves
    principal: str
    customer: str
    order: str
    amount_minor: int | None
    currency: str
    request_id: str = ""

    def value(self, dimension: Dimension) -> str:
        return str(self.tenant_id) if dimension == "tenant" else str(getattr(self, dimension))

    @property
    def values(self) -> dict[Dimension, str]:
        return {dimension: self.value(dimension) for dimension in DIMENSIONS}


def counted_of(
    tenant_id: UUID,
    action: AnyAction,
    arguments: Arguments,
    facts: Facts,
    asker: Asker,
    request_id: UUID | None = None,
) -> Counted:
    """What a request counts by, from what it asks for and what was looked up."""
    money, ids = action.amount(arguments), action.subject_ids(arguments, facts)
    is_agent = asker.kind == "agent"
    return Counted(
        tenant_id=tenant_id,
        action=action.name,
        agent=asker.id,
        principal=(asker.on_behalf_of or asker.owner_id) if is_agent else asker.id,
        customer=ids.get("customer", ""),
        order=ids.get("order", ""),
        amount_minor=money.minor if money else None,
        currency=money.currency if money else "",
        request_id=str(request_id or ""),
    )


def counted(request: ApprovalRequest) -> Counted:
    """The same, as it was written down: what the database reserves by."""
    principal = (request.on_behalf_of_id or request.owner_id) if request.agent_id else request.person_id
    return Counted(
        tenant_id=request.tenant_id,
        action=request.action,
        agent=str(request.agent_id or request.person_id),
        principal=str(principal),
        customer=request.subjects.get("customer", ""),
        order=request.subjects.get("order", ""),
        amount_minor=request.amount_minor,
        currency=request.currency,
        request_id=str(request.pk),
    )


def question(usages: Sequence[Usage], it: Counted, at: datetime) -> tuple[str, str, str | None]:
    """The parameters of `USE`, whose rows are in the order of `usages`."""
    wanted = [
        {
            "of": [it.action] if "action" in usage.per else usage.of,
            "seconds": usage.window.total_seconds(),
            "currency": it.currency if usage.sums == "money" else None,
            **{each: it.value(each) for each in usage.per if each not in ("tenant", "action")},
        }
        for usage in usages
    ]
    return json.dumps(wanted), at.isoformat(), it.request_id or None


def answer(usages: Sequence[Usage], rows: Sequence[tuple[int, int]]) -> dict[str, int]:
    """What the rows of `USE` say, by the names of the usages."""
    return {
        usage.name: int(money if usage.sums == "money" else requests)
        for usage, (money, requests) in zip(usages, rows, strict=True)
    }


def use(usages: Sequence[Usage], it: Counted, at: datetime) -> dict[str, int]:
    """What is approved and not released, by name, without this request; in the tenant's scope.

    Where the request is approved itself: what had been approved before it, and what was carried out since.
    """
    if not usages:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(USE, question(usages, it, at))
        return answer(usages, cursor.fetchall())


def wait_for_turn(usages: Sequence[Usage], it: Counted) -> None:
    """One approval under each key at a time, from here to the end of the transaction. Raises BudgetsBusy.

    Also where nothing is capped: a sum that a condition asks for must not be read while another one is added to it.
    """
    try:
        one_at_a_time(*{_key(usage, it) for usage in usages})
    except StillBusy as error:
        raise BudgetsBusy from error


def _key(usage: Usage, it: Counted) -> str:
    """Not by the usage's name: two versions of a policy may each have their own for the same money."""
    by = [f"{dimension}={it.value(dimension)}" for dimension in sorted(usage.per)]
    return f"budget:{it.tenant_id}:{'&'.join(by)}:{it.currency if usage.sums == 'money' else 'requests'}"


def left(usages: Sequence[Usage], it: Counted, at: datetime) -> tuple[Room, ...]:
    """What each cap leaves for the request; in the tenant's scope."""
    return rooms(usages, use(usages, it, at), it.amount_minor, it.currency)


def over(usages: Sequence[Usage], it: Counted, at: datetime) -> tuple[Room, ...]:
    """The caps that the request would pass."""
    return tuple(room for room in left(usages, it, at) if room.is_over)


def reserve(usages: Sequence[Usage], it: Counted, at: datetime) -> None:
    """Call it in the transaction that approves the request, before the move, which is what reserves.

    Raises BudgetExceeded, or BudgetsBusy when others held their turn for too long.
    """
    if not usages:
        return
    wait_for_turn(usages, it)
    if found := over(usages, it, at):
        raise BudgetExceeded(budget=" ".join(map(str, found)))
