"""The one table of states, its copy in the database, and its drawing."""

from contextlib import suppress
from itertools import product
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.states import BORN, FINAL, MOVES, MOVES_OF, Status, can_move, diagram, sources
from tests.world import World, unguarded

ROOT = Path(__file__).resolve().parents[1]
ANSWERS = {(Status.CHANGES_REQUESTED, Status.PENDING)}
OWN = {("web", Status.WITHDRAWN)}
PAIRS = [(old, new) for old, new in product(Status, Status) if old != new]


def test_every_move_belongs_to_some_process_and_no_process_has_another() -> None:
    everything = {(old, new) for old, onward in MOVES.items() for new in onward}
    assert set().union(*MOVES_OF.values()) == everything


def test_the_door_can_neither_approve_nor_execute() -> None:
    assert {new for _, new in MOVES_OF["door"]} == {Status.WITHDRAWN, Status.PENDING}


def test_pages_can_not_execute() -> None:
    touched = {status for move in MOVES_OF["web"] for status in move}
    assert not touched & {Status.EXECUTING, Status.SUCCEEDED, Status.FAILED, Status.UNCERTAIN}


@given(st.lists(st.sampled_from(list(Status)), max_size=30))
def test_a_finished_request_never_moves_and_every_walk_starts_pending(wishes: list[Status]) -> None:
    status, walk = BORN, [BORN]
    for wish in wishes:
        if can_move(status, wish):
            assert status not in FINAL
            assert status in sources(wish)
            status = wish
            walk.append(wish)
    assert walk[0] == Status.PENDING
    assert Status.EXECUTING not in walk or Status.APPROVED in walk[: walk.index(Status.EXECUTING)]


def test_the_architecture_page_shows_this_table() -> None:
    assert diagram() in (ROOT / "ARCHITECTURE.md").read_text()


@pytest.mark.parametrize("process", ["door", "web", "worker", "sweeper"])
def test_the_database_allows_each_process_exactly_its_moves(world: World, process: str) -> None:
    request = world.submit()
    role = f'"{world.processes.prefix}_{process}"'
    allowed = set()
    with world.processes.cursor("admin") as shell:
        for old, new in PAIRS:
            shell.execute("SAVEPOINT before")
            with unguarded(shell):
                # Nothing else stands against a move: a rule asks for nobody, and the time is up. What pages take
                # back is a person's own.
                persons = ", agent_id = NULL, person_id = owner_id" if (process, new) in OWN else ""
                shell.execute(
                    f"""UPDATE approval_request SET status = %s{persons}, verdict = '{{"kind": "auto_approve"}}',
                        expires_at = now() - interval '1 second' WHERE id = %s""",
                    (old, request.pk),
                )
                shell.execute("SET CONSTRAINTS ALL IMMEDIATE")  # that the asker exists
            shell.execute("SET CONSTRAINTS ALL DEFERRED")
            shell.execute(f"SET LOCAL ROLE {role}")
            shell.execute(
                "SELECT set_config('countersign.tenant', %s, true), set_config('countersign.agent', %s, true),"
                " set_config('countersign.person', %s, true)",
                (str(world.tenant.pk), str(world.agent.agent_id), str(world.agent.owner_id)),
            )
            with suppress(psycopg.errors.CheckViolation):
                # What comes back from changes is another revision.
                next_one = ", revision = revision + 1" if process == "door" and (old, new) in ANSWERS else ""
                shell.execute(
                    f"UPDATE approval_request SET status = %s{next_one} WHERE id = %s", (new, request.pk)
                )
                assert shell.rowcount == 1
                allowed.add((old, new))
            shell.execute("ROLLBACK TO SAVEPOINT before")
        shell.connection.rollback()
    assert allowed == MOVES_OF[process]
