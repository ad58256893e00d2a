"""A database as it is after years: requests and their events by the million, written past every verb.

One company in five rows, twenty others for the rest; each request is a copy of a real one. Ages, statuses, words and
who was busy are spread as a company's are: most is common, some is rare, and one agent was retired long ago.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from approvals.models import ApprovalRequest
from tests.switches.test_holding import CREDIT
from tests.world import World

EACH = 50_000  # rows of one statement, so that a line of progress comes now and then
EVENTS = 5  # of each request
OTHERS, AGENTS, PEOPLE = 20, 30, 50
SPAN = "interval '730 days'"
ADDRESS: dict[str, Any] = {
    "order_id": "ord_10001",
    "address": {
        "name": "Ada",
        "line1": "9 New Road",
        "line2": "",
        "city": "Bristol",
        "region": "",
        "postal_code": "BS1 2CC",
        "country": "GB",
    },
    "reason": "The customer has moved.",
}
CANCEL = {"order_id": "ord_10001", "reason": "Ordered twice."}


def _drawn(seed: str) -> str:
    """SQL: a number from 0 to 999 that looks drawn, and is the same for the same row in every run."""
    return f"abs(hashtext(n::text || '{seed}') %% 1000)"


@dataclass(frozen=True)
class Filled:
    """What a measurement may ask for. Shares are of the large company's requests."""

    requests: int
    common_agent: str  # filed a fifth
    retired_agent: str  # filed a twentieth, all of it long ago
    busy_person: str  # did a tenth
    idle_person: str  # never did anything


Tell = Callable[[str], None]


def fill(world: World, requests: int, *, tell: Tell) -> Filled:
    """So many requests with five events each, a fifth of them in the world's own tenant."""
    templates = [
        world.submit().pk,
        world.submit("cancel_order", **CANCEL).pk,
        world.submit("change_shipping_address", **ADDRESS).pk,
        world.submit("issue_store_credit", **CREDIT).pk,
    ]
    with _unguarded(world) as shell:
        _cast(shell, world)
        for name, sql in (
            ("requests", _requests(templates)),
            ("events", EVENT),
            ("personal values", PERSONAL),
        ):
            _written(shell, name, sql, world, requests, tell)
        _written(shell, "votes", VOTE, world, requests, tell)
        shell.execute(CHECKPOINTS)
        tell("analysing ...")
        (agents, people) = shell.execute("SELECT agents, people FROM cast_of").fetchone() or ((), ())
    return Filled(requests, str(agents[0]), str(agents[-1]), str(people[0]), str(world.people["felix"].pk))


