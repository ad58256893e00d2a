"""With a process's own connection: it cannot write another's part of the story, nor ask for another's work."""

from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from approvals import outbox
from approvals.audit.format import ACTOR_KINDS, event_text, leaf
from approvals.audit.kinds import KINDS, KINDS_OF, actor_kind_of
from approvals.models import ApprovalRequest, Outbox
from tests.attacks.test_roles import APPLICATION, COPY, attempt, scoped
from tests.world import World

REFUSED = psycopg.errors.InsufficientPrivilege
TOPICS = (
    *(outbox.JUDGE, outbox.EXECUTE, outbox.RECONCILE, outbox.REOPEN),
    *(outbox.ANNOUNCE, outbox.DELIVER, outbox.MAIL, outbox.UNDO, outbox.LOOK),
)
NEWS = (
    "request.created", "request.withdrawn", "request.approved", "request.denied", "request.expired",
    "request.succeeded", "request.failed", "request.uncertain",
)  # fmt: skip
ORDERS = [(topic, kind) for topic in TOPICS for kind in (NEWS if topic == outbox.ANNOUNCE else ("",))]
ORDERS_OF = {
    "door": {("judge", ""), ("announce", "request.created"), ("announce", "request.withdrawn")},
    "web": {("execute", ""), ("announce", "request.approved"), ("announce", "request.denied")},
    "worker": set(ORDERS),
    "sweeper": {("announce", "request.expired")},
}
EVENT = """
INSERT INTO audit_event (id, tenant_id, kind, actor_kind, actor_id, trace_id, at, text, leaf)
VALUES (%s, %s, %s, %s, 'somebody', '', %s, %s, %s)
"""
PERSONAL = """
INSERT INTO audit_personal (event_id, tenant_id, field, salt, value)
VALUES (%s, %s, %s, decode(repeat('00', 32), 'hex'), 'Somebody Else')
"""
MESSAGE = """
INSERT INTO outbox
    (id, tenant_id, request_id, revision, topic, kind, created_at, not_before, attempts, last_error, traceparent)
VALUES (gen_random_uuid(), %s, %s, 1, %s, %s, now(), now(), 0, '', '')
"""


def forge(shell: psycopg.Cursor[Any], tenant_id: UUID, kind: str, actor_kind: str, *fields: str) -> UUID:
    """One event past `record`, committing to these fields."""
    event_id, at = uuid4(), datetime.now(UTC)
    text = event_text(
        event_id=event_id,
        tenant_id=tenant_id,
        at=at,
        kind=kind,
        actor_kind=actor_kind,
        actor_id="somebody",
        request_id=None,
        trace_id="",
        data={},
        commitments=dict.fromkeys(fields, "0" * 64),
    )
    shell.execute(EVENT, (event_id, tenant_id, kind, actor_kind, at, text, leaf(text)))
    return event_id


@pytest.mark.parametrize("process", sorted(KINDS_OF))
def test_the_database_lets_each_process_record_exactly_its_kinds(world: World, process: str) -> None:
    allowed = set()
    with world.processes.cursor(process) as shell:
        scoped(shell, world)
        for kind, actor_kind in product(KINDS, ACTOR_KINDS):
            shell.execute("SAVEPOINT before")
            with suppress(REFUSED):
                forge(shell, world.tenant.pk, kind, actor_kind)
                allowed.add((kind, actor_kind))
            shell.execute("ROLLBACK TO SAVEPOINT before")
    assert allowed == {(kind, actor_kind_of(process, kind)) for kind in KINDS_OF[process]}


def test_not_even_the_servers_administrator_records_by_mistake(world: World) -> None:
    with world.processes.cursor("admin") as shell:
        shell.execute("SET session_replication_role = replica")
        with pytest.raises(REFUSED, match="may not record"):
            forge(shell, world.tenant.pk, "request.approved", "person")
        shell.connection.rollback()


