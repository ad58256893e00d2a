"""Editing the trail that all tests share, as somebody who owns the server, and putting it back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from approvals.models import ApprovalRequest
from tests.world import World

LEAF = "leaf = sha256('\\x00'::bytea || convert_to(text, 'UTF8'))"


@contextmanager
def edited(
    world: World, request: ApprovalRequest, change: str, *values: object, kind: str = ""
) -> Iterator[None]:
    """The events of a request (of one kind) are changed for as long as the block lasts: `change` is SQL after SET."""
    where = "request_id = %s AND (%s = '' OR kind = %s)"
    whose = (request.pk, kind, kind)
    with world.processes.cursor("admin") as shell:
        shell.execute(f"SELECT text, leaf, id FROM audit_event WHERE {where}", whose)
        before = shell.fetchall()
        with _walls_down(shell):
            shell.execute(f"UPDATE audit_event SET {change} WHERE {where}", (*values, *whose))
            assert shell.rowcount > 0
    try:
        yield
    finally:
        with world.processes.cursor("admin") as shell, _walls_down(shell):
            for row in before:
                shell.execute("UPDATE audit_event SET text = %s, leaf = %s WHERE id = %s", row)


@contextmanager
def _walls_down(shell: psycopg.Cursor[Any]) -> Iterator[None]:
    triggers = _named(shell, "SELECT tgname FROM pg_trigger WHERE tgrelid = {} AND NOT tgisinternal")
    checks = _named(
        shell,
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = {} AND contype = 'c'",
    )
    shell.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
    for name, _ in checks:
        shell.execute(f"ALTER TABLE audit_event DROP CONSTRAINT {name}")
    yield
    for name, check in checks:
        sound = check.removesuffix(" NOT VALID")
        shell.execute(f"ALTER TABLE audit_event ADD CONSTRAINT {name} {sound} NOT VALID")
    for (name,) in triggers:
        shell.execute(f"ALTER TABLE audit_event ENABLE ALWAYS TRIGGER {name}")


def _named(shell: psycopg.Cursor[Any], sql: str) -> list[Any]:
    shell.execute(sql.format("'audit_event'::regclass"))
    return shell.fetchall()
