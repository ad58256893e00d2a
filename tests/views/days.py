"""A tenant with days behind it: requests, votes and messages of many moments, written past every verb.

Half of the moments stand at the edges of days in UTC. What is written is gone afterwards: it has no events.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from approvals.states import Status
from tests.world import World

TABLES = ("approval_request", "vote", "outbox")
EDGES = (timedelta(), timedelta(microseconds=1), timedelta(hours=12), timedelta(days=1, microseconds=-1))
REQUEST = """
INSERT INTO approval_request SELECT another.* FROM approval_request r,
    jsonb_populate_record(r, %(changes)s::jsonb) another WHERE r.id = %(base)s
"""
VOTE = """
INSERT INTO vote (id, tenant_id, request_id, person_id, revision, decision, comment, digest, looked_for_seconds,
    created_at, proof) VALUES (%s, %s, %s, %s, %s, %s, '', '', %s, %s, '')
"""
MAIL = """
INSERT INTO outbox (id, tenant_id, request_id, revision, topic, kind, created_at, not_before, traceparent, attempts,
    done_at, gave_up_at, last_error) VALUES (%s, %s, %s, 1, %s, '', %s, '2100-01-01Z', '', 1, %s, %s, %s)
"""
MONEY = (
    ("refund_payment", "USD"),
    ("refund_payment", "EUR"),
    ("issue_store_credit", "USD"),
    ("cancel_order", ""),
)


@contextmanager
def filled(world: World, days: Sequence[date], *, seed: int = 6) -> Iterator[None]:
    """About four requests, three votes and two messages for each of these days, in the world's tenant."""
    base, dice = world.submit(), random.Random(seed)
    with world.processes.cursor("admin") as shell, without_triggers(shell):
        moments = [_moment(day, dice) for day in days for _ in range(4)]
        made = [_request(shell, world, base.pk, at, dice) for at in moments]
    try:
        yield
    finally:
        with world.processes.cursor("admin") as shell, without_triggers(shell):
            for table, column in (
                ("vote", "request_id"),
                ("outbox", "request_id"),
                ("approval_request", "id"),
            ):
                shell.execute(f"DELETE FROM {table} WHERE {column} = ANY (%s)", (made,))


def _moment(day: date, dice: random.Random) -> datetime:
    return datetime.combine(day, time.min, UTC) + dice.choice(EDGES)


def _request(shell: psycopg.Cursor[Any], world: World, base: Any, at: datetime, dice: random.Random) -> UUID:
    request, status = uuid4(), dice.choice(list(Status))
    action, currency = dice.choice(MONEY)
    is_canary = status in ("pending", "denied", "expired") and dice.random() < 0.4
    decided = at + timedelta(seconds=dice.randint(5, 200_000)) if dice.random() < 0.7 else None
    doubted = at if status == Status.UNCERTAIN or dice.random() < 0.3 else None
    kind = "require" if is_canary else dice.choice(["require", "auto_approve"])
    changes = {
        "id": str(request),
        "idempotency_key": str(request),
        "status": status,
        "created_at": at.isoformat(),
        "expires_at": "2100-01-01T00:00:00Z",
        "escalates_at": None,
        "reminds_at": None,
        "decided_at": decided and decided.isoformat(),
        "doubted_at": doubted and doubted.isoformat(),
        "doubt_told_at": doubted and doubted.isoformat(),
        "action": action,
        "currency": currency,
        "amount_minor": dice.randint(0, 9_000_000) if currency else None,
        "verdict": {"kind": kind, "rule": "made-up", "because": "Made up."},
        "is_canary": is_canary,
        "clue": "Made up." if is_canary else "",
    }
    shell.execute(REQUEST, {"changes": Jsonb(changes), "base": base})
    people = [world.people[name].pk for name in ("lena", "mara", "felix")]
    for person in dice.sample(people, dice.randint(0, 2)):
        cast = at + timedelta(hours=dice.randint(0, 30))
        decision = dice.choice(["approve", "approve", "deny", "changes"])
        seconds = dice.choice([None, dice.randint(1, 4000)])
        shell.execute(VOTE, (uuid4(), world.tenant.pk, request, person, 1, decision, seconds, cast))
    for topic in ("mail", "execute"):
        ends = dice.choice(
            [(None, None, ""), (None, None, "slow"), (at, None, ""), (at, None, "moot"), (None, at, "down")]
        )
        shell.execute(MAIL, (uuid4(), world.tenant.pk, request, topic, at, *ends))
    return request


@contextmanager
def without_triggers(shell: psycopg.Cursor[Any]) -> Iterator[None]:
    """As the server's administrator; each trigger stands afterwards as it stood before."""
    shell.execute(
        "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger"
        " WHERE NOT tgisinternal AND tgrelid = ANY (%s::regclass[])",
        (list(TABLES),),
    )
    triggers = shell.fetchall()
    for table, name, _ in triggers:
        shell.execute(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
    yield
    shell.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for table, name, state in triggers:
        always = "ALWAYS " if state == "A" else ""
        shell.execute(f"ALTER TABLE {table} ENABLE {always}TRIGGER {name}")
