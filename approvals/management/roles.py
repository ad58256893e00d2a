"""A database role for each process: what it may not do, it cannot do, whatever the code above it says.

Grants on tables come with the migrations; here is what must exist before them: the roles, their database, and
nothing for PUBLIC. Running it again puts right what somebody loosened by hand.
"""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import psycopg
from django.core.management.base import CommandError
from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier, Literal

from approvals.database import PROCESSES as PROCESSES

# Milliseconds. Nobody waits longer at the door or for a page; a worker's bookkeeping is short, its HTTP calls
# are made outside any transaction. The migrator has no limits: a migration may have to wait for its lock.
_INTERACTIVE = {
    "statement_timeout": 10_000,
    "lock_timeout": 3_000,
    "idle_in_transaction_session_timeout": 15_000,
}
_BACKGROUND = {
    "statement_timeout": 30_000,
    "lock_timeout": 5_000,
    "idle_in_transaction_session_timeout": 30_000,
}
LIMITS = {"door": _INTERACTIVE, "web": _INTERACTIVE, "worker": _BACKGROUND, "sweeper": _BACKGROUND}
# How many connections each role may have open, so that none takes another's: together no more than the 97 that an
# ordinary server has beside those of its administrator. Two web processes (turns.py, and what each sends as it is made:
# a simulation, a file that an auditor takes away), three doors (threads.py of the
# bridge) and ten tasks fit; the migrator's are there for `manage.py switch`, whatever happens to the others.
CONNECTIONS = {"migrator": 7, "door": 36, "web": 36, "worker": 12, "sweeper": 6}
# rolinherit stays: there are no memberships to inherit from.
_POWERS = SQL("NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION")


def provision(admin_url: str, *, database: str, prefix: str, passwords: Mapping[str, str]) -> dict[str, str]:
    """Make `{prefix}_{process}` able to log in for each process, and the database theirs. Returns their URLs.

    `admin_url` names a role that may create roles and databases, and a database that exists to connect to.
    `database` is created if need be and owned by `{prefix}_migrator`; one that belongs to somebody else,
    neither the administrator nor the migrator, is left alone and refused with CommandError.
    `passwords` has one for each of PROCESSES. The server never sees one in the clear, so no log of its can.
    """
    owner = f"{prefix}_migrator"
    with _connect(admin_url) as admin:
        # Two copies started together would fail on each other's half-written catalogue rows.
        admin.execute("SELECT pg_advisory_lock(hashtext('countersign roles'))")
        for process in PROCESSES:
            _role(admin, f"{prefix}_{process}", passwords[process], CONNECTIONS[process])
        _administer(admin, owner)
        _database(admin, database, owner)
        _admit(admin, database, prefix)
        with _connect(_url(admin_url, database=database)) as inside:
            _schema(inside, prefix)
    return {
        process: _url(admin_url, database=database, user=f"{prefix}_{process}", password=passwords[process])
        for process in PROCESSES
    }


def drop(admin_url: str, *, database: str, prefix: str) -> None:
    """Remove the database, ending its sessions, and the roles. What is not there is no error."""
    with _connect(admin_url) as admin:
        admin.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(database)))
        for process in PROCESSES:
            admin.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(f"{prefix}_{process}")))


def _connect(url: str) -> Connection:
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        where = urlsplit(url)
        raise CommandError(
            f"PostgreSQL at {where.hostname}:{where.port or 5432} did not let us in: {error}"
        ) from error


def _role(admin: Connection, name: str, password: str, connections: int) -> None:
    found = admin.execute(
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls OR rolreplication FROM pg_roles"
        " WHERE rolname = %s",
        (name,),
    ).fetchone()
    verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    login = SQL("{} LOGIN PASSWORD {} CONNECTION LIMIT {}").format(
        Identifier(name), Literal(verifier), Literal(connections)
    )
    if found is None:
        admin.execute(SQL("CREATE ROLE {} {}").format(login, _POWERS))
        return
    admin.execute(SQL("ALTER ROLE {}").format(login))
    if found[0]:
        admin.execute(SQL("ALTER ROLE {} {}").format(Identifier(name), _POWERS))
    memberships = admin.execute(
        "SELECT grp.rolname FROM pg_auth_members JOIN pg_roles grp ON grp.oid = roleid"
        " JOIN pg_roles me ON me.oid = member WHERE me.rolname = %s",
        (name,),
    )
    for (group,) in memberships.fetchall():
        admin.execute(SQL("REVOKE {} FROM {}").format(Identifier(group), Identifier(name)))


def _administer(admin: Connection, owner: str) -> None:
    """An administrator that is no superuser must be a member of the owner to hand it a database."""
    is_super = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if is_super == (False,):
        admin.execute(SQL("GRANT {} TO CURRENT_USER").format(Identifier(owner)))


def _database(admin: Connection, database: str, owner: str) -> None:
    found = admin.execute(
        "SELECT pg_get_userbyid(datdba), pg_get_userbyid(datdba) = current_user FROM pg_database"
        " WHERE datname = %s",
        (database,),
    ).fetchone()
    names = {"database": Identifier(database), "owner": Identifier(owner)}
    if found is None:
        admin.execute(
            SQL("CREATE DATABASE {database} OWNER {owner} TEMPLATE template0 ENCODING 'UTF8'").format(**names)
        )
    elif found[0] == owner:
        return
    elif found[1]:
        admin.execute(SQL("ALTER DATABASE {database} OWNER TO {owner}").format(**names))
    else:
        raise CommandError(
            f"The database {database} belongs to {found[0]}, not to us, and stays as it is. "
            "Name another one, or none, in DATABASE_URL."
        )


def _admit(admin: Connection, database: str, prefix: str) -> None:
    on = Identifier(database)
    admin.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(on))
    admin.execute(SQL("GRANT CONNECT ON DATABASE {} TO {}").format(on, _everyone(prefix)))
    for process, limits in LIMITS.items():
        for setting, milliseconds in limits.items():
            admin.execute(
                SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}").format(
                    Identifier(f"{prefix}_{process}"), on, Identifier(setting), Literal(milliseconds)
                )
            )


def _schema(inside: Connection, prefix: str) -> None:
    inside.execute(SQL("ALTER SCHEMA public OWNER TO {}").format(Identifier(f"{prefix}_migrator")))
    inside.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    inside.execute(SQL("GRANT USAGE ON SCHEMA public TO {}").format(_everyone(prefix)))


def _everyone(prefix: str) -> Composed:
    return SQL(", ").join(Identifier(f"{prefix}_{process}") for process in PROCESSES)


def _url(admin_url: str, *, database: str, user: str | None = None, password: str = "") -> str:
    """The same server, with its options (sslmode, ...); another database and perhaps another role."""
    parts = urlsplit(admin_url)
    host = parts.netloc.rpartition("@")[2]
    netloc = parts.netloc if user is None else f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"
    return parts._replace(netloc=netloc, path="/" + quote(database, safe="")).geturl()