@pytest.mark.parametrize("process", APPLICATION)
def test_a_personal_value_stands_beside_its_event_alone(world: World, process: str) -> None:
    kind = min(KINDS_OF[process])
    with world.processes.cursor(process) as shell:
        scoped(shell, world)
        event_id = forge(shell, world.tenant.pk, kind, actor_kind_of(process, kind), "name")
        shell.execute(PERSONAL, (event_id, world.tenant.pk, "name"))
        for event, field in ((event_id, "email"), (uuid4(), "name")):
            shell.execute("SAVEPOINT before")
            with pytest.raises(REFUSED, match="commits to the field"):
                shell.execute(PERSONAL, (event, world.tenant.pk, field))
            shell.execute("ROLLBACK TO SAVEPOINT before")


def test_a_personal_value_of_another_tenants_event_is_refused(world: World) -> None:
    with world.processes.cursor("door") as shell:
        scoped(shell, world)
        event_id = forge(shell, world.tenant.pk, "request.created", "agent", "name")
        scoped(shell, world, other=True)
        with pytest.raises(REFUSED, match="commits to the field"):
            shell.execute(PERSONAL, (event_id, world.other.pk, "name"))


def test_nobody_adds_a_name_to_an_event_that_is_written(world: World) -> None:
    request = world.submit()
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "DELETE FROM audit_personal p USING audit_event e"
            " WHERE e.id = p.event_id AND e.request_id = %s AND field = 'reason' RETURNING e.id",
            (request.pk,),
        )
        (event_id,) = shell.fetchone() or (None,)
    with pytest.raises(REFUSED, match="commits to the field"):
        attempt(world, "door", PERSONAL, event_id, world.tenant.pk, "reason")


@pytest.mark.parametrize("process", APPLICATION)
def test_each_process_orders_exactly_its_work(world: World, process: str) -> None:
    request = world.submit()
    allowed = set()
    with world.processes.cursor(process) as shell:
        scoped(shell, world)
        for topic, kind in ORDERS:
            shell.execute("SAVEPOINT before")
            with suppress(REFUSED):
                shell.execute(MESSAGE, (world.tenant.pk, request.pk, topic, kind))
                allowed.add((topic, kind))
            shell.execute("ROLLBACK TO SAVEPOINT before")
        # Orders of one's own kind, but for another tenant's worker.
        scoped(shell, world, other=True)
        topic, kind = min(ORDERS_OF[process])
        with pytest.raises(REFUSED):
            shell.execute(MESSAGE, (world.tenant.pk, request.pk, topic, kind))
    assert allowed == ORDERS_OF[process]


def test_an_unknown_topic_is_refused(world: World) -> None:
    request = world.submit()
    with pytest.raises(psycopg.errors.CheckViolation, match="outbox_topic_known"):
        attempt(world, "worker", MESSAGE, world.tenant.pk, request.pk, "pay", "")


def copy(world: World, request: ApprovalRequest, change: str) -> int:
    """The door's attempt to write a row like this request's, changed."""
    new = f'{{"id": "{uuid4()}", "idempotency_key": "{uuid4()}", {change}}}'
    return attempt(world, "door", COPY, new, request.pk)


def test_the_door_can_copy_a_request_as_it_is(world: World) -> None:
    assert copy(world, world.submit(), '"risk": "low"') == 1


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ('"risk": "none"', "request_risk_known"),
        ('"verdict": {"kind": "allow"}', "request_verdict_known"),
        ('"verdict": {}', "request_verdict_known"),
        ('"verdict": ["kind"]', "request_verdict_known"),
        ('"expires_at": "infinity"', "request_times_readable"),
        ('"expires_at": "10000-01-01T00:00:00Z"', "request_times_readable"),
        ('"created_at": "-infinity"', "request_times_readable"),
        ('"finished_at": "infinity"', "request_times_readable"),
    ],
)
def test_a_row_that_no_page_could_show_is_refused(world: World, change: str, constraint: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
        copy(world, world.submit(), change)


@pytest.mark.parametrize(("column", "name"), [("owner_id", "lena"), ("on_behalf_of_id", "lena")])
def test_the_door_can_not_choose_who_is_kept_from_deciding(world: World, column: str, name: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="those of its agent"):
        copy(world, world.submit(), f'"{column}": "{world.people[name].pk}"')


def test_the_topics_that_the_database_knows_are_those_of_the_outbox() -> None:
    (known,) = [each for each in Outbox._meta.constraints if each.name == "outbox_topic_known"]
    assert dict(known.condition.children) == {"topic__in": list(TOPICS)}  # type: ignore[attr-defined]
