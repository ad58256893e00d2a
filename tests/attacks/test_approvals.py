"""With a shell as a worker's role, or as the pages': nothing is approved without the people that it asks for."""

from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg
import pytest

from approvals import rejudge
from approvals.models import ApprovalRequest
from tests import courses
from tests.attacks.test_roles import attempt, scoped
from tests.test_decide import CREDIT
from tests.world import World

APPROVE = "UPDATE approval_request SET status = 'approved' WHERE status = 'pending'"
AUTO = """'{"kind": "auto_approve", "because": "x", "rule": "x"}'"""
WEAKER = (
    """'{"kind": "require", "stages": [{"role": "support_lead", "count": 1}], "because": "x", "rule": "x"}'"""
)
NOT_APPROVED = "approved by the people it asks for"
NOT_TO_CHANGE = "changes nothing that people decide on"
VOTE = """
INSERT INTO vote (id, tenant_id, request_id, person_id, revision, decision, comment, digest, created_at)
VALUES (gen_random_uuid(), %s, %s, %s, %s, %s, '', '', now())
"""
LARGE: dict[str, Any] = {"payment_id": "pay_10011", "amount_minor": 520000}  # a support lead and finance


def refused(world: World, process: str, statement: str, why: str, *values: object) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=why):
        attempt(world, process, statement, *values)


def test_a_worker_approves_nothing_that_asks_for_people(world: World) -> None:
    for _ in range(3):
        world.submit()
    refused(world, "worker", APPROVE, NOT_APPROVED)


def test_a_worker_approves_not_even_in_the_place_of_pages(world: World) -> None:
    """A quorum that is there was approved with its last vote."""
    world.vote(world.submit(**LARGE), "approve", "lena")
    refused(world, "worker", APPROVE, NOT_APPROVED)


def test_a_worker_approves_what_a_rule_lets_through(world: World) -> None:
    world.submit("issue_store_credit", **CREDIT)
    assert attempt(world, "worker", APPROVE) == 1


@pytest.mark.parametrize(
    "change",
    [
        f"verdict = {AUTO}",
        f"verdict = {AUTO}, revision = revision + 1",
        f"verdict = {AUTO}, revision = revision + 1, status = 'approved'",
        f"verdict = {WEAKER}, revision = revision + 1",
        "facts = 'gAAAA', revision = revision + 1",
        "headline = 'Refund 1.00 USD'",
        "revision = revision + 1",
        "policy_version_id = NULL",
        "expires_at = now() + interval '1 year'",
        "frozen_at = now()",
    ],
)
@pytest.mark.parametrize("course", [courses.pending, courses.approved, courses.uncertain, courses.succeeded])
def test_a_worker_changes_nothing_that_people_decide_on_or_have_decided(
    world: World, course: courses.Course, change: str
) -> None:
    request = course(world)
    refused(world, "worker", f"UPDATE approval_request SET {change} WHERE id = %s", NOT_TO_CHANGE, request.pk)


@pytest.mark.parametrize(
    "change",
    [
        f"verdict = {WEAKER}",
        f"verdict = {WEAKER}, revision = revision + 2",
        "facts = 'gAAAA', revision = revision + 1, status = 'approved'",
    ],
)
def test_what_is_judged_anew_is_the_next_revision_and_not_approved_at_once(world: World, change: str) -> None:
    request = world.submit("issue_store_credit", **CREDIT)
    refused(world, "worker", f"UPDATE approval_request SET {change} WHERE id = %s", NOT_TO_CHANGE, request.pk)


def test_once_a_rule_has_asked_for_people_a_worker_takes_it_back_no_more(world: World) -> None:
    request = world.submit("issue_store_credit", **CREDIT)
    with world.processes.cursor("worker") as shell:
        scoped(shell, world)
        change = "UPDATE approval_request SET verdict = {}, revision = revision + 1 WHERE id = %s"
        shell.execute(change.format(WEAKER), (request.pk,))
        with pytest.raises(psycopg.errors.CheckViolation, match=NOT_TO_CHANGE):
            shell.execute(change.format(AUTO), (request.pk,))


