"""Sealing: every event once, none lost, whatever transactions and restores do."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event as Signal
from threading import Thread
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection, transaction

from approvals.audit.events import record
from approvals.audit.format import GENESIS, digest
from approvals.audit.keys import signer_id
from approvals.audit.models import Checkpoint, Horizon
from approvals.audit.queries import trail as trail_of
from approvals.audit.seal import seal
from approvals.database import tenant_scope
from tests.audit.trails import AGENT, Trail

FileEvents = Callable[[int], list[UUID]]


def sealed_ids(trail: Trail, tenant_id: UUID) -> list[UUID]:
    trail.act_as("sweeper")
    checkpoints = Checkpoint.objects.filter(tenant_id=tenant_id).order_by("number")
    return [event_id for checkpoint in checkpoints for event_id in checkpoint.event_ids]


@contextmanager
def event_in_an_open_transaction(trail: Trail, tenant_id: UUID) -> Iterator[None]:
    """An event that is written now and committed when the block ends."""
    recorded, finish = Signal(), Signal()

    def long_transaction() -> None:
        with tenant_scope(tenant_id):
            record("request.created", tenant_id=tenant_id, actor=AGENT)
            recorded.set()
            finish.wait(30)
        connection.close()

    trail.act_as("door")
    thread = Thread(target=long_transaction)
    thread.start()
    assert recorded.wait(30)
    try:
        yield
    finally:
        finish.set()
        thread.join()


def test_events_are_sealed_once_in_their_order(
    trail: Trail, tenant_id: UUID, file_events: FileEvents
) -> None:
    first = file_events(3)
    assert (trail.seal(), trail.seal()) == (3, 0)
    second = file_events(2)
    assert (trail.seal(), trail.seal()) == (2, 0)
    assert sealed_ids(trail, tenant_id) == first + second
    report = trail.verify()
    assert (report.ok, report.events, report.checkpoints, report.unsealed) == (True, 5, 2, 0)


def test_checkpoints_are_chained_per_tenant(trail: Trail, tenant_id: UUID, file_events: FileEvents) -> None:
    neighbour = uuid4()
    file_events(1)
    trail.record(neighbour)
    trail.seal()
    file_events(1)
    trail.seal()
    mine = Checkpoint.objects.filter(tenant_id=tenant_id).order_by("number")
    first, second = mine
    assert [checkpoint.number for checkpoint in mine] == [1, 2]
    assert json.loads(first.text)["previous"] == GENESIS
    assert json.loads(second.text)["previous"] == digest(first.text)
    assert Checkpoint.objects.get(tenant_id=neighbour).number == 1
    assert trail.verify().tenants == 2


def test_an_event_written_early_and_committed_late_is_sealed_once(
    trail: Trail, tenant_id: UUID, file_events: FileEvents
) -> None:
    before = file_events(1)
    with event_in_an_open_transaction(trail, tenant_id):
        after = file_events(2)
        assert trail.seal() == 1
        assert sealed_ids(trail, tenant_id) == before
        report = trail.verify(tenant_id)
        assert (report.ok, report.unsealed) == (True, 2)
    assert trail.seal() == 3
    assert trail.seal() == 0
    ids = sealed_ids(trail, tenant_id)
    assert len(set(ids)) == len(ids) == 4
    assert set(before + after) < set(ids)
    assert trail.verify(tenant_id).ok


def test_one_sealer_at_a_time(trail: Trail, tenant_id: UUID, file_events: FileEvents) -> None:
    file_events(1)
    with trail.superuser() as other, other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(b"sealer")])
        assert trail.seal() == 0
    assert trail.seal() == 1


def test_a_batch_has_a_limit_and_never_splits_a_transaction(
    trail: Trail, tenant_id: UUID, file_events: FileEvents
) -> None:
    file_events(2)
    trail.act_as("door")
    with tenant_scope(tenant_id):
        for _ in range(3):
            record("request.created", tenant_id=tenant_id, actor=AGENT)
    file_events(1)
    assert trail.seal(limit=1) == 1  # the first one finds a new cluster and compares everything
    assert [trail.seal(limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert trail.verify(tenant_id).events == 6


def test_sealing_is_a_transaction_of_its_own(trail: Trail) -> None:
    trail.act_as("sweeper")
    with pytest.raises(RuntimeError), transaction.atomic():
        seal(trail.signing_key)


def test_a_retired_key_still_verifies_what_it_signed(
    trail: Trail, tenant_id: UUID, file_events: FileEvents
) -> None:
    file_events(1)
    trail.seal()
    trail.signing_key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    trail.public_keys = {
        **trail.public_keys,
        signer_id(trail.signing_key): trail.signing_key.public_key(),
    }
    file_events(1)
    trail.seal()
    report = trail.verify(tenant_id)
    assert (report.ok, report.checkpoints) == (True, 2)


@pytest.mark.parametrize("cluster_is_known", [True, False])
def test_a_trail_restored_where_transactions_count_lower_goes_on_without_a_gap(
    trail: Trail, tenant_id: UUID, file_events: FileEvents, cluster_is_known: bool
) -> None:
    sealed = file_events(3)
    trail.seal()
    unsealed = file_events(2)
    _pretend_restored(trail, cluster_is_known)
    new = file_events(2)
    assert trail.verify(tenant_id).ok, "the old horizon must accuse nobody before the sealer ran here"
    assert [trail.seal(limit=3) for _ in range(4)] == [3, 1, 0, 0]
    later = file_events(2)
    assert (trail.seal(), trail.seal()) == (2, 0)
    ids = sealed_ids(trail, tenant_id)
    assert len(ids) == len(set(ids))
    assert set(ids) == {*sealed, *unsealed, *new, *later}
    report = trail.verify(tenant_id)
    assert (report.ok, report.unsealed) == (True, 0)


def test_old_transaction_numbers_that_come_again_seal_nothing_twice(
    trail: Trail, tenant_id: UUID, file_events: FileEvents
) -> None:
    old = file_events(2)
    trail.seal()
    trail.act_as("sweeper")
    # As after a restore, when this cluster's count has just reached the numbers that old events carry.
    Horizon.objects.update(below=3)
    new = file_events(1)
    assert (trail.seal(), trail.seal()) == (1, 0)
    assert sealed_ids(trail, tenant_id) == old + new


def test_a_page_learns_which_events_are_sealed(trail: Trail, tenant_id: UUID) -> None:
    request_id = uuid4()
    trail.record(tenant_id, request_id=request_id)
    trail.seal()
    trail.record(tenant_id, kind="request.withdrawn", request_id=request_id)
    trail.record(tenant_id, request_id=uuid4())
    trail.act_as("web")
    with tenant_scope(tenant_id):
        entries = trail_of(tenant_id, request_id)
    assert [(entry.kind, entry.sealed) for entry in entries] == [
        ("request.created", True),
        ("request.withdrawn", False),
    ]


def _pretend_restored(trail: Trail, cluster_is_known: bool) -> None:
    """Old rows and horizon with numbers that this cluster, which may be another one, has not reached."""
    ahead = 1_000_000
    trail.tamper("UPDATE audit_event SET xid = (xid::text::bigint + %s)::text::xid8", ahead)
    trail.tamper(
        "UPDATE audit_checkpoint SET xids = int8range(lower(xids) + %s, upper(xids) + %s)", ahead, ahead
    )
    trail.tamper("UPDATE audit_horizon SET below = below + %s", ahead)
    if not cluster_is_known:
        trail.tamper("UPDATE audit_horizon SET cluster = 1")
