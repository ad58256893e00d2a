"""A question in a scope of its own: it sees its tenant's rows alone, and nothing of the scope is left afterwards."""

from uuid import UUID

import pytest
from django.db import DataError, connection

from approvals.database import SETTINGS, rows_in_scope, tenant_scope
from tests.world import World

ALL = "SELECT id FROM approval_request WHERE %s = %s"


def left() -> set[str]:
    """What the connection still says of the last scope."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT " + ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in SETTINGS)
        )
        return set(cursor.fetchone() or ())


def seen(tenant_id: UUID, agent_id: UUID | None) -> list[UUID]:
    return [row for (row,) in rows_in_scope(ALL, ["1", "1"], tenant_id=tenant_id, agent_id=agent_id)]


def test_it_sees_the_rows_of_its_tenant_and_agent_alone(world: World) -> None:
    request = world.submit()
    with world.processes.acting_as("door"):
        assert seen(world.tenant.pk, world.agent.agent_id) == [request.pk]
        assert seen(world.tenant.pk, world.other_agent.agent_id) == []
        assert seen(world.other.pk, world.agent.agent_id) == []


def test_nothing_of_the_scope_is_left_not_even_after_an_error(world: World) -> None:
    world.submit()
    with world.processes.acting_as("door"):
        seen(world.tenant.pk, world.agent.agent_id)
        assert left() == {""}
        with pytest.raises(DataError):
            rows_in_scope("SELECT 1 / (%s::int)", ["0"], tenant_id=world.tenant.pk)
        assert left() == {""}
        assert seen(world.tenant.pk, world.agent.agent_id) != []


def test_inside_a_transaction_it_is_refused(world: World) -> None:
    with world.processes.acting_as("door"), tenant_scope(world.tenant.pk), pytest.raises(RuntimeError):
        rows_in_scope("SELECT 1", [], tenant_id=world.tenant.pk)
