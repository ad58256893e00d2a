"""What each database role cannot do, tried with the role itself."""

from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction

from approvals.audit.kinds import KINDS_OF, actor_kind_of
from approvals.audit.models import Checkpoint, Event, Personal
from approvals.database import tenant_scope
from tests.audit.trails import Trail, insert_event

PROCESSES = ("door", "web", "worker", "sweeper")
TABLES = ("audit_event", "audit_checkpoint")


@pytest.fixture
def trail(common_trail: Trail) -> Trail:
    return common_trail


def execute(statement: str, tenant_id: UUID | None = None) -> list[tuple[object, ...]]:
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize(
    "statement",
    [
        *(f"UPDATE {table} SET text = 'x'" for table in TABLES),
        *(f"DELETE FROM {table}" for table in (*TABLES, "audit_personal")),
        *(f"TRUNCATE {table}" for table in (*TABLES, "audit_personal")),
        *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in TABLES),
        *(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY" for table in TABLES),
        "UPDATE audit_personal SET value = 'x'",
        "DELETE FROM audit_horizon",
        "DROP FUNCTION audit_append_only CASCADE",
    ],
)
def test_no_process_changes_the_trail(trail: Trail, tenant_id: UUID, process: str, statement: str) -> None:
    trail.record(tenant_id)
    trail.act_as(process)
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        execute(statement, tenant_id)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["UPDATE {} SET text = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_even_the_owner_of_the_tables_meets_the_trigger(
    trail: Trail, tenant_id: UUID, table: str, statement: str
) -> None:
    trail.record(tenant_id)
    trail.seal()
    trail.act_as("migrator")
    with pytest.raises(ProgrammingError, match="the audit trail is append-only"):
        execute(statement.format(table))


def test_a_replica_session_meets_the_trigger_too(trail: Trail, tenant_id: UUID) -> None:
    trail.record(tenant_id)
    with trail.superuser() as owner:
        owner.execute("SET session_replication_role = replica")
        with pytest.raises(Exception, match="the audit trail is append-only"):
            owner.execute("DELETE FROM audit_event")


@pytest.mark.parametrize("process", ["door", "worker"])
@pytest.mark.parametrize("table", [*TABLES, "audit_personal", "audit_horizon"])
def test_the_door_and_the_worker_read_nothing_of_the_trail(trail: Trail, process: str, table: str) -> None:
    trail.act_as(process)
    with pytest.raises(ProgrammingError, match="permission denied"):
        execute(f"SELECT * FROM {table}")


def test_the_web_reads_its_tenant_alone(trail: Trail, tenant_id: UUID) -> None:
    stranger = uuid4()
    for tenant in (tenant_id, stranger):
        trail.record(tenant, personal={"email": "ada@example.com"})
    trail.seal()
    trail.act_as("web")
    for model in (Event, Personal, Checkpoint):
        with tenant_scope(tenant_id):
            assert [row.tenant_id for row in model._default_manager.all()] == [tenant_id]
        assert not model._default_manager.exists()


@pytest.mark.parametrize("process", PROCESSES)
def test_no_process_records_for_another_tenant(trail: Trail, tenant_id: UUID, process: str) -> None:
    trail.act_as(process)
    kind = min(KINDS_OF[process])
    with pytest.raises(ProgrammingError, match="row-level security"), tenant_scope(uuid4()):
        insert_event(tenant_id, kind=kind, actor_kind=actor_kind_of(process, kind))
    with pytest.raises(ProgrammingError, match="row-level security"), tenant_scope(uuid4()):
        Personal.objects.bulk_create(
            [Personal(event_id=uuid4(), tenant_id=tenant_id, field="a", salt=bytes(32), value="")]
        )


@pytest.mark.parametrize("process", PROCESSES)
def test_no_process_chooses_its_place_behind_the_seal(trail: Trail, tenant_id: UUID, process: str) -> None:
    trail.act_as(process)
    with pytest.raises(ProgrammingError, match="permission denied"):
        execute(
            f"INSERT INTO audit_event (id, tenant_id, xid) VALUES ('{uuid4()}', '{tenant_id}', '3')",
            tenant_id,
        )


@pytest.mark.parametrize("process", ["door", "web", "worker"])
def test_only_the_sweeper_seals(trail: Trail, tenant_id: UUID, process: str) -> None:
    trail.act_as(process)
    for statement in (
        "INSERT INTO audit_checkpoint (tenant_id, number, text, signature, event_ids, leaves, xids)"
        f" VALUES ('{tenant_id}', 1, '', '', '{{{uuid4()}}}', decode(repeat('00', 32), 'hex'), '[1,2]')",
        "UPDATE audit_horizon SET below = 9000000000",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"):
            execute(statement, tenant_id)


def test_columns_that_contradict_the_text_are_refused(trail: Trail, tenant_id: UUID) -> None:
    trail.act_as("door")
    with pytest.raises(IntegrityError, match="audit_event_columns"), tenant_scope(tenant_id):
        insert_event(tenant_id, tenant_in_text=uuid4())


def test_a_leaf_that_is_not_the_hash_of_the_text_is_refused(trail: Trail, tenant_id: UUID) -> None:
    trail.act_as("door")
    with pytest.raises(IntegrityError, match="audit_event_leaf"), tenant_scope(tenant_id):
        insert_event(tenant_id, wrong_leaf=True)


def test_text_that_is_no_event_is_refused(trail: Trail, tenant_id: UUID) -> None:
    trail.act_as("door")
    for text in ("{}", "[]", "null", "no json"):
        with pytest.raises(DatabaseError), transaction.atomic(), tenant_scope(tenant_id):
            insert_event(tenant_id, text=text)
