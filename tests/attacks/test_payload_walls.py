"""With a shell as each role: payloads are erased by the sweeper alone and in their time; nobody forges an opening."""

from typing import Any

import psycopg
import pytest

from approvals import content
from approvals.errors import RequestAltered
from tests import courses
from tests.attacks.test_roles import REFUSED, attempt, scoped
from tests.sealing import days_pass, moved
from tests.world import World

ERASE = "arguments = NULL, facts = NULL, salt = NULL, payload_erased_at = now(), erased_because = 'time'"
READING = """
INSERT INTO payload_reading (id, tenant_id, request_id, person_id, proof, proved_at, created_at)
VALUES (gen_random_uuid(), %s, %s, %s, 'totp', now() - %s::interval, now())
"""


@pytest.mark.parametrize("process", ["door", "web", "worker"])
@pytest.mark.parametrize(
    "change", [ERASE, "arguments = NULL, facts = NULL", "redacted = ''", "payload_erased_at = now()"]
)
def test_no_other_process_erases(world: World, process: str, change: str) -> None:
    request = moved(world)
    days_pass(world, request, 1000)
    with pytest.raises(REFUSED):
        attempt(world, process, f"UPDATE approval_request SET {change} WHERE id = %s", request.pk)


@pytest.mark.parametrize(
    ("days", "change"),
    [
        (0.9, ERASE),
        (1000, ERASE.replace("'time'", "'asked'")),
        (1000, ERASE.replace("payload_erased_at = now()", "payload_erased_at = '2001-01-01'")),
        (1000, "arguments = 'gAAAAnew'"),
        (1000, f"{ERASE}, redacted = '{{}}'"),
        (1000, "redacted = '{}'"),
        (1000, "arguments = NULL"),
        (1000, "salt = NULL"),
        (1000, "salt = 'gAAAAnew'"),
        (1000, ERASE.replace("salt = NULL, ", "")),
        (1000, "erased_because = 'time'"),
    ],
)
def test_a_sweeper_taken_over_whole_erases_nothing_early_and_writes_nothing_else(
    world: World, days: float, change: str
) -> None:
    request = moved(world)
    days_pass(world, request, days)
    with pytest.raises(REFUSED):
        attempt(world, "sweeper", f"UPDATE approval_request SET {change} WHERE id = %s", request.pk)


@pytest.mark.parametrize("course", [courses.pending, courses.approved, courses.uncertain, courses.stale])
def test_a_sweeper_taken_over_whole_erases_nothing_that_is_open(world: World, course: courses.Course) -> None:
    request = course(world)
    days_pass(world, request, 1000)
    with pytest.raises(psycopg.errors.CheckViolation, match="has been finished for a while"):
        attempt(world, "sweeper", f"UPDATE approval_request SET {ERASE} WHERE id = %s", request.pk)


def test_a_sweeper_erases_what_it_cannot_read(world: World) -> None:
    request = moved(world)
    days_pass(world, request, 2)
    assert attempt(world, "sweeper", f"UPDATE approval_request SET {ERASE} WHERE id = %s", request.pk) == 1
    for column in ("arguments", "facts", "salt", "redacted"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(world, "sweeper", f"SELECT {column} FROM approval_request")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(world, "sweeper", "SELECT * FROM revision")


def test_what_is_erased_does_not_come_back(world: World) -> None:
    request = moved(world)
    days_pass(world, request, 2)
    with world.processes.cursor("sweeper") as shell:
        scoped(shell, world)
        shell.execute(f"UPDATE approval_request SET {ERASE} WHERE id = %s", (request.pk,))
        with pytest.raises(REFUSED):
            shell.execute(
                "UPDATE approval_request SET arguments = 'gAAAAx', facts = 'gAAAAx', salt = 'gAAAAx',"
                " payload_erased_at = NULL, erased_because = '' WHERE id = %s",
                (request.pk,),
            )


@pytest.mark.parametrize("process", ["door", "web", "worker", "sweeper"])
def test_no_process_changes_a_salt(world: World, process: str) -> None:
    request = courses.approved(world)
    with pytest.raises(REFUSED):
        attempt(world, process, "UPDATE approval_request SET salt = 'gAAAAx' WHERE id = %s", request.pk)


@pytest.mark.parametrize("process", ["door", "worker"])
def test_nobody_changes_what_will_be_shown_of_what_people_decide_on(world: World, process: str) -> None:
    request = courses.approved(world)
    with pytest.raises(psycopg.errors.CheckViolation):
        attempt(
            world,
            process,
            "UPDATE approval_request SET redacted = '{\"args\": {}}' WHERE id = %s",
            request.pk,
        )


@pytest.mark.parametrize(
    ("who", "ago", "course"),
    [
        ("lena", "1 minute", courses.denied),  # without the role
        ("opal", "6 minutes", courses.denied),  # whose proof is old
        ("opal", "1 minute", courses.pending),  # which is open
    ],
)
def test_an_opening_out_of_order_is_not_taken(
    world: World, who: str, ago: str, course: courses.Course
) -> None:
    request = course(world)
    said: tuple[Any, ...] = (world.tenant.pk, request.pk, world.people[who].pk, ago)
    with pytest.raises(psycopg.errors.CheckViolation):
        attempt(world, "web", READING, *said)


@pytest.mark.parametrize("process", ["door", "web", "worker", "sweeper"])
@pytest.mark.parametrize(
    "statement", ["UPDATE payload_reading SET proof = 'webauthn'", "DELETE FROM payload_reading"]
)
def test_an_opening_is_written_once(world: World, process: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(world, process, statement)


def test_another_companys_openings_are_not_there(world: World) -> None:
    request = courses.denied(world)
    said = (world.tenant.pk, request.pk, world.people["opal"].pk, "1 minute")
    with world.processes.cursor("web") as shell:
        scoped(shell, world)
        shell.execute(READING, said)
        scoped(shell, world, other=True)
        shell.execute("SELECT count(*) FROM payload_reading")
        assert shell.fetchone() == (0,)


def test_what_is_shown_later_is_what_was_sealed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A door that was taken over could show one thing while it is decided on, and another when it is finished."""
    real = content.redacted
    monkeypatch.setattr(content, "redacted", lambda *of: real(*of).replace("pay_10001", "pay_99999"))
    request = world.submit()
    monkeypatch.undo()
    with pytest.raises(RequestAltered, match="what is shown of it later"):
        world.vote(request, "approve", "lena")
    assert world.status(request) == "pending"
