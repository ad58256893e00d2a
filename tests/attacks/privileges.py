"""Which database role may do what, as the catalogue has it, and as `privileges.toml` declares it.

    .venv/bin/python -m tests.attacks.privileges            # what differs from the file
    .venv/bin/python -m tests.attacks.privileges --write    # the file anew, for a reviewer to read in the diff

Every column of every table stands there, so that whoever adds one decides who may do what with it. `why` is written by
people, where a role has what looks like more than it needs, and is kept.
"""

import argparse
import json
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import psycopg

FILE = Path(__file__).with_name("privileges.toml")
ROLES = ("door", "web", "worker", "sweeper")
# By column, and by table. MAINTAIN came with PostgreSQL 17; no role owns a table, so none has it before, either.
OF_COLUMNS = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
OF_TABLES = ("DELETE", "TRUNCATE", "TRIGGER", "MAINTAIN")
ALL = "all"
HEAD = """\
# Which database role may do what, table by table: `python -m tests.attacks.privileges --write` writes this file, and
# `test_privileges.py` compares it with the catalogue. What is not here, no role may. Row-level security and triggers
# narrow it further. The migrator owns everything and runs only when you deploy.
#
# `columns` are all that the table has; "all" are all of them. `every_tenant` names the roles that row-level security
# does not keep to one tenant, `before_a_tenant` those that it keeps to one once it is named, and
# `why` says what for.
"""

# What people write, beside `why`.
OF_PEOPLE = {
    "secrets": "# Columns that hold secrets, or what they are checked by, and who reads them: nobody else.",
    "no_secrets": "# Columns that are called like one, and why they hold none.",
}

Table: TypeAlias = dict[str, Any]
Privileges: TypeAlias = dict[str, dict[str, Any]]

_COLUMNS = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attname)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
GROUP BY c.relname
"""
_OF_COLUMNS = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attname)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND has_column_privilege(%s, c.oid, a.attnum, %s)
GROUP BY c.relname
"""
_OF_TABLES = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND has_table_privilege(%s, c.oid, %s)
"""
_SEQUENCES = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace
    AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(%s, c.oid, %s) ELSE false END
"""
# What an index of btree_gin calls by itself is PostgreSQL's, not ours.
_OF_AN_EXTENSION = "EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
_FUNCTIONS = f"""
SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', p.prosecdef,
    p.prorettype = 'trigger'::regtype
FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND NOT {_OF_AN_EXTENSION}
"""
_EXECUTE = f"""
SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')'
FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND NOT {_OF_AN_EXTENSION}
    AND has_function_privilege(%s, p.oid, 'EXECUTE')
"""
# A policy that applies to a role and asks for no tenant, or lets everything through until one is named.
_NO_TENANT = """
SELECT tablename, roles::text[],
    CASE WHEN coalesce(qual, '') LIKE '%countersign.tenant%' THEN 'before_a_tenant' ELSE 'every_tenant' END
FROM pg_policies
WHERE schemaname = 'public' AND cmd IN ('SELECT', 'ALL')
    AND (coalesce(qual, '') NOT LIKE '%countersign.tenant%' OR qual ~ 'countersign.tenant.*IS NULL')
"""


def found(shell: psycopg.Cursor[Any], prefix: str) -> Privileges:
    """As the catalogue has it, in the form of the file, but for what people write there."""
    tables = _tables(shell, prefix)
    return {"tables": tables, "sequences": _sequences(shell, prefix), "functions": _functions(shell, prefix)}


def declared() -> Privileges:
    return tomllib.loads(FILE.read_text()) if FILE.exists() else {}


def without_reasons(privileges: Privileges) -> Privileges:
    """What can be compared with the catalogue."""
    tables = privileges.get("tables", {})
    compared = {
        name: {key: value for key, value in table.items() if key != "why"} for name, table in tables.items()
    }
    return {
        "tables": compared,
        "sequences": privileges.get("sequences", {}),
        "functions": privileges.get("functions", {}),
    }


def _tables(shell: psycopg.Cursor[Any], prefix: str) -> dict[str, Table]:
    tables: dict[str, Table] = {
        name: {"columns": columns} for name, columns in shell.execute(_COLUMNS).fetchall()
    }
    for role in ROLES:
        for privilege in OF_COLUMNS:
            for name, columns in shell.execute(_OF_COLUMNS, (f"{prefix}_{role}", privilege)).fetchall():
                every = columns == tables[name]["columns"]
                tables[name].setdefault(role, {})[privilege.lower()] = ALL if every else columns
        for privilege in _of_tables(shell):
            for (name,) in shell.execute(_OF_TABLES, (f"{prefix}_{role}", privilege)).fetchall():
                tables[name].setdefault(role, {})[privilege.lower()] = ALL
    for name, roles, when in shell.execute(_NO_TENANT).fetchall():
        seers = {role for role in ROLES if f"{prefix}_{role}" in roles or "public" in roles}
        if seers:
            tables[name][when] = sorted({*tables[name].get(when, ()), *seers})
    return tables