def test_a_worker_reopens_a_stale_request_with_its_new_verdict_or_with_the_old_one(world: World) -> None:
    request = courses.stale(world)
    with world.processes.cursor("worker") as shell:
        scoped(shell, world)
        shell.execute("UPDATE approval_request SET status = 'pending' WHERE id = %s", (request.pk,))
        with pytest.raises(psycopg.errors.CheckViolation, match=NOT_TO_CHANGE):
            shell.execute(f"UPDATE approval_request SET verdict = {AUTO} WHERE id = %s", (request.pk,))
    assert courses.reopen(world, request).pk == request.pk
    refused(world, "worker", APPROVE, NOT_APPROVED)


def test_a_request_for_people_is_not_the_rules_even_where_a_message_says_so(world: World) -> None:
    """What a door that was taken over can order, and a message that comes twice."""
    request = world.submit("issue_store_credit", **CREDIT)
    with world.processes.cursor("admin") as shell:
        shell.execute(f"UPDATE approval_request SET verdict = {WEAKER} WHERE id = %s", (request.pk,))
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    again = world.reload_as("web", request)
    assert (again.status, again.revision) == ("pending", 1)
    assert world.events(request) == ["request.created"]


def voted(world: World, request: ApprovalRequest, *votes: tuple[UUID, int, str]) -> int:
    """The pages' attempt to approve after such votes, past the verb; rolled back."""
    with world.processes.cursor("web") as shell:
        scoped(shell, world)
        for person_id, revision, decision in votes:
            shell.execute(VOTE, (request.tenant_id, request.pk, person_id, revision, decision))
        shell.execute("UPDATE approval_request SET status = 'approved' WHERE id = %s", (request.pk,))
        return shell.rowcount


@pytest.mark.parametrize(
    ("votes", "is_enough"),
    [
        ([], False),
        ([("lena", 1, "approve")], False),
        ([("lena", 1, "approve"), ("mara", 1, "approve")], False),  # two of one role
        ([("lena", 1, "approve"), ("ada", 1, "approve")], False),  # no reviewer
        ([("lena", 1, "approve"), ("felix", 1, "deny")], False),
        ([("lena", 1, "approve"), ("felix", 2, "approve")], False),  # of another revision
        ([("lena", 1, "approve"), ("otto", 1, "approve")], False),  # the agent's owner
        ([("lena", 1, "approve"), ("gus", 1, "approve")], False),  # of another company
        ([("lena", 1, "approve"), ("felix", 1, "approve")], True),
    ],
)
def test_pages_approve_nothing_without_the_votes_that_it_asks_for(
    world: World, votes: list[tuple[str, int, str]], is_enough: bool
) -> None:
    request = world.submit(**LARGE)
    cast = [(world.people[name].pk, revision, decision) for name, revision, decision in votes]
    if is_enough:
        assert voted(world, request, *cast) == 1
        return
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_APPROVED):
        voted(world, request, *cast)


@pytest.mark.parametrize(
    "verdict",
    [
        '{"kind": "require"}',
        '{"kind": "require", "stages": []}',
        '{"kind": "require", "stages": {}}',
        '{"kind": "require", "stages": [{"role": "support_lead"}]}',
        '{"kind": "deny"}',
    ],
)
def test_a_verdict_that_asks_for_nobody_by_mistake_is_approved_by_nobody(world: World, verdict: str) -> None:
    request = world.submit()
    with world.processes.cursor("admin") as shell:
        shell.execute("UPDATE approval_request SET verdict = %s WHERE id = %s", (verdict, request.pk))
    with pytest.raises((psycopg.errors.CheckViolation, psycopg.errors.DataError)):
        voted(world, request, (world.people["lena"].pk, 1, "approve"))


def test_a_table_of_its_own_does_not_stand_for_the_votes(world: World) -> None:
    request = world.submit()
    with world.processes.cursor("web") as shell:
        scoped(shell, world)
        with suppress(psycopg.errors.InsufficientPrivilege), shell.connection.transaction():
            shell.execute("CREATE TEMPORARY TABLE vote (LIKE public.vote)")
            shell.execute(
                VOTE.replace("INTO vote", "INTO pg_temp.vote"),
                (request.tenant_id, request.pk, world.people["lena"].pk, 1, "approve"),
            )
        with pytest.raises(psycopg.errors.CheckViolation, match=NOT_APPROVED):
            shell.execute(APPROVE)