def more_requests(world: World, of: Filled, requests: int, *, tell: Tell) -> None:
    """Up to so many requests in all, the new ones without events: for the pages that show requests only."""
    with _unguarded(world) as shell:
        columns = [str(field.column) for field in ApprovalRequest._meta.concrete_fields]
        own = {
            "id": "gen_random_uuid()",
            "idempotency_key": "idempotency_key || '-' || again",
            "created_at": f"created_at - again * {SPAN}",
            "expires_at": "expires_at + again * interval '1 second'",
        }
        values = ", ".join(own.get(column, column) for column in columns)
        for again in range(1, max(1, requests // of.requests)):
            tell(f"requests: {(again + 1) * of.requests:,} ...")
            shell.execute(
                f"INSERT INTO approval_request ({', '.join(columns)}) SELECT {values} FROM "
                "(SELECT r.*, %s AS again FROM approval_request r "
                "WHERE idempotency_key LIKE 'many-%%' AND idempotency_key NOT LIKE 'many-%%-%%') old",
                (again,),
            )
        tell("analysing ...")


@contextmanager
def _unguarded(world: World) -> Iterator[psycopg.Connection]:
    """A shell for which no trigger fires, and of whose words the indexes learn in large pieces; in order at its end."""
    with psycopg.connect(world.processes.inside_url, autocommit=True) as shell:
        shell.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        for table in ("approval_request", "audit_event", "audit_personal", "audit_checkpoint", "vote"):
            shell.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        _learn_in(shell, kilobytes=65536)
        yield shell
        _learn_in(shell, kilobytes=256)
        shell.execute("VACUUM ANALYZE")


def _learn_in(shell: psycopg.Connection, *, kilobytes: int) -> None:
    for index in ("audit_personal_words", "request_words"):
        shell.execute(f"ALTER INDEX {index} SET (gin_pending_list_limit = {kilobytes})")


def _cast(shell: psycopg.Connection, world: World) -> None:
    """Tenants, agents and people by number; index 0 is the busiest of each."""
    agent, person = world.agent.agent_id, world.people["lena"].pk
    shell.execute(
        f"""
        INSERT INTO identity_tenant (id, slug, name, created_at)
            SELECT gen_random_uuid(), 'many-' || n, 'Company ' || n, now() FROM generate_series(1, {OTHERS}) n;
        INSERT INTO identity_person (id, email, name, is_active, created_at, password)
            SELECT gen_random_uuid(), 'many-' || n || '@example.com', 'Reviewer Nr ' || n, true, now(), ''
            FROM generate_series(1, {PEOPLE}) n;
        INSERT INTO identity_membership (tenant_id, person_id, role)
            SELECT '{world.tenant.pk}', id, 'support_lead' FROM identity_person WHERE email LIKE 'many-%@example.com';
        INSERT INTO identity_application SELECT another.* FROM identity_application a,
            generate_series(1, {AGENTS}) n, jsonb_populate_record(a, jsonb_build_object(
                'id', 1000 + n, 'client_id', 'many-' || n)) another
            WHERE a.id = (SELECT application_id FROM identity_agent WHERE id = '{agent}');
        INSERT INTO identity_agent SELECT another.* FROM identity_agent a,
            generate_series(1, {AGENTS}) n, jsonb_populate_record(a, jsonb_build_object(
                'id', gen_random_uuid(), 'application_id', 1000 + n, 'name', 'Bot Nr ' || n)) another
            WHERE a.id = '{agent}';
        CREATE TABLE cast_of AS SELECT
            ARRAY(SELECT id FROM identity_tenant WHERE slug LIKE 'many-%' ORDER BY slug) AS tenants,
            ARRAY(SELECT id FROM identity_agent WHERE name LIKE 'Bot Nr %' ORDER BY application_id) AS agents,
            ARRAY(SELECT '{person}'::uuid UNION ALL
                (SELECT id FROM identity_person WHERE email LIKE 'many-%' ORDER BY email)) AS people;
        ALTER TABLE cast_of ADD COLUMN names text[];
        UPDATE cast_of SET names = ARRAY(SELECT p.name FROM unnest(people) WITH ORDINALITY one (id, place)
            JOIN identity_person p USING (id) ORDER BY place)
        """
    )


def _written(shell: psycopg.Connection, name: str, sql: str, world: World, rows: int, tell: Tell) -> None:
    for first in range(0, rows, EACH):
        tell(f"{name} of {first:,} requests out of {rows:,} ...")
        shell.execute(
            sql,
            {
                "first": first,
                "last": min(first + EACH, rows) - 1,
                "step": f"{730 * 86400 / rows:.6f} seconds",
                "tenant": world.tenant.pk,
                "retired_since": rows * 0.7,
            },
        )


AT = "(now() - n * %(step)s::interval)"
# A fifth of the requests is the large company's; the one that asks most files a fifth of these, the next ones less.
OURS = "n %% 5 = 0"
TENANT = f"CASE WHEN {OURS} THEN %(tenant)s ELSE c.tenants[1 + n %% {OTHERS}] END"
_agent = _drawn("agent")
AGENT = f"""c.agents[CASE
    WHEN n > %(retired_since)s AND {_agent} < 170 THEN {AGENTS}
    ELSE 1 + floor({AGENTS - 1} * power({_agent} / 1000.0, 2.5))::integer END]"""
PERSON = f"c.people[1 + floor({PEOPLE} * power({_drawn('person')} / 1000.0, 1.8))::integer]"
_status = _drawn("status")
STATUS = f"""CASE WHEN {_status} < 700 THEN 'succeeded' WHEN {_status} < 820 THEN 'denied'
    WHEN {_status} < 870 THEN 'expired' WHEN {_status} < 900 THEN 'withdrawn' WHEN {_status} < 920 THEN 'failed'
    WHEN {_status} < 970 THEN 'pending' WHEN {_status} < 985 THEN 'changes_requested'
    WHEN {_status} < 997 THEN 'approved' ELSE 'uncertain' END"""
_action = _drawn("action")
ACTION = (
    f"CASE WHEN {_action} < 600 THEN 1 WHEN {_action} < 850 THEN 2 WHEN {_action} < 990 THEN 3 ELSE 4 END"
)


# Few words are in most texts, most words in few.
def _one_of(seed: str) -> str:
    words = "ARRAY['customer', 'parcel', 'returned', 'late', 'broken', 'invoice', 'twice', 'moved']"
    return f"({words})[1 + abs(hashtext(n::text || '{seed}') %% 8)]"


_rank = f"floor(20000 * power({_drawn('w')} / 1000.0 * {_drawn('v')} / 1000.0, 3))::integer"
WORDS = f"'refund for the ' || {_one_of('a')} || ' word' || {_rank} || ' ' || {_one_of('b')} || ' '"


def _requests(templates: list[UUID]) -> str:
    columns = [str(field.column) for field in ApprovalRequest._meta.concrete_fields]
    risk = _drawn("risk")
    own = {
        "id": "md5('request ' || n)::uuid",
        "tenant_id": TENANT,
        "agent_id": AGENT,
        "status": STATUS,
        "idempotency_key": "'many-' || n",
        "created_at": AT,
        "expires_at": "now() + interval '1 hour' + n * interval '1 second'",
        "facts_read_at": AT,
        "decided_at": f"CASE WHEN {STATUS} NOT IN ('pending', 'changes_requested') THEN {AT} END",
        "escalates_at": "NULL",
        "reminds_at": "NULL",
        "risk": f"CASE WHEN {risk} < 100 THEN 'high' WHEN {risk} < 400 THEN 'medium' ELSE 'low' END",
        "resource_id": "'thing_' || n / 10",
        "amount_minor": "CASE WHEN t.amount_minor IS NULL THEN NULL ELSE 100 + floor(500000 * power("
        + _drawn("amount")
        + " / 1000.0, 6))::bigint END",
        "headline": "t.headline || ' nr' || n",
        "outcome": f"CASE WHEN {_status} BETWEEN 700 AND 819 THEN 'Denied by the reviewer.' ELSE '' END",
    }
    values = ", ".join(own.get(column, f"t.{column}") for column in columns)
    listed = ", ".join(f"'{each}'::uuid" for each in templates)
    return f"""INSERT INTO approval_request ({", ".join(columns)}) SELECT {values}
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) n CROSS JOIN cast_of c
        JOIN approval_request t ON t.id = (ARRAY[{listed}])[{ACTION}]"""


# What happened to a request, in five events. Only the first and the vote carry personal values.
EVENT = f"""
INSERT INTO audit_event (id, tenant_id, kind, request_id, actor_kind, actor_id, trace_id, at, text, leaf, xid)
SELECT id, tenant, kind, request, actor_kind, actor, trace, at, text,
    sha256('\\x00'::bytea || convert_to(text, 'UTF8')), (1000 + n / 20)::text::xid8
FROM (
    SELECT *, json_build_object('v', 1, 'id', id, 'tenant', tenant, 'at',
        to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'kind', kind,
        'actor', json_build_object('kind', actor_kind, 'id', actor), 'request', request, 'trace', trace,
        'data', json_build_object('revision', 1, 'policy_version', 1),
        'personal', CASE k WHEN 0 THEN json_build_object('reason', repeat('0', 64))
            WHEN 1 THEN json_build_object('name', repeat('0', 64), 'comment', repeat('0', 64))
            ELSE '{{}}'::json END)::text AS text
    FROM (
        SELECT n, k, md5('event ' || n || ' ' || k)::uuid AS id, {TENANT} AS tenant,
            md5('request ' || n)::uuid AS request, md5('trace ' || n) AS trace,
            {AT} + k * interval '7 seconds' AS at,
            CASE k WHEN 0 THEN 'agent' WHEN 1 THEN 'person' ELSE 'system' END AS actor_kind,
            CASE k WHEN 0 THEN ({AGENT})::text WHEN 1 THEN ({PERSON})::text ELSE 'worker' END AS actor,
            CASE k WHEN 0 THEN 'request.created'
                WHEN 1 THEN CASE WHEN n %% 5000 = 0 THEN 'request.break_glass' ELSE 'vote.cast' END
                WHEN 2 THEN 'request.approved' WHEN 3 THEN 'execution.claimed'
                ELSE CASE {STATUS} WHEN 'failed' THEN 'execution.failed' ELSE 'execution.succeeded' END END AS kind
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) n CROSS JOIN generate_series(0, {EVENTS - 1}) k
            CROSS JOIN cast_of c
    ) drawn
) written
"""
PERSONAL = f"""
INSERT INTO audit_personal (event_id, tenant_id, field, salt, value)
SELECT md5('event ' || n || ' ' || k)::uuid, {TENANT}, field, decode(repeat('00', 32), 'hex'),
    CASE field WHEN 'name' THEN {PERSON.replace("people", "names")}
        ELSE {WORDS} || CASE WHEN n %% 100000 = 5 THEN 'needle' WHEN n > %(retired_since)s AND n %% 10 < 3 THEN 'bygone'
            ELSE '' END END
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n CROSS JOIN cast_of c,
    (VALUES (0, 'reason'), (1, 'name'), (1, 'comment')) AS of_event (k, field)
"""
VOTE = f"""
INSERT INTO vote
    (id, tenant_id, request_id, person_id, revision, decision, comment, digest, looked_for_seconds, created_at, proof)
SELECT gen_random_uuid(), {TENANT}, md5('request ' || n)::uuid, {PERSON}, 1,
    CASE WHEN {STATUS} = 'denied' THEN 'deny' ELSE 'approve' END, '', repeat('0', 64), n %% 300,
    now() - n * %(step)s::interval, ''
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n CROSS JOIN cast_of c
WHERE {STATUS} NOT IN ('pending', 'expired', 'withdrawn')
"""
# Signed roots over a hundred events or so each, as the sealer leaves them; nobody verifies these.
CHECKPOINTS = """
INSERT INTO audit_checkpoint (tenant_id, number, text, signature, event_ids, leaves, xids)
SELECT tenant_id, row_number() OVER (PARTITION BY tenant_id ORDER BY max(at)), '', ''::bytea, array_agg(id),
    string_agg(leaf, ''::bytea), int8range(min(xid::text::bigint), max(xid::text::bigint) + 1)
FROM audit_event WHERE xid::text::bigint BETWEEN 1000 AND 10000000 GROUP BY tenant_id, xid::text::bigint / 5
"""
