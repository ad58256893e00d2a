"""How the database answers a search and the queue: by which index, as the web process, where there are rows enough."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals.audit.queries import SEALED
from approvals.database import TENANT, all_words, words_of
from approvals.queries import Wanted, queue, search
from tests.views.test_trail_outside import sealed
from tests.world import World

ROWS = 3000
# Of the one request that there is, each on a thing of its own; and for each of them an event of somebody of its own.
REQUESTS = """
INSERT INTO approval_request SELECT another.* FROM approval_request r, generate_series(1, %(rows)s) n,
    jsonb_populate_record(r, jsonb_build_object('id', md5('found ' || n), 'resource_id', 'sought ' || n,
        'idempotency_key', 'sought ' || n, 'action', 'action_' || n %% 100, 'amount_minor', n,
        'headline', 'Sought' || n,
        'status', (ARRAY['pending', 'pending', 'pending', 'denied'])[1 + n %% 4],
        'risk', (ARRAY['low', 'high'])[1 + n %% 2], 'expires_at', now() + n * interval '1 hour')) another
    WHERE r.id = %(request)s
"""
EVENTS = """
INSERT INTO audit_event (id, tenant_id, kind, request_id, actor_kind, actor_id, trace_id, at, text, leaf)
SELECT id, tenant_id, kind, request, 'person', actor, '', at, text, sha256('\\x00'::bytea || convert_to(text, 'UTF8'))
FROM (
    SELECT *, json_build_object('v', 1, 'id', id, 'tenant', tenant_id, 'kind', kind, 'request', request, 'trace', '',
        'at', at, 'actor', json_build_object('kind', 'person', 'id', actor), 'data', json_build_object(), 'personal',
        json_build_object())::text AS text
    FROM (SELECT md5('event ' || n)::uuid AS id, tenant_id, md5('found ' || n)::uuid AS request, n, 'sought.' || n % 300
        AS kind, 'somebody ' || n % 300 AS actor, now() - n * interval '1 minute' AS at
        FROM approval_request r, generate_series(1, {rows}) n WHERE r.id = '{request}') drawn) written;
INSERT INTO audit_personal (event_id, tenant_id, field, salt, value)
    SELECT id, tenant_id, 'reason', decode(repeat('00', 32), 'hex'), 'because of ' || request_id || actor_id
    FROM audit_event WHERE kind LIKE 'sought.%';
