"""Operators, and switches that nobody forgets to turn off."""

from collections.abc import Iterator

import pytest

from approvals import switches
from approvals.identity.models import Membership
from approvals.models import Switch
from approvals.switches import reach
from tests.switches.stops import Operators, sweep
from tests.world import World


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process knows of the switches is as old as the question."""
    monkeypatch.setattr(reach, "FRESH_SECONDS", 0.0)


@pytest.fixture
def operators(world: World) -> Iterator[Operators]:
    """opal runs the tenant, mara the whole installation, gus the other tenant. At the end everything goes on."""
    roles = {
        "mara": (world.tenant, switches.PLATFORM_OPERATOR),
        "gus": (world.other, switches.OPERATOR),
    }
    with world.processes.acting_as("migrator"):
        Membership.objects.bulk_create(
            Membership(tenant=tenant, person=world.people[name], role=role)
            for name, (tenant, role) in roles.items()
        )
    yield Operators(world)
    with world.processes.acting_as("migrator"):
        for switch in Switch.objects.filter(turned_off_at=None):
            switches.turn_off(switch.pk, by=None)
    while sweep(world):
        pass
