"""With a shell as each database role in turn: what it must not do, it cannot do."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.utils import timezone
from psycopg.sql import SQL, Identifier

from approvals.identity import forget
from approvals.identity.models import AccessToken, Application
from approvals.models import ApprovalRequest
from tests.world import World

APPLICATION = ("door", "web", "worker", "sweeper")
REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.CheckViolation)


def scoped(shell: psycopg.Cursor[Any], world: World, *, other: bool = False) -> None:
    """Tell the database what a taken-over process would tell it: any tenant, any agent it likes."""
    tenant, agent = (world.other, world.other_agent) if other else (world.tenant, world.agent)
    shell.execute(
        "SELECT set_config('countersign.tenant', %s, true), set_config('countersign.agent', %s, true)",
        (str(tenant.pk), str(agent.agent_id)),
    )


def attempt(world: World, process: str, statement: str, *values: object) -> int:
    """Rows touched by a statement as a process, in its own tenant, rolled back."""
    with world.processes.cursor(process) as shell:
        scoped(shell, world)
        shell.execute(statement, values)
        return shell.rowcount


COPY = """
INSERT INTO approval_request SELECT (r).* FROM (
    SELECT jsonb_populate_record(NULL::approval_request, to_jsonb(a) || %s::jsonb) AS r
    FROM approval_request a WHERE id = %s
) AS copied
"""


@pytest.mark.parametrize("status", ["approved", "executing", "succeeded", "denied", "withdrawn"])
def test_the_door_can_insert_nothing_but_pending(world: World, status: str) -> None:
    request = world.submit()
    change = f'{{"id": "{uuid4()}", "idempotency_key": "{uuid4()}", "status": "{status}"}}'
    with pytest.raises(REFUSED):
        attempt(world, "door", COPY, change, request.pk)


def test_the_door_can_file_nothing_for_another_agent_or_tenant(world: World) -> None:
    request = world.submit()
    for stranger in (
        f'"agent_id": "{world.other_agent.agent_id}"',
        f'"tenant_id": "{world.other.pk}"',
        f'"agent_id": null, "person_id": "{world.people["lena"].pk}"',
    ):
        change = f'{{"id": "{uuid4()}", "idempotency_key": "{uuid4()}", {stranger}}}'
        with pytest.raises(REFUSED):
            attempt(world, "door", COPY, change, request.pk)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approval_request SET status = 'approved'",
        "UPDATE approval_request SET status = 'denied'",
        "UPDATE approval_request SET status = 'executing'",
        "UPDATE approval_request SET arguments = 'gAAAA'",
        "UPDATE approval_request SET verdict = '{}'",
        "UPDATE approval_request SET facts = 'gAAAA'",
        "UPDATE approval_request SET owner_id = agent_id",
        "UPDATE approval_request SET expires_at = now() + interval '1 year'",
        "DELETE FROM approval_request",
        "SELECT * FROM vote",
        "INSERT INTO vote (id) VALUES (gen_random_uuid())",
        "SELECT * FROM execution",
        "INSERT INTO execution (id) VALUES (gen_random_uuid())",
        "UPDATE policy_version SET source = ''",
        "SELECT * FROM outbox",
        "UPDATE outbox SET done_at = now()",
        "SELECT * FROM receiver",
        "SELECT * FROM audit_event",
        "UPDATE audit_event SET text = ''",
        "DELETE FROM audit_event",
        "SELECT * FROM audit_personal",
        "SELECT * FROM identity_person",
        "SELECT * FROM identity_membership",
        "SELECT * FROM django_session",
        "INSERT INTO identity_accesstoken (token) VALUES ('x')",
        "UPDATE identity_agent SET is_active = true",
        "INSERT INTO switch (id) VALUES (gen_random_uuid())",
        "UPDATE switch SET turned_off_at = now()",
    ],
)
def test_a_door_taken_over_whole_can_not(world: World, statement: str) -> None:
    world.submit()
    with pytest.raises(REFUSED):
        attempt(world, "door", statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approval_request SET status = 'executing'",
        "UPDATE approval_request SET status = 'succeeded'",
        "UPDATE approval_request SET arguments = 'gAAAA'",
        "UPDATE approval_request SET amount_minor = 1",
        "UPDATE approval_request SET facts = 'gAAAA'",
        "UPDATE approval_request SET verdict = '{}'",
        "INSERT INTO approval_request (id) VALUES (gen_random_uuid())",
        "DELETE FROM approval_request",
        "UPDATE vote SET decision = 'approve'",
        "DELETE FROM vote",
        "INSERT INTO execution (id) VALUES (gen_random_uuid())",
        "UPDATE execution SET outcome = 'succeeded'",
        "UPDATE policy_version SET source = ''",
        "SELECT * FROM receiver",
        "UPDATE audit_event SET text = ''",
        "DELETE FROM audit_event",
        "INSERT INTO identity_membership (role) VALUES ('finance')",
        "UPDATE identity_membership SET role = 'finance'",
        "UPDATE identity_agent SET owner_id = id",
        "UPDATE identity_person SET is_active = true",
        "UPDATE identity_person SET email = 'mallory@example.com'",
        "UPDATE identity_person SET name = 'Mallory'",
        "UPDATE switch SET reason = 'x'",
        "DELETE FROM switch",
        "DELETE FROM identity_application",
    ],
)
def test_a_web_process_taken_over_whole_can_not(world: World, statement: str) -> None:
    world.vote(world.submit(payment_id="pay_10011", amount_minor=520000), "approve", "lena")
    with pytest.raises(REFUSED):
        attempt(world, "web", statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approval_request SET status = 'denied'",
        "UPDATE approval_request SET arguments = 'gAAAA'",
        "UPDATE approval_request SET owner_id = id",
        "INSERT INTO approval_request (id) VALUES (gen_random_uuid())",
        "DELETE FROM approval_request",
        "INSERT INTO vote (id) VALUES (gen_random_uuid())",
        "UPDATE vote SET decision = 'approve'",
        "DELETE FROM execution",
        "UPDATE execution SET key = 'x'",
        "SELECT * FROM audit_event",
        "DELETE FROM audit_event",
        "SELECT password FROM identity_person",
        "SELECT email FROM identity_person",
        "UPDATE identity_membership SET role = 'finance'",
        "SELECT * FROM identity_accesstoken",
        "SELECT * FROM django_session",
        "DELETE FROM outbox",
        "UPDATE receiver SET is_active = false",
        "INSERT INTO switch (id) VALUES (gen_random_uuid())",
        "UPDATE switch SET turned_off_at = now()",
    ],
)
def test_a_worker_taken_over_whole_can_not(world: World, statement: str) -> None:
    world.vote(world.submit(), "approve", "lena")
    with pytest.raises(REFUSED):
        attempt(world, "worker", statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approval_request SET status = 'approved'",
        "UPDATE approval_request SET expires_at = now()",
        "UPDATE approval_request SET expires_at = expires_at + interval '1 year'",
        "UPDATE approval_request SET frozen_at = '2001-01-01'",
        "SELECT arguments FROM approval_request",
        "SELECT facts FROM approval_request",
        "INSERT INTO approval_request (id) VALUES (gen_random_uuid())",
        "SELECT * FROM vote",
        "INSERT INTO vote (id) VALUES (gen_random_uuid())",
        "SELECT * FROM execution",
        "UPDATE outbox SET done_at = now()",
        "SELECT * FROM receiver",
        "UPDATE audit_event SET text = ''",
        "DELETE FROM audit_checkpoint",
        "SELECT * FROM identity_person",
        "SELECT * FROM identity_accesstoken",
        "SELECT id FROM identity_refreshtoken",
        "SELECT id FROM identity_grant",
        "SELECT id FROM identity_application",
        "DELETE FROM identity_accesstoken",
        "DELETE FROM identity_refreshtoken",
        "DELETE FROM identity_grant",
        "DELETE FROM identity_devicegrant",
        "DELETE FROM identity_application",
        "UPDATE identity_refreshtoken SET revoked = NULL",
        "UPDATE switch SET turned_off_at = now()",
    ],
)
def test_a_sweeper_taken_over_whole_can_not(world: World, statement: str) -> None:
    world.submit()
    with pytest.raises(REFUSED):
        attempt(world, "sweeper", statement)


@pytest.mark.parametrize("process", APPLICATION)
@pytest.mark.parametrize("table", ["approval_request", "audit_event", "vote", "execution", "outbox"])
def test_no_role_can_truncate_alter_or_disable_what_guards_a_table(
    world: World, process: str, table: str
) -> None:
    for statement in (
        "TRUNCATE {}",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
        "ALTER TABLE {} DISABLE ROW LEVEL SECURITY",
        "DROP TABLE {}",
        "CREATE POLICY mine ON {} USING (true)",
    ):
        with world.processes.cursor(process) as shell, pytest.raises(psycopg.errors.InsufficientPrivilege):
            shell.execute(SQL(statement).format(Identifier(table)))


@pytest.mark.parametrize("process", APPLICATION)
def test_no_role_can_become_another_or_make_things(world: World, process: str) -> None:
    prefix = world.processes.prefix
    others = [each for each in (*APPLICATION, "migrator") if each != process]
    for statement in (
        *(f'SET ROLE "{prefix}_{other}"' for other in others),
        "SET session_replication_role = replica",
        "CREATE TABLE mine (id int)",
        "CREATE ROLE mine",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ):
        with world.processes.cursor(process) as shell, pytest.raises(psycopg.errors.InsufficientPrivilege):
            shell.execute(statement)


def rows(world: World, process: str, table: str, *, other: bool, whole: bool = False) -> int:
    with world.processes.cursor(process) as shell:
        if not whole:
            scoped(shell, world, other=other)
        shell.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table)))
        return int((shell.fetchone() or (0,))[0])


def visible(world: World, process: str, request: ApprovalRequest, *, scope: str) -> bool:
    with world.processes.cursor(process) as shell:
        if scope != "none":
            scoped(shell, world, other=scope == "other")
        shell.execute("SELECT 1 FROM approval_request WHERE id = %s", (request.pk,))
        return shell.fetchone() is not None


@pytest.mark.parametrize("process", ["door", "web", "worker"])
def test_a_query_that_forgot_its_tenant_sees_nothing(world: World, process: str) -> None:
    request = world.submit()
    assert visible(world, process, request, scope="mine")
    assert not visible(world, process, request, scope="other")
    assert not visible(world, process, request, scope="none")


@pytest.mark.parametrize(
    ("process", "table"),
    [
        (process, table)
        for process, tables in {
            "door": ("policy_version",),
            "web": ("vote", "execution", "policy_version", "audit_event", "identity_membership"),
            "worker": ("vote", "execution", "policy_version", "outbox", "receiver", "identity_membership"),
        }.items()
        for table in tables
    ],
)
def test_no_role_reads_another_tenants_rows(world: World, process: str, table: str) -> None:
    world.vote(world.submit(), "approve", "lena")
    assert rows(world, process, table, other=False, whole=True) == 0
    with world.processes.cursor(process) as shell:
        scoped(shell, world)
        shell.execute(
            SQL("SELECT count(*) FROM {} WHERE tenant_id <> %s").format(Identifier(table)), (world.tenant.pk,)
        )
        assert shell.fetchone() == (0,)


def test_even_the_owner_of_the_tables_is_bound_by_row_level_security(world: World) -> None:
    with world.processes.cursor("admin") as shell:
        shell.execute(
            """
            SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE nspname = 'public' AND relkind = 'r' AND NOT (relrowsecurity AND relforcerowsecurity)
              AND EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = c.oid AND attname = 'tenant_id')
            """
        )
        unbound = {name for (name,) in shell.fetchall()}
    assert unbound == set()


def test_pages_taken_over_whole_change_no_headless_program(world: World) -> None:
    """They keep the programs that registered by themselves, and row-level security hides the others from changes."""
    with world.processes.cursor("web") as shell:
        statement = "UPDATE identity_application SET client_secret = 'x' WHERE client_id = %s"
        shell.execute(statement, (world.agent.client_id,))
        assert shell.rowcount == 0


FORGETTING = [f"oauth_forget_{kind}" for kind in forget.KINDS]


@pytest.mark.parametrize("function", FORGETTING)
@pytest.mark.parametrize("process", ["door", "web", "worker"])
def test_only_the_sweeper_forgets_what_the_oauth_server_issued(
    world: World, process: str, function: str
) -> None:
    with world.processes.cursor(process) as shell, pytest.raises(psycopg.errors.InsufficientPrivilege):
        shell.execute(f"SELECT {function}(1)")


def test_a_sweeper_taken_over_whole_forgets_nothing_that_is_worth_something(world: World) -> None:
    """Whatever it passes, and whatever it sets for its session: the conditions are the database's own."""
    with world.processes.acting_as("migrator"):
        application = Application.objects.get(client_id=world.agent.client_id)
        token, _newest = (
            AccessToken.objects.create(
                token_checksum=uuid4().hex,
                application=application,
                agent_id=world.agent.agent_id,
                expires=timezone.now() + timedelta(minutes=15),
            )
            for _ in range(2)
        )
    with world.processes.cursor("sweeper") as shell:
        scoped(shell, world)
        shell.execute("SET search_path = pg_temp, public")
        for function in FORGETTING:
            shell.execute(f"SELECT public.{function}(1000000)")
        shell.connection.commit()
    with world.processes.acting_as("web"):
        assert AccessToken.objects.filter(pk=token.pk).exists()
        assert Application.objects.filter(pk=application.pk).exists()
