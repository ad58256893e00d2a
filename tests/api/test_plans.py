"""How the database answers a list of the API: by which index, as the web process, where there are rows enough."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals.queries import Sought, listing, own_requests_page, requests_page
from approvals.queries.paging import mark
from tests.views.test_search_plans import many, plan
from tests.world import World


def asked(run: Callable[[], object]) -> list[str]:
    """The statements that look for requests, as they were sent."""
    with CaptureQueriesContext(connection) as queries:
        run()
    return [
        query["sql"]
        for query in queries
        if "FROM approval_request r" in query["sql"] or "_saying" in query["sql"]
    ]


@contextmanager
def many_days(web: World) -> Iterator[psycopg.Cursor[Any]]:
    """`many`, each filed at a moment of its own."""
    with many(web) as shell:
        shell.execute("RESET ROLE")
        shell.execute(
            "UPDATE approval_request r SET created_at = now() - n * interval '1 minute' FROM "
            "(SELECT id, row_number() OVER () AS n FROM approval_request WHERE tenant_id = %s) one "
            "WHERE r.id = one.id",
            (web.tenant.pk,),
        )
        shell.execute("ANALYZE approval_request")
        shell.execute(f'SET LOCAL ROLE "{web.processes.prefix}_web"')
        yield shell


def plans(shell: psycopg.Cursor[Any], statements: list[str]) -> list[str]:
    return [plan(shell, sql) for sql in statements]


def place(web: World) -> str:
    request = web.submit(key="a place")
    return mark(request.created_at, request.pk)


def test_the_newest_and_those_behind_a_place_come_in_the_order_of_an_index(web: World) -> None:
    by, after = web.reviewer("ada"), place(web)
    first, then = asked(lambda: [requests_page(by, Sought()), requests_page(by, Sought(), after=after)])
    with many_days(web) as shell:
        for found in plans(shell, [first, then]):
            assert "Index Scan using request_day on" in found and "Incremental Sort" in found, found
        assert "created_at <= " in plan(shell, then).partition("Index Cond")[2]


def test_what_one_agent_or_person_asked_for_has_its_index(web: World) -> None:
    other, after = web.another_agent(), place(web)
    statements = asked(
        lambda: [
            own_requests_page(web.agent, Sought(), after=after),
            own_requests_page(other, Sought(), after=after),
            requests_page(web.reviewer("ada"), Sought(requester=other.id)),
        ]
    )
    with many_days(web) as shell:
        (many_of_it, *few) = plans(shell, statements)
    assert "Incremental Sort" in many_of_it and "Seq Scan" not in many_of_it, many_of_it
    for found in few:
        assert "Index Cond: (agent_id = " in found and "Seq Scan" not in found, found


@pytest.mark.parametrize(
    ("sought", "index"),
    [
        (Sought(action="action_7"), "request_action"),
        (Sought(action="action_7", status="denied"), "request_status"),
        (Sought(currency="USD", least=7, most=8), "request_amount"),
        (Sought(risk="medium"), "request_risk"),
    ],
)
def test_what_is_rare_is_found_by_its_index(
    web: World, monkeypatch: pytest.MonkeyPatch, sought: Sought, index: str
) -> None:
    monkeypatch.setattr(listing, "NEAR", 0)  # far fewer than there are, as in life
    near, deep = asked(lambda: requests_page(web.reviewer("ada"), sought))[:2]
    with many(web) as shell:
        assert "request_day" in plan(shell, near)  # in its order, so many and no more
        found = plan(shell, deep)
        assert index in found and "Seq Scan" not in found, found


def test_words_are_asked_of_their_index(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose plan test_search_plans.py has."""
    monkeypatch.setattr(listing, "NEAR", 0)
    statements = asked(lambda: requests_page(web.reviewer("ada"), Sought(words="Sought7")))
    assert any(
        sql.startswith("SELECT id, 0 FROM (SELECT id FROM approval_requests_saying") for sql in statements
    )
