"""With a shell as each database role, and as the server's administrator: nothing makes an exercise be carried out."""

from uuid import uuid4

import psycopg
import pytest

from approvals.models import ApprovalRequest
from approvals.models.requests import CANARY_MAY_BE
from approvals.states import Status
from tests.attacks.test_approvals import VOTE
from tests.attacks.test_roles import APPLICATION, COPY, REFUSED, attempt, scoped
from tests.exercising import exercise, turn_off
from tests.world import World, unguarded

EVERYBODY = (*APPLICATION, "migrator")
ELSEWHERE = sorted(set(Status) - set(CANARY_MAY_BE))
ORDER = """
INSERT INTO outbox (id, tenant_id, request_id, revision, topic, kind, created_at, not_before, traceparent, attempts,
    last_error)
VALUES (gen_random_uuid(), %s, %s, 1, %s, '', now(), now(), '', 0, '')
"""
ATTEMPT = """
INSERT INTO execution (id, tenant_id, request_id, number, key, token, lease_until, started_at, outcome, detail)
VALUES (gen_random_uuid(), %s, %s, 1, 'k', gen_random_uuid(), now(), now(), '', '')
"""


def in_its_agents_name(
    world: World, process: str, request: ApprovalRequest, *statements: tuple[str, list[object]]
) -> None:
    """As a process that says it is at work for the agent of exercises; rolled back."""
    with world.processes.cursor(process) as shell:
        scoped(shell, world)
        shell.execute("SELECT set_config('countersign.agent', %s, true)", (str(request.agent_id),))
        for statement, values in statements:
            shell.execute(statement, values)


@pytest.mark.parametrize("status", ELSEWHERE)
@pytest.mark.parametrize("process", EVERYBODY)
def test_no_process_brings_an_exercise_anywhere_else(world: World, process: str, status: str) -> None:
    request = exercise(world)
    move = "UPDATE approval_request SET status = %s WHERE id = %s"
    with pytest.raises(REFUSED):
        in_its_agents_name(world, process, request, (move, [status, request.pk]))


def test_not_even_the_votes_of_everybody_approve_one(world: World) -> None:
    request = exercise(world)
    votes: list[tuple[str, list[object]]] = [
        (VOTE, [world.tenant.pk, request.pk, world.people[name].pk, 1, "approve"])
        for name in ("lena", "mara", "felix")
    ]
    approve: tuple[str, list[object]] = (
        "UPDATE approval_request SET status = 'approved' WHERE id = %s",
        [request.pk],
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="request_canary_is_never_done"):
        in_its_agents_name(world, "web", request, *votes, approve)


@pytest.mark.parametrize("status", ELSEWHERE)
def test_nor_does_the_administrator_with_the_triggers_off(world: World, status: str) -> None:
    request = exercise(world)
    with (
        pytest.raises(psycopg.errors.CheckViolation, match="request_canary_is_never_done"),
        world.processes.cursor("admin") as shell,
        unguarded(shell),
    ):
        shell.execute("UPDATE approval_request SET status = %s WHERE id = %s", (status, request.pk))


@pytest.mark.parametrize("process", EVERYBODY)
@pytest.mark.parametrize(
    "change", ["is_canary = false, clue = ''", "is_canary = false", "clue = 'Something else.'"]
)
def test_an_exercise_stays_one(world: World, process: str, change: str) -> None:
    request = exercise(world)
    with pytest.raises(REFUSED):
        in_its_agents_name(
            world, process, request, (f"UPDATE approval_request SET {change} WHERE id = %s", [request.pk])
        )


@pytest.mark.parametrize("process", [*EVERYBODY, "admin"])
def test_no_request_of_an_agent_becomes_one(world: World, process: str) -> None:
    """Whoever could do that could have it ended by one vote, and call the approval a miss."""
    request = world.submit()
    with pytest.raises(REFUSED):
        attempt(
            world,
            process,
            "UPDATE approval_request SET is_canary = true, clue = 'x' WHERE id = %s",
            request.pk,
        )


@pytest.mark.parametrize("process", [*EVERYBODY, "admin"])
def test_no_process_files_one_in_the_name_of_a_real_agent(world: World, process: str) -> None:
    exercise(world)
    change = f'{{"id": "{uuid4()}", "idempotency_key": "{uuid4()}", "is_canary": true, "clue": "x"}}'
    with pytest.raises(REFUSED):
        attempt(world, process, COPY, change, world.submit().pk)


@pytest.mark.parametrize("process", APPLICATION)
def test_no_process_but_the_operators_command_files_one(world: World, process: str) -> None:
    request = exercise(world)
    change = f'{{"id": "{uuid4()}", "idempotency_key": "{uuid4()}"}}'
    with pytest.raises(REFUSED):
        in_its_agents_name(world, process, request, (COPY, [change, request.pk]))


def test_where_they_are_off_not_even_the_operators_role_files_one(world: World) -> None:
    request = exercise(world)
    change = f'{{"id": "{uuid4()}", "idempotency_key": "{uuid4()}"}}'
    assert attempt(world, "migrator", COPY, change, request.pk) == 1
    turn_off(world)
    with pytest.raises(psycopg.errors.CheckViolation, match="where exercises are on"):
        attempt(world, "migrator", COPY, change, request.pk)


@pytest.mark.parametrize("kind", ["auto_approve", "deny"])
def test_none_is_let_through_by_a_rule(world: World, kind: str) -> None:
    request = exercise(world)
    change = f'{{"id": "{uuid4()}", "idempotency_key": "{uuid4()}", "verdict": {{"kind": "{kind}"}}}}'
    with pytest.raises(psycopg.errors.CheckViolation, match="request_canary_is_never_done"):
        attempt(world, "migrator", COPY, change, request.pk)


@pytest.mark.parametrize("topic", ["judge", "execute", "reconcile", "reopen"])
@pytest.mark.parametrize("process", [*EVERYBODY, "admin"])
def test_nobody_orders_a_worker_to_do_anything_about_one(world: World, process: str, topic: str) -> None:
    request = exercise(world)
    with pytest.raises(REFUSED):
        in_its_agents_name(world, process, request, (ORDER, [world.tenant.pk, request.pk, topic]))


@pytest.mark.parametrize("process", [*EVERYBODY, "admin"])
def test_nobody_writes_that_one_was_attempted(world: World, process: str) -> None:
    request = exercise(world)
    with pytest.raises(REFUSED):
        in_its_agents_name(world, process, request, (ATTEMPT, [world.tenant.pk, request.pk]))


@pytest.mark.parametrize("process", ["web", "worker"])
def test_the_statements_above_are_refused_for_no_other_reason(world: World, process: str) -> None:
    """The same order, or attempt, about a request of an agent is let through."""
    request = world.submit()
    statement, values = (ORDER, ["execute"]) if process == "web" else (ATTEMPT, [])
    assert attempt(world, process, statement, world.tenant.pk, request.pk, *values) == 1


@pytest.mark.parametrize("process", APPLICATION)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE canary_setting SET is_on = true",
        "DELETE FROM canary_setting",
        "INSERT INTO canary_setting DEFAULT VALUES",
    ],
)
def test_no_process_turns_exercises_on_or_off(world: World, process: str, statement: str) -> None:
    exercise(world)
    with pytest.raises(REFUSED):
        attempt(world, process, statement)


def test_pages_read_the_setting_of_their_tenant_alone(world: World) -> None:
    exercise(world)
    with world.processes.cursor("web") as shell:
        scoped(shell, world, other=True)
        shell.execute("SELECT FROM canary_setting")
        assert shell.rowcount == 0
