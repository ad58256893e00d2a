"""With a shell as each database role in turn: the whole catalogue as declared, and all that a role must not do, tried.

What is declared stands in `privileges.toml`. A new table, column or function fails here until somebody has decided who
may do what with it, and a reviewer has read that in the diff.
"""

import re
from itertools import product
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone
from psycopg.sql import SQL, Identifier

from approvals import claims, switches
from approvals.audit.models import Push
from approvals.audit.seal import seal
from approvals.database import tenant_scope
from approvals.models import PolicyTrouble, Receiver, ReceiverSecret, Verification
from tests.attacks import privileges
from tests.attacks.privileges import ALL, ROLES
from tests.attacks.test_roles import scoped
from tests.journeys.scenes import at_work
from tests.sealing import opened
from tests.test_undo_order import order
from tests.world import Processes, World

NO_RIGHT = psycopg.errors.InsufficientPrivilege
LIKE_A_SECRET = re.compile(
    r"secret|token|password|salt|seed|key|code|data|checksum|nonce|sealed|signature|private"
)
DECLARED = privileges.declared()
each_role = pytest.mark.parametrize("role", ROLES)


def readers(table: str, column: str) -> list[str]:
    of = DECLARED["tables"][table]
    reads = {role: of.get(role, {}).get("select", []) for role in ROLES}
    return [role for role, columns in reads.items() if columns == ALL or column in columns]


# --- what the catalogue says ------------------------------------------------------------------------------


def test_every_privilege_is_declared_and_no_other_is_there(processes: Processes) -> None:
    """`.venv/bin/python -m tests.attacks.privileges --write` writes the file anew, for a reviewer to read."""
    with processes.cursor("admin") as shell:
        found = privileges.found(shell, processes.prefix)
    assert found == privileges.without_reasons(DECLARED)


def test_a_new_column_or_table_is_no_oversight(processes: Processes) -> None:
    for statement in (
        "ALTER TABLE vote ADD COLUMN mood text",
        "CREATE TABLE mood (id int)",
        "CREATE FUNCTION mood() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        'GRANT SELECT (comment) ON vote TO "{0}_sweeper"',
    ):
        with processes.cursor("migrator") as shell:
            shell.execute(statement.format(processes.prefix))
            assert privileges.found(shell, processes.prefix) != privileges.without_reasons(DECLARED)


def test_a_function_that_a_migration_makes_is_nobodys_to_call(processes: Processes) -> None:
    with processes.cursor("migrator") as shell:
        shell.execute("CREATE FUNCTION mood() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        found = privileges.found(shell, processes.prefix)["functions"]["mood()"]
    assert found["execute"] == []


def test_the_migrator_owns_everything_and_no_role_is_more_than_a_role(processes: Processes) -> None:
    with processes.cursor("admin") as shell:
        owners = shell.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()
        mighty = shell.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE %s AND (rolsuper OR rolcreatedb OR rolcreaterole "
            "OR rolbypassrls OR rolreplication OR EXISTS (SELECT FROM pg_auth_members WHERE member = oid))",
            (f"{processes.prefix}%",),
        ).fetchall()
    assert owners == [(f"{processes.prefix}_migrator",)]
    assert mighty == []


# --- secrets ----------------------------------------------------------------------------------------------


def test_secrets_are_read_by_those_who_need_them_and_nobody_else() -> None:
    needed = DECLARED["secrets"]
    assert {name: readers(*name.split(".")) for name in needed} == needed


def test_what_is_called_like_a_secret_is_one_or_says_why_not() -> None:
    named = {
        f"{table}.{column}"
        for table, of in DECLARED["tables"].items()
        for column in of["columns"]
        if LIKE_A_SECRET.search(column)
    }
    assert named <= {*DECLARED["secrets"], *DECLARED["no_secrets"]}


@each_role
def test_a_shell_reads_no_secret_that_is_not_its_own(processes: Processes, role: str) -> None:
    for name, needed in DECLARED["secrets"].items():
        table, column = name.split(".")
        if role in needed:
            continue
        with processes.cursor(role) as shell, pytest.raises(NO_RIGHT):
            shell.execute(SQL("SELECT {} FROM {}").format(Identifier(column), Identifier(table)))


# --- rows of others ---------------------------------------------------------------------------------------


@pytest.fixture
def working(world: World) -> World:
    """A company in the middle of its work, with rows in every table of tenants."""
    scene, row = at_work(world), {"tenant": world.tenant}
    order(world, scene.moved)
    with world.processes.acting_as("web"):
        claims.claim(scene.usual.pk, by=world.reviewer("lena"))
    with world.processes.acting_as("migrator"):
        desk = Receiver.objects.create(**row, kind="webhook", name="Desk", sealed_url=b"")
        ReceiverSecret.objects.create(**row, receiver=desk, sealed=b"")
        switches.turn_on(tenant_id=world.tenant.pk, tool="", reason="For a test.", by=None)
        Verification.objects.create(
            **row, person=world.people["ada"], finished_at=timezone.now(), result="intact"
        )
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        PolicyTrouble.objects.create(**row, action="refund_payment", rule="usual", request=scene.usual)
    opened(world, scene.moved)
    with world.processes.acting_as("sweeper"):
        seal(Ed25519PrivateKey.generate())
        Push.objects.create(target="of a test", tenant_id=world.tenant.pk, shown="a folder")
    return world


def of_tenants(shell: psycopg.Cursor[Any]) -> list[str]:
    """Every table whose rows belong to a tenant."""
    shell.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname"
    )
    return [name for (name,) in shell.fetchall()]


