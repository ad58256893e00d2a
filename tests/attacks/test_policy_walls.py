"""With a shell as each role: no policy comes into force, and no version changes, past the people who decide."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from approvals.models import ApprovalRequest
from policies.documents import shipped
from tests.attacks.test_roles import APPLICATION, COPY, REFUSED, attempt, scoped
from tests.versions import LAXER, STRICTER, activated, agreed, asked, in_force, propose, run
from tests.world import World

WRITE = """
INSERT INTO policy_version
    (id, tenant_id, number, digest, source, source_sha256, author_id, because, is_active, created_at)
VALUES (gen_random_uuid(), %s, %s, '', %s, %s, %s, '', %s, now())
"""
ACTIVATE = """
INSERT INTO policy_activation (tenant_id, version_id, replaced_id, request_id, at)
SELECT v.tenant_id, v.id, (SELECT a.id FROM policy_version a WHERE a.is_active), %s, now()
FROM policy_version v WHERE v.number = %s
"""
BY_PERSON = "SELECT set_config('countersign.person', %s, true)"
NOT_CARRIED_OUT = "comes into force by an approved request that is being carried out"


def person(world: World, shell: psycopg.Cursor[Any], name: str) -> UUID:
    """A shell that says whom it serves."""
    scoped(shell, world)
    shell.execute(BY_PERSON, (str(world.people[name].pk),))
    return world.people[name].pk


def activating(world: World, process: str, number: int, request_id: UUID | None) -> int:
    return attempt(world, process, ACTIVATE, request_id, number)


def force(world: World, request: ApprovalRequest, status: str) -> None:
    world.force_status(request, status)


# --- versions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("process", [*APPLICATION, "migrator", "admin"])
@pytest.mark.parametrize(
    "change",
    [
        "source = 'policy: 1'",
        "source_sha256 = ''",
        "digest = ''",
        "number = 7",
        "author_id = NULL",
        "because = 'Another reason.'",
        "created_at = now()",
        "is_active = true",
        "is_active = false",
        "is_active = NOT is_active",
    ],
)
def test_nobody_changes_a_version_or_which_one_is_in_force(world: World, process: str, change: str) -> None:
    propose(world)
    with pytest.raises(REFUSED):
        attempt(world, process, f"UPDATE policy_version SET {change} WHERE tenant_id = %s", world.tenant.pk)
    assert in_force(world) == 1


@pytest.mark.parametrize("process", APPLICATION)
def test_no_process_takes_a_version_or_an_activation_away(world: World, process: str) -> None:
    propose(world)
    for statement in (
        "DELETE FROM policy_version",
        "DELETE FROM policy_activation",
        "UPDATE policy_activation SET at = now()",
    ):
        with pytest.raises(REFUSED):
            attempt(world, process, statement)


@pytest.mark.parametrize("process", ["migrator", "admin"])
def test_an_activation_is_written_once(world: World, process: str) -> None:
    for statement in ("DELETE FROM policy_activation", "UPDATE policy_activation SET at = now()"):
        with pytest.raises(REFUSED, match="written once"), world.processes.cursor(process) as shell:
            shell.execute(f"{statement} WHERE tenant_id = %s", (world.tenant.pk,))


@pytest.mark.parametrize(
    ("author", "is_active", "is_taken"),
    [("paul", False, True), ("paul", True, False), ("olga", False, False), (None, False, False)],
)
def test_pages_write_versions_of_the_person_they_serve_and_none_in_force(
    world: World, author: str | None, is_active: bool, is_taken: bool
) -> None:
    with world.processes.cursor("web") as shell:
        person(world, shell, "paul")
        by = world.people[author].pk if author else None
        values = (world.tenant.pk, 2, STRICTER, "", by, is_active)
        if not is_taken:
            with pytest.raises(REFUSED):
                shell.execute(WRITE, values)
            return
        shell.execute(WRITE, values)
        assert shell.rowcount == 1


@pytest.mark.parametrize("process", ["door", "worker", "sweeper"])
def test_only_pages_write_versions(world: World, process: str) -> None:
    with world.processes.cursor(process) as shell:
        by = person(world, shell, "paul")
        with pytest.raises(REFUSED):
            shell.execute(WRITE, (world.tenant.pk, 2, STRICTER, "", by, False))


def test_a_version_is_signed_by_the_database_whatever_its_writer_says(world: World) -> None:
    with world.processes.cursor("web") as shell:
        by = person(world, shell, "paul")
        shell.execute(WRITE, (world.tenant.pk, 2, STRICTER, "0" * 64, by, False))
        shell.execute(
            "SELECT source_sha256 = encode(sha256(convert_to(source, 'UTF8')), 'hex') FROM policy_version"
        )
        assert set(shell.fetchall()) == {(True,)}


# --- in force ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("process", ["door", "web", "sweeper"])
def test_only_a_worker_puts_a_version_in_force(world: World, process: str) -> None:
    request = agreed(world)
    force(world, request, "executing")
    with pytest.raises(REFUSED):
        activating(world, process, 2, request.pk)
    assert activating(world, "worker", 2, request.pk) == 1


@pytest.mark.parametrize("status", ["pending", "approved", "stale", "uncertain", "succeeded", "denied"])
def test_a_worker_puts_nothing_in_force_that_is_not_being_carried_out(world: World, status: str) -> None:
    request = asked(world)
    force(world, request, status)
    with pytest.raises(REFUSED, match=NOT_CARRIED_OUT):
        activating(world, "worker", 2, request.pk)


def test_a_worker_puts_nothing_in_force_without_a_request(world: World) -> None:
    propose(world)
    with pytest.raises(REFUSED):
        activating(world, "worker", 2, None)
    with pytest.raises(REFUSED, match=NOT_CARRIED_OUT):
        activating(world, "worker", 2, uuid4())


def test_a_worker_puts_no_other_version_in_force_than_the_one_that_was_agreed_to(world: World) -> None:
    request = agreed(world)
    propose(world, LAXER)
    force(world, request, "executing")
    with pytest.raises(REFUSED, match=NOT_CARRIED_OUT):
        activating(world, "worker", 3, request.pk)


def test_a_request_for_something_else_puts_nothing_in_force(world: World) -> None:
    propose(world)
    request = world.submit()
    force(world, request, "executing")
    with pytest.raises(REFUSED, match=NOT_CARRIED_OUT):
        activating(world, "worker", 2, request.pk)


def test_what_was_agreed_to_beside_another_version_puts_nothing_in_force(world: World) -> None:
    late = agreed(world)
    activated(world, LAXER)
    force(world, late, "executing")
    with pytest.raises(REFUSED, match=NOT_CARRIED_OUT):
        activating(world, "worker", 2, late.pk)


def test_one_request_puts_a_version_in_force_once(world: World) -> None:
    request = activated(world)
    force(world, request, "executing")
    with pytest.raises((*REFUSED, psycopg.errors.UniqueViolation)):
        activating(world, "worker", 2, request.pk)


def test_a_worker_approves_no_activation_not_even_after_it_judged_anew(world: World) -> None:
    """It puts what is stale back with a verdict of its own; of an activation, only one that asks an operator."""
    late = agreed(world)
    activated(world, LAXER)
    assert run(world, late) == "stale"
    nobody = """'{"kind": "auto_approve", "because": "x", "rule": "x"}'"""
    friends = (
        """'{"kind": "require", "stages": [{"role": "finance", "count": 1}], "because": "x", "rule": "x"}'"""
    )
    change = (
        "UPDATE approval_request SET status = 'pending', revision = revision + 1, verdict = {} WHERE id = %s"
    )
    for verdict in (nobody, friends):
        with pytest.raises(REFUSED, match="asks an operator"):
            attempt(world, "worker", change.format(verdict), late.pk)


# --- asked for --------------------------------------------------------------------------------------------


def copied(world: World, process: str, request: ApprovalRequest, serves: str, **changes: object) -> int:
    """The request once more, with such changes, as a process writes it past the verbs."""
    fresh = {"id": str(uuid4()), "idempotency_key": str(uuid4()), **changes}
    with world.processes.cursor(process) as shell:
        person(world, shell, serves)
        shell.execute(COPY, (Jsonb(fresh), request.pk))
        return shell.rowcount


def test_pages_file_an_activation_for_the_person_they_serve(world: World) -> None:
    request = asked(world)
    assert copied(world, "web", request, "paul") == 1
    with pytest.raises(REFUSED):
        copied(world, "web", request, "opal")
    assert copied(world, "web", request, "opal", **by(world, "opal")) == 1


def by(world: World, name: str) -> dict[str, object]:
    return {"person_id": str(world.people[name].pk), "owner_id": str(world.people[name].pk)}


OPERATOR = {"role": "operator", "count": 1}


@pytest.mark.parametrize("status", ["approved", "executing", "succeeded"])
def test_what_pages_file_is_pending(world: World, status: str) -> None:
    with pytest.raises(REFUSED):
        copied(world, "web", asked(world), "paul", status=status)


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "refund_payment"},
        {"tenant_id": "other"},
        {"editor_id": None},  # so that its author could agree to it
        {"editor_id": "lena"},
        {"owner_id": "lena"},
        {"on_behalf_of_id": "lena"},
        {"verdict": {"kind": "auto_approve", "because": "x", "rule": "x"}},
        {"verdict": {"kind": "require", "stages": [{"role": "finance", "count": 1}]}},
        {"verdict": {"kind": "require", "stages": [{"role": "operator", "count": 0}]}},
        {
            "verdict": {
                "kind": "require",
                "stages": [OPERATOR],
                "escalation": {"after": 60, "to": "support_lead"},
            }
        },
        {"arguments": "{}"},
    ],
)
def test_pages_file_no_other_activation_than_the_product_would(world: World, changes: dict[str, Any]) -> None:
    meant = {
        name: str(world.other.pk)
        if value == "other"
        else str(world.people["lena"].pk)
        if value == "lena"
        else value
        for name, value in changes.items()
    }
    with pytest.raises(REFUSED):
        copied(world, "web", asked(world), "paul", **meant)


def test_who_holds_no_role_for_it_asks_for_nothing_past_the_pages(world: World) -> None:
    with pytest.raises(REFUSED, match="asked for by a person"):
        copied(world, "web", asked(world), "lena", **by(world, "lena"))


def test_a_door_taken_over_whole_files_no_activation(world: World) -> None:
    request, mine = asked(world), world.submit()
    changes = {
        "action": "activate_policy",
        "arguments": request.arguments,
        "verdict": request.verdict,
        "editor_id": str(request.editor_id),
        "person_id": None,
    }
    with pytest.raises(REFUSED, match="asked for by a person"):
        copied(world, "door", mine, "paul", **changes)
    with pytest.raises(REFUSED):
        copied(world, "door", mine, "paul", **changes | by(world, "paul") | {"agent_id": None})


@pytest.mark.parametrize(
    ("voter", "is_enough"), [("opal", False), ("paul", False), ("lena", False), ("olga", True)]
)
def test_the_database_counts_neither_the_author_nor_who_asks(
    world: World, voter: str, is_enough: bool
) -> None:
    from tests.attacks.test_approvals import NOT_APPROVED, voted
    from tests.versions import ask

    request = ask(world, propose(world, by="opal").number, by="paul")
    if is_enough:
        assert voted(world, request, (world.people[voter].pk, 1, "approve")) == 1
        return
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_APPROVED):
        voted(world, request, (world.people[voter].pk, 1, "approve"))


def test_the_other_company_sees_no_version_and_no_activation_of_ours(world: World) -> None:
    activated(world)
    for process in ("web", "worker"):
        with world.processes.cursor(process) as shell:
            scoped(shell, world, other=True)
            shell.execute("SELECT count(*) FROM policy_version WHERE source <> %s", (shipped(),))
            assert shell.fetchone() == (0,)
            shell.execute("SELECT count(*) FROM policy_activation WHERE request_id IS NOT NULL")
            assert shell.fetchone() == (0,)