ANALYZE approval_request, audit_event, audit_personal
"""


@contextmanager
def many(web: World) -> Iterator[psycopg.Cursor[Any]]:
    """A shell of the web process in a database with that many rows more, for as long as the block lasts."""
    request = web.submit()
    with web.processes.cursor("admin") as shell:
        for table in ("approval_request", "audit_event", "audit_personal"):
            shell.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        shell.execute(REQUESTS, {"rows": ROWS, "request": request.pk})
        shell.execute(EVENTS.replace("{rows}", str(ROWS)).replace("{request}", str(request.pk)))
        shell.execute("SELECT set_config('countersign.tenant', %s, true)", (str(web.tenant.pk),))
        shell.execute(f'SET LOCAL ROLE "{web.processes.prefix}_web"')
        yield shell
        shell.connection.rollback()


def asked(run: Callable[[], object]) -> list[str]:
    """The statements of a page that look for rows, as they were sent."""
    with CaptureQueriesContext(connection) as queries:
        run()
    return [query["sql"] for query in queries if "ORDER BY" in query["sql"] or "_saying" in query["sql"]]


def plan(shell: psycopg.Cursor[Any], sql: str) -> str:
    shell.execute(f"EXPLAIN {sql}")
    return "\n".join(row[0] for row in shell.fetchall())


def asks_index(found: str) -> bool:
    """Whether the words are asked of an index, and not of each row."""
    return any("Index Cond" in line and "@@" in line for line in found.splitlines())


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(kind="sought.7"), "audit_event_kind"),
        (Wanted(trace_id="7" * 32), "audit_event_trace"),
        (Wanted(resource="sought 7"), "request_resource"),
        (Wanted(action="action_7"), "request_action"),
        (Wanted(action="action_7", status="denied"), "request_status"),
        (Wanted(currency="USD", least=7, most=8), "request_amount"),
    ],
)
def test_what_is_rare_is_found_by_its_index(
    web: World, monkeypatch: pytest.MonkeyPatch, wanted: Wanted, index: str
) -> None:
    monkeypatch.setattr("approvals.queries.question.NEAR", 20)  # far fewer than there are, as in life
    near, deep = asked(lambda: search(web.reviewer("ada"), wanted))[:2]
    with many(web) as shell:
        assert "audit_event_tenant" in plan(shell, near)  # in its order, as far as a page needs
        assert index in plan(shell, deep)


def test_what_a_person_did_is_found_by_its_index_in_order_of_time(web: World) -> None:
    sql = asked(lambda: search(web.reviewer("ada"), Wanted(person_id=web.people["felix"].pk)))[1]
    with many(web) as shell:
        found = plan(shell, sql.replace(str(web.people["felix"].pk), "somebody 7"))
    assert "audit_event_actor" in found and "Seq Scan" not in found


def test_what_an_agent_asked_for_is_found_by_its_requests_and_by_itself(web: World) -> None:
    other = web.another_agent()
    sql = asked(lambda: search(web.reviewer("ada"), Wanted(agent_id=other.agent_id)))[1]
    with many(web) as shell:
        found = plan(shell, sql)
    for index in ("audit_event_actor", "audit_event_request"):
        assert index in found


@pytest.mark.parametrize(
    ("table", "text", "index"),
    [
        ("audit_personal", "value", "audit_personal_words"),
        ("approval_request", "headline || ' ' || resource_id || ' ' || outcome", "request_words"),
    ],
)
def test_words_are_found_by_their_index_in_what_the_owner_asks(
    web: World, table: str, text: str, index: str
) -> None:
    """Row-level security keeps the web process itself from it, so a function of the owner asks."""
    with many(web) as shell:
        query = f"SELECT FROM {table} WHERE tenant_id = {TENANT} AND {words_of(text)} @@ {all_words('$$sought7$$')}"
        assert not asks_index(plan(shell, query))
        shell.execute(f'SET LOCAL ROLE "{web.processes.prefix}_migrator"')
        found = plan(shell, query)
        assert index in found and asks_index(found)


@pytest.mark.parametrize(
    "call", ["audit_events_saying('lena', NULL)", "approval_requests_saying('refund', NULL)"]
)
def test_only_pages_ask_for_words_and_only_for_the_tenant_in_scope(web: World, call: str) -> None:
    web.vote(web.submit(), "approve", "lena")
    for tenant, found in ((web.tenant, True), (web.other, False)):
        with web.processes.cursor("web") as shell:
            shell.execute("SELECT set_config('countersign.tenant', %s, true)", (str(tenant.pk),))
            shell.execute(f"SELECT count(*) > 0 FROM {call}")
            assert shell.fetchone() == (found,)
    with web.processes.cursor("web") as shell:
        shell.execute(f"SELECT FROM {call}")
        assert shell.rowcount == 0
    for process in ("door", "worker", "sweeper"):
        with (
            web.processes.cursor(process) as shell,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            shell.execute(f"SELECT FROM {call}")


def test_whether_an_event_is_sealed_only_pages_ask_and_only_of_their_tenant(web: World) -> None:
    web.submit()
    sealed(web)
    with web.processes.cursor("admin") as shell:
        shell.execute("SELECT event_ids[1:5] FROM audit_checkpoint WHERE tenant_id = %s", (web.tenant.pk,))
        (ids,) = shell.fetchone() or ([],)
    for tenant, found in ((web.tenant, len(ids)), (web.other, 0), (None, 0)):
        with web.processes.cursor("web") as shell:
            if tenant:
                shell.execute("SELECT set_config('countersign.tenant', %s, true)", (str(tenant.pk),))
            shell.execute(SEALED, (ids,))
            assert (shell.rowcount, len(ids) > 0) == (found, True)
    for process in ("door", "worker", "sweeper"):
        with (
            web.processes.cursor(process) as shell,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            shell.execute("SELECT FROM audit_sealed(ARRAY[gen_random_uuid()])")


def test_a_page_of_the_queue_begins_where_the_last_one_ended(web: World) -> None:
    """No page puts all that waits in order, and none reads what an earlier one has shown."""
    for _ in range(3):
        web.submit()
    by = web.reviewer("lena")
    pages = [
        *asked(lambda: queue(by, rows=1))[:1],
        *asked(lambda: queue(by, rows=2, after=queue(by, rows=1).next))[-2:],
    ]
    with many(web) as shell:
        plans = [plan(shell, sql) for sql in pages if "CASE" in sql]
    assert plans
    for found in plans:
        assert "request_queue" in found and "Sort" not in found
