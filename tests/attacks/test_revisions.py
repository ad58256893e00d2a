"""With a shell as each role: a request is changed only where a reviewer asked for it, and its history by nobody."""

import psycopg
import pytest

from approvals.payload_keys import unseal
from tests import courses
from tests.attacks.test_approvals import AUTO, VOTE
from tests.attacks.test_roles import REFUSED, attempt, scoped
from tests.switches.conftest import fresh, operators
from tests.switches.stops import Operators
from tests.world import World

__all__ = ["fresh", "operators"]

ANSWER = "status = 'pending', revision = revision + 1, changes = NULL"
NOT_CHANGED = "changed by its next revision, when a reviewer has asked for changes"


@pytest.mark.parametrize(
    "change",
    [
        "arguments = 'gAAAA', arguments_sha256 = 'x'",
        "arguments = 'gAAAA', revision = revision + 1",
        "amount_minor = 1",
        "facts = 'gAAAA'",
        f"verdict = {AUTO}, revision = revision + 1",
        "headline = 'Refund 1.00 USD'",
        "risk = 'low'",
        "revision = revision + 1",
        "expires_at = now() + interval '1 year'",
        "frozen_at = now()",
        "changes = '{}'",
    ],
)
@pytest.mark.parametrize("course", [courses.pending, courses.approved, courses.changes_requested])
def test_a_door_changes_nothing_that_nobody_asked_it_to_change(
    world: World, course: courses.Course, change: str
) -> None:
    request = course(world)
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_CHANGED):
        attempt(world, "door", f"UPDATE approval_request SET {change} WHERE id = %s", request.pk)


@pytest.mark.parametrize(
    "change",
    [
        "status = 'pending'",  # the approvals that it had would count again
        "status = 'pending', changes = NULL",
        "status = 'pending', changes = NULL, revision = revision + 2",
        "status = 'pending', revision = revision + 1",
        f"{ANSWER}, frozen_at = now()",
    ],
)
def test_a_door_answers_with_the_next_revision_and_with_nothing_else(world: World, change: str) -> None:
    request = courses.changes_requested(world)
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_CHANGED):
        attempt(world, "door", f"UPDATE approval_request SET {change} WHERE id = %s", request.pk)


@pytest.mark.parametrize(
    "change", ["owner_id = id", "agent_id = id", "resource_id = 'x'", "action = 'x'", "trace_id = ''"]
)
def test_an_answer_changes_neither_whose_it_is_nor_what_it_is_done_to(world: World, change: str) -> None:
    request = courses.changes_requested(world)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(world, "door", f"UPDATE approval_request SET {ANSWER}, {change} WHERE id = %s", request.pk)


@pytest.mark.parametrize(
    ("process", "course", "change"),
    [
        ("door", courses.changes_requested, ANSWER),
        ("worker", courses.stale, "status = 'pending', revision = revision + 1"),
    ],
)
def test_no_revision_begins_later_than_now(
    world: World, process: str, course: courses.Course, change: str
) -> None:
    """Whoever stands in for somebody since it began counts once with them: not from tomorrow on."""
    request = course(world)
    sql = f"UPDATE approval_request SET {change}, facts_read_at = now() + %s::interval WHERE id = %s"
    with pytest.raises(psycopg.errors.CheckViolation, match="facts are read before"):
        attempt(world, process, sql, "1 day", request.pk)
    assert attempt(world, process, sql, "1 second", request.pk) == 1


def test_a_door_answers_for_no_other_agent_or_tenant(world: World) -> None:
    request = courses.changes_requested(world)
    change = f"UPDATE approval_request SET {ANSWER} WHERE id = %s"
    with world.processes.cursor("door") as shell:
        scoped(shell, world, other=True)
        shell.execute(change, (request.pk,))
        assert shell.rowcount == 0
    assert attempt(world, "door", change, request.pk) == 1


def test_votes_of_before_approve_no_answer(world: World) -> None:
    """A web process that was taken over, after a door that answered with what nobody has seen."""
    request = courses.ask_for_changes(world, world.submit(), "mara")
    courses.revise(world, request, amount_minor=900)
    with world.processes.cursor("web") as shell:
        scoped(shell, world)
        shell.execute(VOTE, (request.tenant_id, request.pk, world.people["lena"].pk, 1, "approve"))
        with pytest.raises(psycopg.errors.CheckViolation, match="approved by the people it asks for"):
            shell.execute("UPDATE approval_request SET status = 'approved' WHERE id = %s", (request.pk,))


def test_asking_for_changes_approves_nothing(world: World) -> None:
    request = world.submit()
    with world.processes.cursor("web") as shell:
        scoped(shell, world)
        shell.execute(VOTE, (request.tenant_id, request.pk, world.people["lena"].pk, 1, "changes"))
        with pytest.raises(psycopg.errors.CheckViolation, match="approved by the people it asks for"):
            shell.execute("UPDATE approval_request SET status = 'approved' WHERE id = %s", (request.pk,))


def test_pages_ask_for_changes_only_of_what_is_pending(world: World) -> None:
    request = courses.approved(world)
    with pytest.raises(psycopg.errors.CheckViolation, match="of what is pending"):
        attempt(world, "web", "UPDATE approval_request SET changes = '{}' WHERE id = %s", request.pk)


@pytest.mark.parametrize("process", ["door", "web", "worker", "sweeper"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO revision (id) VALUES (gen_random_uuid())",
        "UPDATE revision SET arguments = 'gAAAA'",
        "DELETE FROM revision",
        "TRUNCATE revision",
    ],
)
def test_no_process_writes_history(world: World, process: str, statement: str) -> None:
    with pytest.raises(REFUSED):
        attempt(world, process, statement)


def test_a_new_revision_past_the_verbs_is_kept_too(world: World) -> None:
    request = courses.changes_requested(world)
    with world.processes.cursor("door") as shell:
        scoped(shell, world)
        shell.execute(
            f"UPDATE approval_request SET {ANSWER}, arguments = 'gAAAAnew' WHERE id = %s", (request.pk,)
        )
        shell.execute("RESET ROLE")
        shell.connection.commit()
    with world.processes.cursor("admin") as shell:
        shell.execute("SELECT revision, arguments FROM revision WHERE request_id = %s", (request.pk,))
        ((revision, token),) = shell.fetchall()
    assert (revision, unseal(token)) == (1, request.arguments)


def test_another_companys_history_is_not_there(world: World) -> None:
    courses.revise(world, courses.changes_requested(world), amount_minor=900)
    with world.processes.cursor("web") as shell:
        scoped(shell, world, other=True)
        shell.execute("SELECT count(*) FROM revision")
        assert shell.fetchone() == (0,)


def test_no_answer_commits_under_a_switch(world: World, operators: Operators) -> None:
    request = courses.changes_requested(world)
    operators.stop()
    with world.processes.cursor("door") as shell:
        scoped(shell, world)
        shell.execute(f"UPDATE approval_request SET {ANSWER} WHERE id = %s", (request.pk,))
        with pytest.raises(psycopg.errors.CheckViolation, match="no request is filed under a switch"):
            shell.connection.commit()
