"""Writing: with its transaction or not at all, and only in one's own tenant."""

from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from approvals.audit.events import Actor, OutsideTransaction, record
from approvals.audit.format import Unrecordable
from approvals.audit.kinds import KINDS, KINDS_OF, UnknownKind, actor_kind_of
from approvals.audit.queries import trail as trail_of
from approvals.database import tenant_scope
from tests.audit.trails import AGENT, Trail

WRITERS = ("door", "web", "worker", "sweeper")


@pytest.fixture
def trail(common_trail: Trail) -> Trail:
    return common_trail


@pytest.mark.parametrize("process", WRITERS)
def test_every_process_records_with_personal_values(trail: Trail, tenant_id: UUID, process: str) -> None:
    request_id, kind = uuid4(), min(KINDS_OF[process])
    actor = Actor(actor_kind_of(process, kind), process)
    trail.act_as(process)
    with tenant_scope(tenant_id):
        event_id = record(
            kind,
            tenant_id=tenant_id,
            actor=actor,
            request_id=request_id,
            trace_id="0af7651916cd43dd8448eb211c80319c",
            data={"amount": "49.90"},
            personal={"email": "ada@example.com"},
        )
    trail.act_as("web")
    with tenant_scope(tenant_id):
        (entry,) = trail_of(tenant_id, request_id)
    assert (entry.id, entry.actor) == (event_id, actor)
    assert (entry.data, entry.personal) == ({"amount": "49.90"}, {"email": "ada@example.com"})
    assert (entry.meaning, entry.sealed) == (KINDS[kind], False)
    assert trail.verify(tenant_id).ok


def test_the_text_carries_no_personal_value(trail: Trail, tenant_id: UUID) -> None:
    event_id = trail.record(tenant_id, personal={"email": "zoe@example.com"})
    with trail.superuser() as owner:
        text = str(owner.execute("SELECT text FROM audit_event WHERE id = %s", [event_id]).fetchone())
    assert str(event_id) in text
    assert "zoe" not in text


def test_an_event_outside_a_transaction_is_refused(trail: Trail, tenant_id: UUID) -> None:
    trail.act_as("migrator")
    with pytest.raises(OutsideTransaction):
        record("request.created", tenant_id=tenant_id, actor=AGENT)


def test_an_event_goes_with_its_transaction(trail: Trail, tenant_id: UUID) -> None:
    trail.act_as("door")
    with tenant_scope(tenant_id):
        record("request.created", tenant_id=tenant_id, actor=AGENT, personal={"email": "ada@example.com"})
        transaction.set_rollback(True)
    with trail.superuser() as owner:
        left = "SELECT count(*) FROM audit_event, audit_personal WHERE audit_event.tenant_id = %s"
        assert owner.execute(left, [tenant_id]).fetchone() == (0,)
    assert trail.verify(tenant_id).events == 0


def test_an_unknown_kind_is_refused(trail: Trail, tenant_id: UUID) -> None:
    with pytest.raises(UnknownKind, match=r"request\.creatd"):
        trail.record(tenant_id, kind="request.creatd")


def test_every_kind_belongs_to_a_process() -> None:
    assert set().union(*KINDS_OF.values()) == set(KINDS)


def test_a_kind_that_this_version_does_not_know_can_be_read(
    trail: Trail, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = uuid4()
    trail.record(tenant_id, request_id=request_id)
    monkeypatch.delitem(KINDS, "request.created")
    trail.act_as("web")
    with tenant_scope(tenant_id):
        (entry,) = trail_of(tenant_id, request_id)
    assert (entry.kind, entry.meaning) == ("request.created", "request.created")


@pytest.mark.parametrize(("field", "value"), [("email", "a\x00b"), ("email", "\ud800"), ("na\x00me", "a")])
def test_a_personal_value_that_cannot_be_kept_is_refused(
    trail: Trail, tenant_id: UUID, field: str, value: str
) -> None:
    with pytest.raises(Unrecordable, match="personal"):
        trail.record(tenant_id, personal={field: value})


def test_kinds_are_dotted_lower_case_with_a_sentence() -> None:
    for kind, meaning in KINDS.items():
        assert kind.replace("_", "").replace(".", "", 1).islower(), kind
        assert kind.count(".") == 1, kind
        assert meaning.endswith("."), kind


def test_migrations_say_what_the_models_say(trail: Trail) -> None:
    trail.act_as("migrator")
    with transaction.atomic():
        loader = MigrationLoader(connection)
    found = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(loader.graph)
    assert "audit" not in found
