"""What tests do with switches."""

from dataclasses import dataclass
from uuid import UUID

from approvals import switches
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Switch
from tests.world import World

WHY = "The refunds of this morning look wrong."


@dataclass(frozen=True)
class Operators:
    """People who turn switches, in the web process."""

    world: World

    def stop(
        self,
        *,
        by: str = "opal",
        everybody: bool = False,
        agent_id: UUID | None = None,
        tool: str = "",
        stops: str = Switch.REQUESTS,
        reason: str = WHY,
    ) -> Switch:
        with self.world.processes.acting_as("web"):
            who = self.world.reviewer(by)
            return switches.turn_on(
                tenant_id=None if everybody else who.tenant_id,
                agent_id=agent_id,
                tool=tool,
                stops=stops,
                reason=reason,
                by=who,
            )

    def go_on(self, switch: Switch, by: str = "opal") -> Switch:
        with self.world.processes.acting_as("web"):
            return switches.turn_off(switch.pk, by=self.world.reviewer(by))

    def on(self) -> list[UUID]:
        """The switches that are on, for everybody and this tenant."""
        with self.world.processes.acting_as("web"), tenant_scope(self.world.tenant.pk):
            return [switch.pk for switch in switches.on()]


def events(world: World, tenant_id: UUID, *kinds: str) -> list[Event]:
    """The events of these kinds on a trail, in order."""
    with world.processes.acting_as("web"), tenant_scope(tenant_id):
        return list(Event.objects.filter(tenant_id=tenant_id, kind__in=kinds).order_by("at"))


def sweep(world: World, clocks: switches.Clocks | None = None) -> int:
    """One round of the sweeper's step; how many clocks it looked at."""
    with world.processes.acting_as("sweeper"):
        due = (clocks or switches.Clocks()).due()
        for one in due:
            switches.tend(one)
    return sum(len(one.request_ids) for one in due)


def row(world: World, request: ApprovalRequest) -> ApprovalRequest:
    return world.reload_as("web", request)