def sees(role: str, table: str, when: str) -> bool:
    """Whether it is declared that a role sees rows of tenants that it did not name; always or `before_a_tenant`."""
    return role in DECLARED["tables"][table].get(when, ())


def count(shell: psycopg.Cursor[Any], table: str, world: World) -> int:
    shell.execute(
        SQL("SELECT count(*) FROM {} WHERE tenant_id = %s").format(Identifier(table)), (world.tenant.pk,)
    )
    return int((shell.fetchone() or (0,))[0])


def test_no_role_sees_a_row_of_a_tenant_that_it_did_not_name(working: World) -> None:
    with working.processes.cursor("admin") as shell:
        tables = of_tenants(shell)
        filled = {table for table in tables if count(shell, table, working)}
    assert set(tables) == filled  # or nothing would be proved
    for role, table in product(ROLES, tables):
        if role not in readers(table, "tenant_id") or sees(role, table, "every_tenant"):
            continue
        with working.processes.cursor(role) as shell:
            seen = count(shell, table, working)
            assert seen == 0 or sees(role, table, "before_a_tenant"), f"{role} reads {table} without a tenant"
            scoped(shell, working, other=True)
            assert count(shell, table, working) == 0, f"{role} reads {table} of another tenant"


def test_every_table_of_tenants_is_forced_to_keep_them_apart(processes: Processes) -> None:
    with processes.cursor("admin") as shell:
        tables = of_tenants(shell)
        shell.execute("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
        forced = {name for (name,) in shell.fetchall()}
    assert set(tables) <= forced


def test_who_sees_every_tenant_says_what_for() -> None:
    beyond = {"every_tenant", "before_a_tenant"}
    assert [name for name, of in DECLARED["tables"].items() if beyond & set(of) and not of.get("why")] == []


# --- what else a shell could try --------------------------------------------------------------------------


@each_role
def test_no_shell_writes_what_it_may_not(processes: Processes, role: str) -> None:
    """Every table and verb that is not declared, tried by name: what the catalogue says is what happens."""
    for table, of in DECLARED["tables"].items():
        column, may = of["columns"][0], of.get(role, {})
        tries = {
            "select": "SELECT {column} FROM {table}",
            "update": "UPDATE {table} SET {column} = {column}",
            "insert": "INSERT INTO {table} DEFAULT VALUES",
            "delete": "DELETE FROM {table}",
            "truncate": "TRUNCATE {table}",
        }
        for verb, statement in tries.items():
            if verb in may:
                continue
            with processes.cursor(role) as shell, pytest.raises(NO_RIGHT):
                shell.execute(SQL(statement).format(column=Identifier(column), table=Identifier(table)))


@each_role
def test_no_shell_calls_what_it_was_not_given(processes: Processes, role: str) -> None:
    for name, of in DECLARED["functions"].items():
        called, _, parameters = name.partition("(")
        if of["trigger"] or role in of["execute"]:
            continue
        nothing = ", ".join("NULL" for each in parameters.rstrip(")").split(",") if each)
        with processes.cursor(role) as shell, pytest.raises(NO_RIGHT):
            shell.execute(f"SELECT {called}({nothing})")


ELSEWHERE = (
    "SET ROLE {other}",
    "SET SESSION AUTHORIZATION {other}",
    "GRANT {other} TO {me}",
    "ALTER ROLE {me} SUPERUSER",
    "ALTER ROLE {me} BYPASSRLS",
    "ALTER ROLE {other} PASSWORD 'mine'",
    "DROP ROLE {other}",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "SET session_replication_role = replica",
    "ALTER SYSTEM SET log_statement = 'all'",
    "SET log_statement = 'none'",
    "ALTER TABLE approval_request DISABLE TRIGGER ALL",
    "ALTER TABLE approval_request DISABLE TRIGGER approval_request_moves",
    "ALTER TABLE approval_request NO FORCE ROW LEVEL SECURITY",
    "DROP TRIGGER approval_request_moves ON approval_request",
    "DROP POLICY migrator_all ON approval_request",
    "DROP FUNCTION approval_request_moves() CASCADE",
    "CREATE OR REPLACE FUNCTION approval_request_moves() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER mine BEFORE INSERT ON vote FOR EACH ROW EXECUTE FUNCTION approval_request_moves()",
    "CREATE RULE mine AS ON INSERT TO vote DO INSTEAD NOTHING",
    "COMMENT ON TABLE vote IS 'mine'",
    "CREATE TABLE mine (id int)",
    "CREATE VIEW mine AS SELECT 1 AS id",
    "CREATE TYPE mine AS ENUM ('a')",
    "CREATE SCHEMA mine",
    # What would stand in the place of a table, for a function that searches there first.
    "CREATE TEMP TABLE vote (id int)",
    "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION file_fdw",
    "CREATE FOREIGN DATA WRAPPER mine",
    "CREATE LANGUAGE mine HANDLER plpgsql_call_handler",
    "CREATE PUBLICATION mine FOR ALL TABLES",
    "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION approval_request_moves()",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/mine'",
    "COPY identity_tenant FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/mine')",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM pg_user_mapping",
    "SELECT * FROM pg_statistic",
    "SELECT pg_reload_conf()",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_physical_replication_slot('mine')",
)


@each_role
def test_no_shell_leaves_its_role_or_loosens_what_guards_it(processes: Processes, role: str) -> None:
    me = f'"{processes.prefix}_{role}"'
    done: list[str] = []
    for other in (*ROLES, "migrator"):
        if other == role:
            continue
        for statement in ELSEWHERE:
            if other != "migrator" and "{other}" not in statement:
                continue  # once is enough
            with processes.cursor(role) as shell:
                shell.connection.autocommit = True  # some of these refuse to be part of more
                text = statement.format(other=f'"{processes.prefix}_{other}"', me=me)
                try:
                    shell.execute(text)
                except (NO_RIGHT, psycopg.errors.ObjectNotInPrerequisiteState):
                    continue
                except psycopg.Error as error:
                    done.append(f"{text}: {error}")
                else:
                    done.append(text)
    assert done == []


@each_role
def test_no_shell_reads_what_other_roles_are_asking_or_ends_their_sessions(
    processes: Processes, role: str
) -> None:
    with processes.cursor("migrator") as other, processes.cursor(role) as shell:
        other.execute("SELECT 'a question of the migrator'")
        shell.execute(
            "SELECT query FROM pg_stat_activity WHERE pid = %s", (other.connection.info.backend_pid,)
        )
        assert shell.fetchone() == ("<insufficient privilege>",)
        with pytest.raises(NO_RIGHT):
            shell.execute("SELECT pg_terminate_backend(%s)", (other.connection.info.backend_pid,))


@each_role
def test_what_a_shell_hides_in_its_search_path_is_nowhere_asked(processes: Processes, role: str) -> None:
    """A function that runs as its owner names where it looks; what the session says counts for none of them."""
    with processes.cursor("admin") as shell:
        shell.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef "
            "AND NOT coalesce(proconfig, '{}') @> '{\"search_path=pg_catalog, pg_temp\"}'"
        )
        assert shell.fetchall() == []
    with processes.cursor(role) as shell:
        shell.execute("SHOW search_path")
        shell.execute("SET search_path = pg_temp, public")  # that it may; there is nothing it could put there
        with pytest.raises(NO_RIGHT):
            shell.execute("CREATE TEMP VIEW vote AS SELECT 1 AS id")


@each_role
def test_what_every_role_can_do_moves_nothing(processes: Processes, role: str) -> None:
    """PostgreSQL has no right for these: a role that was taken over can call out, and can make others wait for it.

    Nobody here listens, and a lock is waited for no longer than `lock_timeout`; then the caller is refused, never let
    through (`limits.filings`, `budgets`). Said in SECURITY.md.
    """
    with processes.cursor(role) as shell, processes.cursor("admin") as admin:
        shell.execute("NOTIFY anything, 'a text'")
        shell.execute("LISTEN anything")
        shell.execute("SELECT pg_advisory_xact_lock(1)")
        admin.execute("SELECT pg_try_advisory_xact_lock(1)")
        assert admin.fetchone() == (False,)
        admin.execute(
            "SELECT setconfig::text FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE rolname = %s",
            (f"{processes.prefix}_{role}",),
        )
        assert "lock_timeout" in str(admin.fetchall())