def _of_tables(shell: psycopg.Cursor[Any]) -> tuple[str, ...]:
    is_known = shell.connection.info.server_version >= 170000
    return OF_TABLES if is_known else OF_TABLES[:-1]


def _sequences(shell: psycopg.Cursor[Any], prefix: str) -> dict[str, Any]:
    sequences: dict[str, Any] = {}
    for role in ROLES:
        for privilege in ("USAGE", "SELECT", "UPDATE"):
            for (name,) in shell.execute(_SEQUENCES, (f"{prefix}_{role}", privilege)).fetchall():
                sequences.setdefault(name, {}).setdefault(role, []).append(privilege.lower())
    return sequences


def _functions(shell: psycopg.Cursor[Any], prefix: str) -> dict[str, Any]:
    """`as_owner` is SECURITY DEFINER. A trigger's function, nobody can call."""
    functions: dict[str, Any] = {
        name: {"as_owner": definer, "trigger": trigger, "execute": []}
        for name, definer, trigger in shell.execute(_FUNCTIONS).fetchall()
    }
    for role in ROLES:
        for (name,) in shell.execute(_EXECUTE, (f"{prefix}_{role}",)).fetchall():
            functions[name]["execute"].append(role)
    return functions


# --- the file ---------------------------------------------------------------------------------------------


def text(privileges: Privileges, kept: Privileges) -> str:
    """The file, with what people had written there."""
    parts = [HEAD]
    for name, table in sorted(privileges["tables"].items()):
        why = kept.get("tables", {}).get(name, {}).get("why", "")
        parts.append(
            "\n".join([f"[tables.{name}]", *([f"why = {_toml(why)}"] if why else []), *_lines(table)])
        )
    parts.append("\n".join(["[sequences]", *_flat(privileges["sequences"])]))
    parts.append("\n".join(["[functions]", *_flat(privileges["functions"])]))
    parts += [
        "\n".join(
            [comment, f"[{room}]", *(f"{_toml(key)} = {_toml(value)}" for key, value in kept[room].items())]
        )
        for room, comment in OF_PEOPLE.items()
        if room in kept
    ]
    return "\n\n".join(parts) + "\n"


def _lines(table: Table) -> Iterator[str]:
    for key in ("columns", "every_tenant", "before_a_tenant"):
        if key in table:
            yield f"{key} = {_toml(table[key])}"
    for role in ROLES:
        for privilege, columns in table.get(role, {}).items():
            yield f"{role}.{privilege} = {_toml(columns)}"


def _flat(these: Mapping[str, Any]) -> Iterator[str]:
    for name, what in sorted(these.items()):
        inside = ", ".join(f"{key} = {_toml(value)}" for key, value in what.items())
        yield f"{_toml(name)} = {{ {inside} }}"


def _toml(value: object) -> str:
    """Texts, truths and lists of texts: in TOML as in JSON."""
    return json.dumps(value, ensure_ascii=False)


@contextmanager
def migrated() -> Iterator[tuple[psycopg.Cursor[Any], str]]:
    """A database of its own, as the migrations make it, and the prefix of its roles."""
    prefix = f"countersign_privileges_{uuid4().hex[:8]}"
    os.environ.update(
        COUNTERSIGN_ENV="test",
        COUNTERSIGN_PROCESS="supervisor",
        DATABASE_ROLE_PREFIX=prefix,
        DJANGO_SETTINGS_MODULE="approvals.settings",
    )
    import django

    django.setup()

    from django.core.management import call_command

    from approvals.management import embedded, roles
    from tests.scan.scratch import scratch
    from tests.world import Processes

    passwords = {process: f"demo-{uuid4().hex}" for process in roles.PROCESSES}
    with scratch() as folder, embedded.postgres(folder, durable=False) as server:
        urls = roles.provision(server.url, database=prefix, prefix=prefix, passwords=passwords)
        processes = Processes(urls, server.url, database=prefix, prefix=prefix)
        processes.connect("migrator")
        call_command("migrate", verbosity=0)
        with processes.cursor("admin") as shell:
            yield shell, prefix
        processes.disconnect()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true", help="write the file anew")
    is_written = parser.parse_args().write
    with migrated() as (shell, prefix):
        new = text(found(shell, prefix), declared())
    if is_written:
        FILE.write_text(new)
        return 0
    if FILE.exists() and FILE.read_text() == new:
        return 0
    sys.stdout.write(new)
    return 1


if __name__ == "__main__":
    sys.exit(main())
