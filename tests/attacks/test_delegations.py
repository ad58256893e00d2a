"""With a shell as the pages' role: what a forged delegation, claim or escalation gives, and what it does not.

The pages' role can write who stands in for whom, as it can vote in the name of everybody it serves. Between two members
of one company, from now on, for 90 days at most, and in no role of an office: and nobody counts more often by it.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from approvals.models import ApprovalRequest
from policies.verdicts import Escalation, Stage
from tests.attacks.test_approvals import LARGE, NOT_APPROVED, refused
from tests.attacks.test_roles import attempt, scoped
from tests.people.asking import FINANCE, LEAD, asking, away, hire
from tests.world import World

DELEGATE = """
INSERT INTO delegation (id, tenant_id, delegator_id, delegate_id, starts_at, ends_at, reason, created_at)
VALUES (gen_random_uuid(), %s, %s, %s, now() + %s, now() + %s + %s, '', now())
"""
VOTE = """
INSERT INTO vote
    (id, tenant_id, request_id, person_id, instead_of_id, revision, decision, comment, digest, created_at)
VALUES (gen_random_uuid(), %s, %s, %s, %s, 1, 'approve', '', %s, clock_timestamp())
"""
NOW, DAY = timedelta(), timedelta(days=1)
UNSOUND = "a delegation is between two members"
Cast = tuple[str, str | None] | tuple[str, str | None, str]


def voted(
    world: World, request: ApprovalRequest, *votes: Cast, delegations: tuple[tuple[str, str], ...] = ()
) -> int:
    """The pages' attempt to approve after such delegations and votes, past the verbs; rolled back."""

    def person(name: str | None) -> UUID | None:
        return world.people[name].pk if name else None

    with world.processes.cursor("web") as shell:
        scoped(shell, world)
        for delegator, to in delegations:
            shell.execute(DELEGATE, (world.tenant.pk, person(delegator), person(to), NOW, NOW, DAY))
        for name, whom, *digest in votes:
            seen = digest[0] if digest else ""
            shell.execute(VOTE, (world.tenant.pk, request.pk, person(name), person(whom), seen))
        shell.execute("UPDATE approval_request SET status = 'approved' WHERE id = %s", (request.pk,))
        return shell.rowcount


@pytest.mark.parametrize(
    ("delegations", "votes"),
    [
        ([], [("lena", None), ("mara", "felix")]),  # in the place of somebody who is not out of office
        ([("mara", "felix")], [("lena", None), ("mara", "felix")]),  # the other way round
        ([("felix", "lena")], [("lena", None), ("lena", "felix")]),  # one person twice
        ([("felix", "lena")], [("lena", None), ("felix", None)]),  # both count once
        ([("felix", "lena")], [("lena", "felix"), ("felix", None)]),
        ([("felix", "mara"), ("lena", "mara")], [("mara", "felix"), ("lena", None)]),
        ([("otto", "lena")], [("mara", None), ("lena", "otto")]),  # otto owns the agent
        ([("felix", "otto")], [("lena", None), ("otto", "felix")]),
        ([("felix", "lena"), ("lena", "mara")], [("nora", None), ("mara", "felix")]),  # handed on
        ([("felix", "mara")], [("lena", None, "one page"), ("mara", "felix", "another page")]),
    ],
)
def test_a_forged_delegation_makes_nobody_count_who_would_not(
    world: World, delegations: list[tuple[str, str]], votes: list[Any]
) -> None:
    hire(world, "nora", "support_lead")
    request = world.submit(**LARGE)
    with pytest.raises((psycopg.errors.CheckViolation, psycopg.errors.UniqueViolation)):
        voted(world, request, *votes, delegations=tuple(delegations))


def test_the_pages_can_write_who_stands_in_as_they_can_vote_for_everybody(world: World) -> None:
    request = world.submit(**LARGE)
    assert voted(world, request, ("lena", None), ("mara", "felix"), delegations=(("felix", "mara"),)) == 1
    assert voted(world, request, ("lena", None), ("felix", None)) == 1


