"""With a shell as a process: what a request undoes is true and stays, and a worker files what people ordered alone."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from approvals.models import ApprovalRequest
from tests import courses
from tests.attacks.test_forgery import MESSAGE
from tests.attacks.test_policy_walls import person
from tests.attacks.test_roles import COPY, REFUSED, scoped
from tests.test_undo_order import order, work
from tests.undoing import asked, done, file
from tests.world import World

NO_SUCH_LINK = "undoes one of its own company, or of its own agent, that was carried out"
ORDER = """
INSERT INTO undo_order (id, tenant_id, request_id, person_id, reason, created_at, refusal)
VALUES (gen_random_uuid(), %s, %s, %s, 'A reason that is long enough.', now(), '')
"""


def copied(shell: psycopg.Cursor[Any], like: ApprovalRequest, **changes: object) -> int:
    """One row more like this request's, as it was filed."""
    born = {"id": str(uuid4()), "idempotency_key": str(uuid4()), "status": "pending", "finished_at": None}
    shell.execute(COPY, (Jsonb({**born, **changes}), like.pk))
    return shell.rowcount


def named(world: World, who: str) -> str:
    return str(world.people[who].pk)


def test_a_door_links_to_what_was_carried_out_for_its_own_agent_and_to_nothing_else(world: World) -> None:
    request, waiting, spent = done(world), asked(world), courses.succeeded(world)
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET agent_id = %s, tenant_id = %s, owner_id = %s WHERE id = %s",
            (world.other_agent.agent_id, world.other.pk, world.other_agent.owner_id, spent.pk),
        )
    for wrong in (waiting.pk, spent.pk, uuid4()):
        with world.processes.cursor("door") as shell:
            scoped(shell, world)
            with pytest.raises(psycopg.errors.CheckViolation, match=NO_SUCH_LINK):
                copied(shell, waiting, undoes_id=str(wrong))
    with world.processes.cursor("door") as shell:
        scoped(shell, world)
        assert copied(shell, waiting, undoes_id=str(request.pk)) == 1


@pytest.mark.parametrize("process", ["door", "web", "worker", "sweeper", "migrator", "admin"])
@pytest.mark.parametrize("which", ["another", "none"])
def test_nobody_changes_a_link(world: World, process: str, which: str) -> None:
    request, other = done(world), courses.succeeded(world)
    filed = file(world, request).request
    new = other.pk if which == "another" else None
    with world.processes.cursor(process) as shell:
        scoped(shell, world)
        with pytest.raises(REFUSED):
            shell.execute("UPDATE approval_request SET undoes_id = %s WHERE id = %s", (new, filed.pk))


def test_two_never_undo_the_same(world: World) -> None:
    request = done(world)
    with world.processes.cursor("door") as shell:
        scoped(shell, world)
        copied(shell, request, undoes_id=str(request.pk))
        with pytest.raises(psycopg.errors.UniqueViolation, match="one_undoing_a_request"):
            copied(shell, request, undoes_id=str(request.pk))


def test_the_database_counts_nobody_who_is_behind_what_is_undone(world: World) -> None:
    request = done(world)
    filed = file(world, request).request
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE approval_request SET owner_id = %s WHERE id = %s", (named(world, "mara"), request.pk)
        )
    vote = """
        INSERT INTO vote (id, tenant_id, request_id, person_id, revision, decision, comment, digest, created_at)
        VALUES (gen_random_uuid(), %s, %s, %s, 1, 'approve', '', '', now())
    """
    for who, counts in (("mara", False), ("lena", True)):
        with world.processes.cursor("web") as shell:
            scoped(shell, world)
            shell.execute(vote, (world.tenant.pk, filed.pk, named(world, who)))
            approve = "UPDATE approval_request SET status = 'approved', decided_at = now() WHERE id = %s"
            if counts:
                shell.execute(approve, (filed.pk,))
                continue
            with pytest.raises(psycopg.errors.CheckViolation, match="approved by the people it asks for"):
                shell.execute(approve, (filed.pk,))


def test_a_worker_files_nothing_that_nobody_ordered(world: World) -> None:
    request = done(world)
    lena = {"person_id": named(world, "lena"), "owner_id": named(world, "lena"), "agent_id": None}
    with world.processes.cursor("worker") as shell:
        scoped(shell, world)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            copied(shell, request, undoes_id=str(request.pk), **lena)


@pytest.mark.parametrize(
    "change",
    [
        {"person_id": "mara", "owner_id": "mara"},
        {"owner_id": "mara"},
        {"on_behalf_of_id": "mara"},
        {"undoes_id": None},
        {"agent_id": "agent", "person_id": None, "owner_id": "otto"},
        {"status": "approved"},
    ],
    ids=str,
)
def test_a_worker_files_what_was_ordered_in_that_name_alone(world: World, change: dict[str, Any]) -> None:
    request = done(world)
    order(world, request)
    row: dict[str, Any] = {
        "person_id": "lena",
        "owner_id": "lena",
        "agent_id": None,
        "undoes_id": str(request.pk),
    }
    names = {name: named(world, name) for name in ("lena", "mara", "otto")}
    names["agent"] = str(world.agent.agent_id)

    def filing(shell: psycopg.Cursor[Any], what: dict[str, Any]) -> int:
        scoped(shell, world)
        return copied(shell, request, **{key: names.get(value, value) for key, value in what.items()})

    with world.processes.cursor("worker") as shell:
        assert filing(shell, row) == 1
    with world.processes.cursor("worker") as shell, pytest.raises(REFUSED):
        filing(shell, {**row, **change})


def test_an_order_is_answered_once_and_then_files_nothing_more(world: World) -> None:
    request = done(world)
    ordered = order(world, request)
    filed = work(world, request).filed
    assert filed is not None
    world.vote(filed, "deny", "mara", comment="Not now.")
    lena = {"person_id": named(world, "lena"), "owner_id": named(world, "lena"), "agent_id": None}
    with world.processes.cursor("worker") as shell:
        scoped(shell, world)
        shell.execute(
            "UPDATE undo_order SET filed_id = NULL, refusal = 'No.', answered_at = now() WHERE id = %s",
            (ordered.pk,),
        )
        assert shell.rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            copied(shell, request, undoes_id=str(request.pk), **lena)


@pytest.mark.parametrize(("whose", "tenant"), [("mara", "own"), ("gus", "own"), ("lena", "other")])
def test_a_page_orders_for_whom_it_serves_in_their_company_alone(
    world: World, whose: str, tenant: str
) -> None:
    request = done(world)
    of = world.tenant.pk if tenant == "own" else world.other.pk
    with world.processes.cursor("web") as shell:
        person(world, shell, "gus" if whose == "gus" else "lena")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shell.execute(ORDER, (of, request.pk, named(world, whose)))


@pytest.mark.parametrize("process", ["door", "worker", "sweeper"])
def test_no_other_process_orders(world: World, process: str) -> None:
    request = done(world)
    with world.processes.cursor(process) as shell:
        person(world, shell, "lena")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shell.execute(ORDER, (world.tenant.pk, request.pk, named(world, "lena")))


def test_a_page_rings_for_an_order_alone(world: World) -> None:
    request = done(world)

    def ring(shell: psycopg.Cursor[Any]) -> UUID:
        shell.execute(MESSAGE, (world.tenant.pk, request.pk, "undo", ""))
        return request.pk

    with world.processes.cursor("web") as shell:
        person(world, shell, "lena")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ring(shell)
    with world.processes.cursor("web") as shell:
        person(world, shell, "lena")
        shell.execute(ORDER, (world.tenant.pk, request.pk, named(world, "lena")))
        assert ring(shell)
