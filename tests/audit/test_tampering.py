"""Each way to falsify the trail, as the owner of the server, is found and named exactly."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from approvals.audit.checks import Broken
from approvals.audit.keys import signer_id
from approvals.audit.queries import trail as trail_of
from approvals.database import tenant_scope
from tests.audit.trails import Trail

EDIT = "text = replace(text, 'request.created', 'request.refused')"
REHASH = (
    "leaf = sha256('\\x00'::bytea || convert_to(replace(text, 'request.created', 'request.refused'), 'UTF8'))"
)


@pytest.fixture
def events(trail: Trail, file_events: Callable[[int], list[UUID]]) -> list[UUID]:
    """Nine events under three checkpoints, three each."""
    found: list[UUID] = []
    for _ in range(3):
        found += file_events(3)
        trail.seal()
    assert trail.verify().ok
    return found


def broken(trail: Trail, tenant_id: UUID) -> Broken:
    found = trail.verify(tenant_id).broken
    assert found is not None
    assert found.tenant_id == tenant_id
    return found


@pytest.mark.parametrize(("place", "fit"), [(0, 0), (2, 0), (3, 1), (8, 2)])
def test_what_fits_before_a_broken_event_is_counted_and_no_checkpoint_ahead_of_its_events(
    trail: Trail, tenant_id: UUID, events: list[UUID], place: int, fit: int
) -> None:
    trail.tamper(f"UPDATE audit_event SET {EDIT} WHERE id = %s", events[place])
    report = trail.verify(tenant_id)
    assert (report.ok, report.events, report.checkpoints) == (False, place, fit)


@pytest.mark.parametrize("change", [EDIT, f"{EDIT}, {REHASH}", f"{EDIT}, {REHASH}, kind = 'request.refused'"])
def test_an_edited_text_is_named_whatever_was_edited_with_it(
    trail: Trail, tenant_id: UUID, events: list[UUID], change: str
) -> None:
    trail.tamper(f"UPDATE audit_event SET {change} WHERE id = %s", events[4])
    found = broken(trail, tenant_id)
    assert found.event_id == events[4]
    assert "text was edited" in found.why


def test_an_edited_leaf_is_named(trail: Trail, tenant_id: UUID, events: list[UUID]) -> None:
    trail.tamper("UPDATE audit_event SET leaf = decode(repeat('00', 32), 'hex') WHERE id = %s", events[1])
    found = broken(trail, tenant_id)
    assert (found.event_id, "`leaf`" in found.why) == (events[1], True)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("kind", "request.denied"),
        ("request_id", uuid4()),
        ("actor_kind", "person"),
        ("actor_id", "somebody else"),
        ("trace_id", "f" * 32),
        ("at", "2020-01-01T00:00:00Z"),
        ("tenant_id", uuid4()),
    ],
)
def test_an_edited_column_is_named(
    trail: Trail, tenant_id: UUID, events: list[UUID], column: str, value: object
) -> None:
    trail.tamper(f"UPDATE audit_event SET {column} = %s WHERE id = %s", value, events[7])
    found = trail.verify(tenant_id).broken
    assert found is not None
    assert (found.event_id, f"column `{column}`" in found.why) == (events[7], True)


def test_an_edited_column_of_an_unsealed_event_is_named(trail: Trail, tenant_id: UUID) -> None:
    event_id = trail.record(tenant_id)
    trail.tamper("UPDATE audit_event SET kind = 'request.denied' WHERE id = %s", event_id)
    assert broken(trail, tenant_id).event_id == event_id


@pytest.mark.parametrize("place", [0, 4, 8])
def test_a_deleted_event_is_named(trail: Trail, tenant_id: UUID, events: list[UUID], place: int) -> None:
    trail.tamper("DELETE FROM audit_event WHERE id = %s", events[place])
    found = broken(trail, tenant_id)
    assert (found.event_id, found.checkpoint) == (events[place], place // 3 + 1)
    assert "missing" in found.why


def test_an_event_inserted_behind_the_seal_is_named(
    trail: Trail, tenant_id: UUID, events: list[UUID]
) -> None:
    late = trail.record(tenant_id)
    assert trail.verify(tenant_id).ok
    place = "(SELECT e.xid FROM audit_event e WHERE e.id = %s)"
    trail.tamper(f"UPDATE audit_event SET xid = {place} WHERE id = %s", events[2], late)
    assert trail.seal() == 0
    found = broken(trail, tenant_id)
    assert (found.event_id, "inserted behind the seal" in found.why) == (late, True)


def test_reordered_events_are_named_with_their_checkpoint(
    trail: Trail, tenant_id: UUID, events: list[UUID]
) -> None:
    swap = "ARRAY[event_ids[2], event_ids[1], event_ids[3]]"
    trail.tamper(f"UPDATE audit_checkpoint SET event_ids = {swap} WHERE number = 2")
    found = broken(trail, tenant_id)
    assert (found.checkpoint, found.event_id) == (2, None)
    assert "order" in found.why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("text = replace(text, '\"count\":3', '\"count\":2')", "signature is wrong"),
        ("signature = decode(repeat('00', 64), 'hex')", "signature is wrong"),
        ("text = 'nothing'", "not a checkpoint"),
        ('text = replace(text, \'"key":"\', \'"key":"f\')', "not one of the public keys"),
        ("leaves = decode(repeat('00', 96), 'hex')", "root"),
        ("leaves = substr(leaves, 33) || substr(leaves, 1, 32)", "root"),
        ("event_ids = event_ids[1:2]", "root"),
    ],
)
def test_an_edited_checkpoint_is_named(
    trail: Trail, tenant_id: UUID, events: list[UUID], change: str, why: str
) -> None:
    trail.tamper(f"UPDATE audit_checkpoint SET {change} WHERE number = 2")
    found = broken(trail, tenant_id)
    assert (found.checkpoint, found.event_id) == (2, None)
    assert why in found.why


@pytest.mark.parametrize("number", [1, 2])
def test_a_deleted_checkpoint_is_named(
    trail: Trail, tenant_id: UUID, events: list[UUID], number: int
) -> None:
    trail.tamper("DELETE FROM audit_checkpoint WHERE number = %s", number)
    found = broken(trail, tenant_id)
    assert (found.checkpoint, "missing" in found.why) == (number, True)


def test_a_checkpoint_of_another_chain_is_named(trail: Trail, tenant_id: UUID, events: list[UUID]) -> None:
    """Signed by us, for this tenant and number, but after another history: as after a restored backup."""
    trail.tamper("DELETE FROM audit_checkpoint WHERE number > 1")
    columns = "tenant_id, number, text, signature, event_ids, leaves, xids"
    with trail.superuser() as owner:
        first = owner.execute(f"SELECT {columns} FROM audit_checkpoint").fetchone()
    assert first is not None
    trail.tamper("DELETE FROM audit_checkpoint")
    trail.tamper("UPDATE audit_horizon SET cluster = 1")
    trail.seal(limit=1)
    trail.seal()
    trail.tamper("DELETE FROM audit_checkpoint WHERE number = 1")
    trail.tamper(f"INSERT INTO audit_checkpoint ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s)", *first)
    found = broken(trail, tenant_id)
    assert (found.checkpoint, "chain is broken" in found.why) == (2, True)


def test_a_checkpoint_that_took_anothers_place_is_named(
    trail: Trail, tenant_id: UUID, events: list[UUID]
) -> None:
    trail.tamper("DELETE FROM audit_checkpoint WHERE number = 2")
    trail.tamper("UPDATE audit_checkpoint SET number = 2 WHERE number = 3")
    found = broken(trail, tenant_id)
    assert (found.checkpoint, "checkpoint 3" in found.why) == (2, True)


def test_a_stranger_cannot_sign(trail: Trail, tenant_id: UUID, events: list[UUID]) -> None:
    ours, trail.signing_key = trail.signing_key, Ed25519PrivateKey.generate()
    forger = signer_id(trail.signing_key)
    trail.record(tenant_id)
    trail.seal()
    trail.signing_key = ours
    found = broken(trail, tenant_id)
    assert (found.checkpoint, forger in found.why) == (4, True)


def test_the_first_of_several_broken_rows_is_named(trail: Trail, tenant_id: UUID, events: list[UUID]) -> None:
    trail.tamper("UPDATE audit_checkpoint SET signature = '' WHERE number = 3")
    trail.tamper("DELETE FROM audit_event WHERE id = %s", events[5])
    trail.tamper(f"UPDATE audit_event SET {EDIT} WHERE id = %s", events[4])
    assert broken(trail, tenant_id).event_id == events[4]


@pytest.mark.parametrize("change", ["value = 'eve@example.com'", "salt = decode(repeat('00', 32), 'hex')"])
def test_an_edited_personal_value_is_named(trail: Trail, tenant_id: UUID, change: str) -> None:
    event_id = trail.record(tenant_id, personal={"email": "ada@example.com", "name": "Ada"})
    trail.seal()
    trail.tamper(f"UPDATE audit_personal SET {change} WHERE event_id = %s AND field = 'email'", event_id)
    found = broken(trail, tenant_id)
    assert (found.event_id, "`email`" in found.why) == (event_id, True)


def test_a_personal_value_that_the_event_never_had_is_named(
    trail: Trail, tenant_id: UUID, events: list[UUID]
) -> None:
    trail.tamper(
        "INSERT INTO audit_personal (event_id, tenant_id, field, salt, value)"
        " VALUES (%s, %s, 'iban', decode(repeat('00', 32), 'hex'), 'x')",
        events[0],
        tenant_id,
    )
    assert broken(trail, tenant_id).event_id == events[0]


def test_erasing_a_personal_value_keeps_the_proof(trail: Trail, tenant_id: UUID) -> None:
    request_id = uuid4()
    trail.record(tenant_id, request_id=request_id, personal={"email": "ada@example.com", "name": "Ada"})
    trail.seal()
    trail.tamper("DELETE FROM audit_personal WHERE field = 'email'")
    assert trail.verify(tenant_id).ok
    trail.act_as("web")
    with tenant_scope(tenant_id):
        (entry,) = trail_of(tenant_id, request_id)
    assert entry.personal == {"email": None, "name": "Ada"}