@pytest.mark.parametrize("role", ["auditor", "operator", "platform_operator"])
def test_no_role_of_an_office_by_delegation(world: World, role: str) -> None:
    hire(world, "olga", role)
    request = asking(world, Stage(role, 1))
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_APPROVED):
        voted(world, request, ("lena", "olga"), delegations=(("olga", "lena"),))
    assert voted(world, request, ("olga", None)) == 1


@pytest.mark.parametrize(
    ("delegator", "to", "begins", "lasts"),
    [
        ("lena", "gus", NOW, DAY),
        ("gus", "lena", NOW, DAY),
        ("lena", "lena", NOW, DAY),
        ("lena", "mara", -DAY, 2 * DAY),
        ("lena", "mara", NOW, 91 * DAY),
        ("lena", "mara", NOW, -DAY),
    ],
)
def test_none_across_companies_to_oneself_in_the_past_or_for_ever(
    world: World, delegator: str, to: str, begins: timedelta, lasts: timedelta
) -> None:
    who = (world.people[delegator].pk, world.people[to].pk)
    refused(world, "web", DELEGATE, ".", world.tenant.pk, *who, begins, begins, lasts)


@pytest.mark.parametrize(
    "change",
    [
        "ends_at = ends_at + interval '1 day'",
        "delegate_id = delegator_id",
        "starts_at = starts_at - interval '1 day'",
    ],
)
def test_none_is_changed_but_for_its_early_end(world: World, change: str) -> None:
    made = away(world, "lena", "mara")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(world, "web", f"UPDATE delegation SET {change} WHERE id = %s", made.pk)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(world, "web", "DELETE FROM delegation WHERE id = %s", made.pk)
    for end in ("now() - interval '1 hour'", "now() + interval '1 hour'", "NULL"):
        refused(world, "web", f"UPDATE delegation SET ended_at = {end} WHERE id = %s", UNSOUND, made.pk)


@pytest.mark.parametrize("process", ["door", "worker", "sweeper"])
@pytest.mark.parametrize("table", ["delegation", "claim"])
def test_no_other_process_writes_them(world: World, process: str, table: str) -> None:
    for statement in (f"INSERT INTO {table} (id) VALUES (gen_random_uuid())", f"DELETE FROM {table}"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(world, process, statement)


def test_the_sweeper_sees_neither_who_looks_at_a_request_nor_how_somebody_voted(world: World) -> None:
    for column, table in (
        ("person_id", "claim"),
        ("person_id", "vote"),
        ("decision", "vote"),
        ("comment", "vote"),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(world, "sweeper", f"SELECT {column} FROM {table}")


UP = Escalation(timedelta(hours=1), "head_of_support")


@pytest.mark.parametrize("process", ["web", "worker", "sweeper", "door"])
@pytest.mark.parametrize(
    "change",
    [
        "escalated_at = now()",
        "reminded_at = now()",
        "escalates_at = now()",
        "escalates_at = now(), escalated_at = now()",
    ],
)
def test_nobody_escalates_before_the_time(world: World, process: str, change: str) -> None:
    request = asking(world, LEAD, escalation=UP)
    with pytest.raises((psycopg.errors.CheckViolation, psycopg.errors.InsufficientPrivilege)):
        attempt(world, process, f"UPDATE approval_request SET {change} WHERE id = %s", request.pk)


def test_who_it_escalates_to_approves_nothing_before(world: World) -> None:
    hire(world, "hedy", "head_of_support")
    request = asking(world, FINANCE, escalation=UP)
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_APPROVED):
        voted(world, request, ("hedy", None))


def test_the_order_of_stages_is_counted_by_the_database_too(world: World) -> None:
    request = asking(world, LEAD, Stage("finance", 1, step=2))
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_APPROVED):
        voted(world, request, ("felix", None), ("lena", None))
    assert voted(world, request, ("lena", None), ("felix", None)) == 1


def test_somebody_with_two_roles_is_given_the_place_that_is_left(world: World) -> None:
    hire(world, "bo", "support_lead", "finance")
    request = asking(world, LEAD, FINANCE)
    assert voted(world, request, ("bo", None), ("lena", None)) == 1
    with pytest.raises(psycopg.errors.CheckViolation, match=NOT_APPROVED):
        voted(world, request, ("lena", None), ("mara", None))
