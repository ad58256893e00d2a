"""Exercises in a world: turned on by opal the operator, filed by her command."""

from approvals import exercises
from approvals.identity.models import Person
from approvals.models import ApprovalRequest, CanarySetting
from tests.world import World

AS = "Support bot"  # as the world's real agent is called


def exercise(world: World) -> ApprovalRequest:
    """One that waits, in a tenant where exercises are on from now on."""
    with world.processes.acting_as("migrator"):
        if not _is_on(world):
            exercises.turn_on(world.tenant, owner=world.people["opal"], name=AS)
        return exercises.file(world.tenant)


def turn_on(world: World, owner: Person | None = None, name: str = AS) -> None:
    with world.processes.acting_as("migrator"):
        exercises.turn_on(world.tenant, owner=owner or world.people["opal"], name=name)


def turn_off(world: World) -> None:
    with world.processes.acting_as("migrator"):
        exercises.turn_off(world.tenant)


def _is_on(world: World) -> bool:
    return CanarySetting.objects.filter(tenant=world.tenant, is_on=True).exists()
