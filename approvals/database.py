"""Who may touch which row: database roles by process, and the tenant of a transaction.

Every process connects with its own role (`countersign_door`, ...). Row-level security, forced on every table
that holds a tenant's rows, compares a row with settings that live for one transaction only; the functions below
are the only place that sets them. The second half writes the SQL that migrations run.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

PROCESSES = ("migrator", "door", "web", "worker", "sweeper")

# What a policy compares rows with. NULL, never an error, while nothing is set: then nothing matches.
TENANT = "NULLIF(current_setting('countersign.tenant', true), '')::uuid"
AGENT = "NULLIF(current_setting('countersign.agent', true), '')::uuid"
PERSON = "NULLIF(current_setting('countersign.person', true), '')::uuid"


SETTINGS = ("countersign.tenant", "countersign.agent", "countersign.person")
_SCOPE = f"SELECT {', '.join(f'set_config({name!r}, %s, true)' for name in SETTINGS)}"


@contextmanager
def tenant_scope(
    tenant_id: UUID | None,
    *,
    agent_id: UUID | None = None,
    person_id: UUID | None = None,
    together: bool = False,
) -> Iterator[None]:
    """One transaction whose queries see and write only this tenant's rows.

    `agent_id` narrows the door to the rows of one agent; `person_id` lets a person see their own memberships
    before a tenant is known. A scope inside another must be of the same tenant, or RuntimeError is raised;
    when it ends, the outer scope's settings hold again. `together` sends what is written in it in one message
    (see `_Gathered`): what the database refuses is then raised at the end.
    """
    wanted = tuple(str(value or "") for value in (tenant_id, agent_id, person_id))
    nested = connection.in_atomic_block
    with transaction.atomic(), _gathering() if together else nullcontext():
        before = _current() if nested else ("", "", "")
        if before[0] not in ("", wanted[0]):
            raise RuntimeError(f"A scope of tenant {wanted[0]} was opened inside one of tenant {before[0]}.")
        _set(wanted)
        yield
        if nested:
            _set(before)


def rows_in_scope(
    sql: str,
    parameters: Sequence[str | UUID | None],
    *,
    tenant_id: UUID,
    agent_id: UUID | None = None,
    person_id: UUID | None = None,
) -> list[tuple[Any, ...]]:
    """The rows of one SELECT, in a scope of its own and one round trip: for reads that agents make all day.

    Statements sent as one simple query are one transaction (PostgreSQL, Frontend/Backend Protocol, 55.2.2.1), so the
    settings end with it, whatever happens. Not for use inside a transaction: RuntimeError, for they would outlive it.
    """
    if connection.in_atomic_block:
        raise RuntimeError("rows_in_scope inside a transaction")
    wanted = (str(value or "") for value in (tenant_id, agent_id, person_id))
    with connection.cursor() as cursor:
        cursor.execute(f"{_SCOPE}; {sql}", [*wanted, *parameters])
        cursor.nextset()
        return list(cursor.fetchall())


class StillBusy(Exception):
    """Others had the turn for longer than this process waits. The transaction is lost."""


def one_at_a_time(*keys: str) -> None:
    """One at a time under each of these keys, from here to the end of the transaction. Raises StillBusy."""
    with connection.cursor() as cursor:
        try:
            for key in sorted(keys):  # in the same order everywhere, or two would wait for each other
                cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise StillBusy from error
            raise


class _Gathered:
    """INSERTs that wait to be sent as one message: each would cost a round trip, which costs more than its work.

    A wrapper for Django's `execute_wrapper`. What asks for rows is sent at once, behind what waits: the database sees
    every statement in its order.
    """

    def __init__(self) -> None:
        self._statements: list[str] = []

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Sequence[Any],
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        cursor = context["cursor"]
        if not many and sql.startswith(("INSERT INTO ", _SCOPE)) and " RETURNING " not in sql:
            # Each by itself: psycopg remembers how to read a statement, unless it has very many parameters.
            self._statements.append(cursor.mogrify(sql, params))
            return None
        if many and self._statements:
            execute(self.taken(), None, False, context)
        if not self._statements:
            return execute(sql, params, many, context)
        self._statements.append(cursor.mogrify(sql, params))
        answer = execute(self.taken(), None, False, context)
        while cursor.nextset():  # to the rows that were asked for
            pass
        return answer

    def taken(self) -> str:
        """Everything that waits, as one text; from then on nothing waits."""
        statements, self._statements = self._statements, []
        return "; ".join(statements)


@contextmanager
def _gathering() -> Iterator[None]:
    gathered = _Gathered()
    with connection.execute_wrapper(gathered):
        yield
    if waiting := gathered.taken():
        with connection.cursor() as cursor:
            cursor.execute(waiting)


def _current() -> tuple[str, ...]:
    columns = ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in SETTINGS)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns}")
        return tuple(cursor.fetchone() or ())


def _set(values: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SCOPE, values)


# PostgreSQL's parser keeps `left/right`, a host's name or a mail address in one piece; people look for a word of it.
_JOINTS = "/.@-_:?&=#+~<>"
# A text of any length can be written down: of a longer one, the words behind this are not found.
_LONGEST = 20_000


def words_of(text: str) -> str:
    """SQL: the words of an SQL text. An index is of use to those who ask in exactly these terms.

    Words are compared without regard to case; nothing is left out and nothing is brought to its stem.
    """
    return f"to_tsvector('pg_catalog.simple', {_apart(text)})"


def all_words(text: str) -> str:
    """SQL: what asks for all words of an SQL text, in any order."""
    return f"plainto_tsquery('pg_catalog.simple', {_apart(text)})"


def _apart(text: str) -> str:
    return f"translate(left({text}, {_LONGEST}), '{_JOINTS}', '{' ' * len(_JOINTS)}')"


def role(process: str) -> str:
    """The database role of a process, quoted for SQL."""
    if process not in PROCESSES:
        raise ValueError(f"{process!r} is not one of {', '.join(PROCESSES)}")
    return f'"{settings.DATABASE_ROLE_PREFIX}_{process}"'


def grant(what: str, on: str, *to: str) -> str:
    """`grant("SELECT, INSERT", "audit_event", "door", "web")`; sequences come with INSERT on serial tables."""
    return f"GRANT {what} ON {on} TO {', '.join(role(process) for process in to)};"


def force_rls(*tables: str) -> str:
    """Row-level security that binds the owner too; the migrator alone gets a policy that sees all rows."""
    return "".join(
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY;"
        f"CREATE POLICY migrator_all ON {table} TO {role('migrator')} USING (true) WITH CHECK (true);"
        for table in tables
    )


def policy(name: str, on: str, to: Sequence[str], command: str, *, using: str = "", check: str = "") -> str:
    """One policy for some processes: `using` says which rows are seen, `check` which may be written."""
    parts = [f"CREATE POLICY {name} ON {on} FOR {command} TO {', '.join(role(process) for process in to)}"]
    if using:
        parts.append(f"USING ({using})")
    if check:
        parts.append(f"WITH CHECK ({check})")
    return " ".join(parts) + ";"
