"""Sealing payloads with the newest key, a batch at a time, while the product runs.

A row that somebody changes meanwhile is left to them: they seal with the newest key too. What was sealed under an older
one by a transaction that had not ended is found by looking again when all of those have ended.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import sleep
from typing import Any, TypeAlias
from uuid import UUID

from django.db import connection, transaction

from approvals.audit.events import INSTALLATION, Actor, record
from approvals.database import tenant_scope
from approvals.payload_keys import key_of, seal, unseal

KIND = "payload.rekeyed"
BATCH = 500
# Their sealed columns.
TABLES = {
    "approval_request": ("arguments", "facts", "salt"),
    "revision": ("arguments", "facts"),
    "fresh_look": ("facts",),
}
LOOKS_AGAIN_EVERY = 0.2  # seconds, while transactions of before are still under way
NOBODY = UUID(int=0)
Row: TypeAlias = tuple[Any, ...]  # its id, then what is sealed


@dataclass
class Done:
    """What one walk through all rows came to: all but the unreadable are under the newest key now."""

    rows: int = 0
    sealed_anew: int = 0
    unreadable: list[str] = field(default_factory=list)


def total() -> int:
    """How many rows have a payload."""
    with connection.cursor() as cursor:
        found = 0
        for table, (first, *_) in TABLES.items():
            cursor.execute(f"SELECT count(*) FROM {table} WHERE {first} IS NOT NULL")  # noqa: S608
            (rows,) = cursor.fetchone() or (0,)
            found += int(rows)
    return found


def rekey(told: Callable[[int], None]) -> Done:
    """Walk through all rows until nothing is left to seal anew, and say what the last walk found. `told` hears how
    many rows of the first are done. Raises SettingMissing.
    """
    found = _walk(told)
    sealed_anew = found.sealed_anew
    while True:
        _wait_for_those_under_way()
        again = _walk(lambda _rows: None)
        sealed_anew += again.sealed_anew
        if not again.sealed_anew:
            again.sealed_anew = sealed_anew
            _tell(again)
            return again


def _walk(told: Callable[[int], None]) -> Done:
    done = Done()
    for table in TABLES:
        for rows in _batches(table):
            with transaction.atomic():
                for row in rows:
                    _seal(table, row, done)
            done.rows += len(rows)
            told(done.rows)
    return done


def _seal(table: str, row: Row, done: Done) -> None:
    pk, *tokens = row
    keys = [key_of(token) for token in tokens]
    if None in keys:
        done.unreadable.append(f"{table} {pk}")
        return
    if not any(keys):
        return  # under the newest one already
    fresh = [seal(unseal(token)) for token in tokens]
    those = [f"{column} = %s" for column in TABLES[table]]
    with connection.cursor() as cursor:
        # Only as it was read: what somebody has changed since is theirs, and erased is erased.
        cursor.execute(
            f"UPDATE {table} SET {', '.join(those)} WHERE id = %s AND {' AND '.join(those)}",  # noqa: S608
            [*fresh, pk, *tokens],
        )
    done.sealed_anew += 1


def _batches(table: str) -> Iterator[list[Row]]:
    last, columns = NOBODY, TABLES[table]
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, {', '.join(columns)} FROM {table} WHERE id > %s AND {columns[0]} IS NOT NULL "  # noqa: S608
                f"ORDER BY id LIMIT {BATCH}",
                [last],
            )
            rows: list[Any] = cursor.fetchall()
        if not rows:
            return
        yield rows
        last = rows[-1][0]


def _wait_for_those_under_way() -> None:
    """Until every transaction that writes, and had begun before this, has ended: seconds, by the roles' own limits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        (before,) = cursor.fetchone() or ("0",)
        while True:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot()) >= %s::xid8", [before])
            if (cursor.fetchone() or (True,))[0]:
                return
            sleep(LOOKS_AGAIN_EVERY)


def _tell(done: Done) -> None:
    with tenant_scope(INSTALLATION):
        about = {"rows": done.rows, "sealed_anew": done.sealed_anew, "unreadable": len(done.unreadable)}
        record(KIND, tenant_id=INSTALLATION, actor=Actor("system", "migrator"), data=about)
