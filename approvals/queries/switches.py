"""What is stopped, what was, and what can be."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from approvals import switches
from approvals.database import tenant_scope
from approvals.errors import NotFound
from approvals.identity.models import Agent
from approvals.identity.requester import Reviewer
from approvals.models import Switch
from approvals.queries import exercises
from approvals.queries.paging import ROWS, Page, mark, page, parsed


@dataclass(frozen=True)
class Stop:
    """One switch in words. `agent` and `tool` are "" for all of them.

    Who turned it is "" for the command line; of a switch for everybody only operators of the installation are told.
    """

    id: UUID
    for_everybody: bool
    agent_id: UUID | None
    agent: str
    tool: str
    stops: str
    reason: str
    on_at: datetime
    on_by: str
    off_at: datetime | None
    off_by: str
    turnable: bool  # by who looks


@dataclass(frozen=True)
class AgentChoice:
    """An agent of the tenant; `for_whom` is the person on whose behalf it asks, or ""."""

    id: UUID
    name: str
    for_whom: str
    owner: str


def stopped(by: Reviewer) -> tuple[Stop, ...]:
    """What is stopped now for this person's tenant, the oldest first."""
    with tenant_scope(by.tenant_id):
        rows = _ours(by).filter(turned_off_at=None).order_by("turned_on_at", "id")
        return tuple(_stop(switch, by) for switch in rows)


def went_on(by: Reviewer, *, after: str = "", rows: int = ROWS) -> Page[Stop]:
    """What was stopped and went on, the last first; `after` is a page's mark."""
    with tenant_scope(by.tenant_id):
        past = _ours(by).exclude(turned_off_at=None)
        if place := parsed(after):
            _, at, last = place
            past = past.filter(turned_off_at__lte=at).exclude(turned_off_at=at, pk__gte=last)
        found = list(past.order_by("-turned_off_at", "-id")[: rows + 1])
        shown = [_stop(switch, by) for switch in found]
    return page(shown, [mark(one.off_at or one.on_at, one.id) for one in shown], rows)


def stop_of(switch_id: UUID, by: Reviewer) -> Stop:
    """One switch that is this tenant's or everybody's. Raises NotFound."""
    with tenant_scope(by.tenant_id):
        switch = _ours(by).filter(pk=switch_id).first()
        if switch is None:
            raise NotFound(thing="switch", id=switch_id)
        return _stop(switch, by)


def agents_of(by: Reviewer) -> tuple[AgentChoice, ...]:
    """The tenant's agents, by name; nobody chooses the one that lends exercises its name."""
    with tenant_scope(by.tenant_id):
        rows = (
            Agent.objects.filter(tenant_id=by.tenant_id)
            .exclude(pk__in=exercises.lenders())
            .select_related("owner", "on_behalf_of")
        )
        return tuple(
            AgentChoice(
                agent.pk,
                agent.name,
                agent.on_behalf_of.name if agent.on_behalf_of else "",
                agent.owner.name,
            )
            for agent in rows.order_by("name", "id")
        )


def _ours(by: Reviewer) -> QuerySet[Switch]:
    found = Switch.objects.filter(Q(tenant_id=by.tenant_id) | Q(tenant_id=None))
    return found.select_related("agent", "turned_on_by", "turned_off_by")


def _stop(switch: Switch, by: Reviewer) -> Stop:
    for_everybody = switch.tenant_id is None
    is_platforms = switches.PLATFORM_OPERATOR in by.roles
    names = [
        person.name if person and (is_platforms or not for_everybody) else ""
        for person in (switch.turned_on_by, switch.turned_off_by)
    ]
    return Stop(
        id=switch.pk,
        for_everybody=for_everybody,
        agent_id=switch.agent_id,
        agent=switch.agent.name if switch.agent else "",
        tool=switch.tool,
        stops=switch.stops,
        reason=switch.reason,
        on_at=switch.turned_on_at,
        on_by=names[0],
        off_at=switch.turned_off_at,
        off_by=names[1],
        turnable=is_platforms if for_everybody else switches.OPERATOR in by.roles,
    )
