"""With a shell as the web process: a row of a broken glass that is out of order lets nothing through."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.attacks.test_roles import scoped
from tests.breaking import APPROVE, REASON, ROW, broken_past_the_verb, company, give, glass_of, push, review
from tests.test_decide import BIG
from tests.world import World

__all__ = ["company"]


def test_a_row_in_order_lets_it_through(company: World) -> None:
    assert broken_past_the_verb(company, company.submit(**BIG)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"by": "lena"},  # without the role
        {"by": "otto"},  # the agent's owner, who holds it
        {"by": "gus"},
        {"revision": 2},
        {"reason": "Because."},
        {"proof": "password"},
        {"proof": ""},
        {"proved": "20 minutes"},
        {"proved": "-1 minute"},
        {"at": "2 hours"},
        {"at": "2 hours", "proved": "-2 hours"},  # a box that opens later
        {"at": "-2 hours", "proved": "121 minutes"},
        {"box": "16 minutes"},
        {"box": "-1 minute"},
        {"expires": "now() + interval '16 minutes'"},
        {"expires": "expires_at"},
    ],
)
def test_a_row_out_of_order_lets_nothing_through(company: World, changes: dict[str, Any]) -> None:
    give(company, "gus", "break_glass")
    request = company.submit(**BIG)
    with pytest.raises(psycopg.errors.CheckViolation):
        broken_past_the_verb(company, request, **changes)


def test_a_row_of_another_request_lets_nothing_through(company: World) -> None:
    one, other = company.submit(**BIG), company.submit(**BIG)
    with company.processes.cursor("web") as shell:
        scoped(shell, company)
        push_row = {
            "tenant": one.tenant_id, "request": one.pk, "person": company.people["opal"].pk, "revision": 1,
            "reason": REASON, "proof": "totp", "proved": "1 minute", "at": "0", "box": "15 minutes",
        }  # fmt: skip
        shell.execute(ROW, push_row)
        with pytest.raises(psycopg.errors.CheckViolation):
            shell.execute(APPROVE.format("now()"), (other.pk,))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE break_glass SET valid_until = now() + interval '1 hour'",
        "UPDATE break_glass SET reason = 'It was somebody else.'",
        "DELETE FROM break_glass",
        "UPDATE break_glass_review SET verdict = 'justified'",
        "DELETE FROM break_glass_review",
    ],
)
def test_pages_change_and_delete_none(company: World, statement: str) -> None:
    review(company, push(company, company.submit(**BIG)), "mara")
    with company.processes.cursor("web") as shell:
        scoped(shell, company)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shell.execute(statement)


@pytest.mark.parametrize("process", ["door", "sweeper", "worker"])
def test_no_other_process_breaks_the_glass_or_reviews_it(company: World, process: str) -> None:
    push(company, company.submit(**BIG))
    for table in ("break_glass", "break_glass_review"):
        with company.processes.cursor(process) as shell:
            scoped(shell, company)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                shell.execute(f"INSERT INTO {table} (id) VALUES (gen_random_uuid())")


@pytest.mark.parametrize("by", ["opal", "lena", "gus", "otto"])
def test_the_database_takes_no_review_by_whoever_pushed_or_does_not_watch(company: World, by: str) -> None:
    give(company, "gus", "security")
    give(company, "opal", "security")
    give(company, "otto", "security")  # the agent's owner
    glass = glass_of(company, push(company, company.submit(**BIG)))
    with company.processes.cursor("web") as shell:
        scoped(shell, company)
        with pytest.raises(psycopg.errors.CheckViolation):
            shell.execute(
                "INSERT INTO break_glass_review"
                " (id, tenant_id, break_glass_id, person_id, verdict, comment, created_at)"
                " VALUES (%s, %s, %s, %s, 'justified', 'Fine.', now())",
                (uuid4(), company.tenant.pk, glass.pk, company.people[by].pk),
            )
