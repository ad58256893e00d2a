"""A question in a scope of its own: it sees its tenant's rows alone, and nothing of the scope is left afterwards."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.db import DataError, IntegrityError, ProgrammingError, connection

from approvals import submit
from approvals.audit.events import Actor, record
from approvals.audit.models import Event
from approvals.database import SETTINGS, rows_in_scope, tenant_scope
from approvals.models import ApprovalRequest
from tests.world import REFUND, World

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


# --- written together -------------------------------------------------------------------------------------


@contextmanager
def traced(kept_in: Path) -> Iterator[list[str]]:
    """The first word of each query that is sent meanwhile, as the client library tells it."""
    connection.ensure_connection()
    pgconn = connection.connection.pgconn
    words: list[str] = []
    with kept_in.open("w+") as told:
        pgconn.trace(told.fileno())
        yield words
        pgconn.untrace()
        told.seek(0)
        words += re.findall(r'\tQuery\t *"\s*(\w+)', told.read())


def test_a_filing_asks_its_database_one_question_and_writes_in_one_message(
    world: World, tmp_path: Path
) -> None:
    world.submit()  # what is known for a second is known now
    with world.processes.acting_as("door"), traced(tmp_path / "trace") as words:
        submit.submit("refund_payment", REFUND, by=world.agent, key="another-key", trace_id=uuid4().hex)
    # Key and policy, and what is used of the limits, both behind their scope; then all the rows.
    assert words == ["SELECT", "BEGIN", "SELECT", "INSERT", "COMMIT"]


def refused(world: World, code: str) -> None:
    record(
        "request.refused",
        tenant_id=world.tenant.pk,
        actor=Actor("agent", str(world.agent.id)),
        data={"code": code},
    )


def test_what_is_written_together_is_all_there_to_the_letter(world: World) -> None:
    codes = ["one", "two; three", "four %s, 100 %"]
    with (
        world.processes.acting_as("door"),
        tenant_scope(world.tenant.pk, agent_id=world.agent.agent_id, together=True),
    ):
        for code in codes:
            refused(world, code)
    with world.processes.acting_as("migrator"):
        texts = Event.objects.filter(tenant_id=world.tenant.pk).order_by("at").values_list("text", flat=True)
        assert [json.loads(text)["data"]["code"] for text in texts] == codes


def test_what_the_database_refuses_at_the_end_leaves_nothing(world: World) -> None:
    request = world.submit()

    def write() -> None:
        with tenant_scope(world.tenant.pk, agent_id=world.agent.agent_id, together=True):
            refused(world, "one")
            request.save(force_insert=True)  # it is there already
            refused(world, "two")

    with world.processes.acting_as("door"), pytest.raises(IntegrityError):
        write()
    assert world.events() == ["request.created"]


def test_another_tenants_row_is_refused_there_too(world: World) -> None:
    with (
        world.processes.acting_as("door"),
        pytest.raises(ProgrammingError),
        tenant_scope(world.other.pk, agent_id=world.agent.agent_id, together=True),
    ):
        refused(world, "one")
    assert world.events() == []


def test_what_was_written_is_seen_by_a_question_that_comes_after_it(world: World) -> None:
    first = world.submit()
    with (
        world.processes.acting_as("door"),
        tenant_scope(world.tenant.pk, agent_id=world.agent.agent_id, together=True),
    ):
        first.pk, first.idempotency_key = uuid4(), "another-key"
        first.save(force_insert=True)
        with tenant_scope(world.tenant.pk, agent_id=world.agent.agent_id):
            assert ApprovalRequest.objects.filter(pk=first.pk).exists()
