"""`manage.py verify_audit` says in one line how the trail is, and its exit code says it to programs."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from unittest.mock import ANY
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import override_settings

from approvals.audit.keys import public_keys, signer_id, signing_key
from approvals.audit.seal import LOCK
from approvals.database import tenant_scope
from approvals.management.commands import verify_audit
from tests.audit.trails import Trail, insert_event

FileEvents = Callable[[int], list[UUID]]


@pytest.fixture(autouse=True)
def no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The databases of these tests have the trail's tables only. For requests: tests/attacks/test_past_the_trail.py."""
    monkeypatch.setattr(verify_audit, "unfounded", lambda _: None)


@pytest.fixture
def sealed(trail: Trail, file_events: FileEvents) -> Iterator[list[UUID]]:
    """Two sealed events and an unsealed one, and the settings to verify them."""
    events = file_events(2)
    trail.seal()
    events += file_events(1)
    public = trail.signing_key.public_key().public_bytes_raw()
    with override_settings(AUDIT_PUBLIC_KEYS=[base64.b64encode(public).decode()]):
        yield events


def run(trail: Trail, *arguments: str) -> tuple[str, str, int]:
    trail.act_as("sweeper")
    out, err = StringIO(), StringIO()
    try:
        call_command("verify_audit", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return out.getvalue(), err.getvalue(), int(end.code or 0)
    return out.getvalue(), err.getvalue(), 0


def test_an_intact_trail_ends_well(trail: Trail, sealed: list[UUID]) -> None:
    assert run(trail) == ("trail intact: 3 events, 1 checkpoints, 1 not yet sealed\n", "", 0)


def test_a_broken_trail_names_its_row_on_stderr(trail: Trail, sealed: list[UUID]) -> None:
    trail.tamper("DELETE FROM audit_event WHERE id = %s", sealed[1])
    out, err, code = run(trail)
    assert (out, code) == ("", 1)
    assert err.startswith(f"BROKEN: event {sealed[1]} of tenant ")


def test_a_sealer_at_rest_is_told(trail: Trail, tenant_id: UUID, sealed: list[UUID]) -> None:
    trail.act_as("door")
    with tenant_scope(tenant_id):
        insert_event(tenant_id, at=datetime.now(UTC) - timedelta(seconds=61))
    with trail.superuser() as anybody, anybody.transaction():
        anybody.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        assert trail.seal() == 0
        out, err, code = run(trail)
    assert (out, code) == ("", 1)
    assert err.startswith("the sealer does not work: 2 events are not sealed, the oldest since ")
    assert json.loads(run(trail, "--json")[0])["ok"] is False
    trail.seal()
    assert run(trail) == ("trail intact: 4 events, 2 checkpoints, 0 not yet sealed\n", "", 0)


def test_the_report_as_json(trail: Trail, tenant_id: UUID, sealed: list[UUID]) -> None:
    out, _, code = run(trail, "--json")
    assert code == 0
    assert json.loads(out) == {
        "ok": True, "tenants": 1, "events": 3, "unsealed": 1, "oldest_unsealed": ANY, "checkpoints": 1,
        "outside": 0, "broken": None, "unfounded": None,
    }  # fmt: skip
    trail.tamper("DELETE FROM audit_event WHERE id = %s", sealed[0])
    out, err, code = run(trail, "--json", "--tenant", str(tenant_id))
    assert (code, err.startswith("BROKEN: ")) == (1, True)
    assert json.loads(out)["broken"]["event_id"] == str(sealed[0])


def test_one_tenant_is_verified_without_the_others(trail: Trail, tenant_id: UUID, sealed: list[UUID]) -> None:
    neighbour = uuid4()
    trail.record(neighbour)
    trail.tamper("DELETE FROM audit_event WHERE id = %s", sealed[0])
    assert run(trail, "--tenant", str(neighbour))[0].startswith("trail intact: 1 events")
    assert run(trail, "--tenant", str(tenant_id))[2] == 1


def test_a_tenant_without_a_trail_is_not_called_intact(trail: Trail, sealed: list[UUID]) -> None:
    with pytest.raises(CommandError, match="no trail"):
        run(trail, "--tenant", str(uuid4()))


def test_keys_come_from_the_settings() -> None:
    seed, retired = bytes(range(32)), bytes(range(1, 33))
    with override_settings(AUDIT_SIGNING_KEY=base64.b64encode(seed).decode()):
        key = signing_key()
    raws = [key.public_key().public_bytes_raw(), retired]
    with override_settings(AUDIT_PUBLIC_KEYS=[base64.b64encode(raw).decode() for raw in raws]):
        assert next(iter(public_keys())) == signer_id(key)
        assert len(public_keys()) == 2


@pytest.mark.parametrize("encoded", ["", "not base64", base64.b64encode(b"short").decode()])
def test_a_key_that_is_none_is_refused_by_name(encoded: str) -> None:
    with (
        override_settings(AUDIT_SIGNING_KEY=encoded),
        pytest.raises(ImproperlyConfigured, match="AUDIT_SIGNING_KEY"),
    ):
        signing_key()
    with (
        override_settings(AUDIT_PUBLIC_KEYS=[encoded]),
        pytest.raises(ImproperlyConfigured, match="AUDIT_PUBLIC_KEYS"),
    ):
        public_keys()


def test_verifying_without_public_keys_is_refused() -> None:
    with (
        override_settings(AUDIT_PUBLIC_KEYS=[]),
        pytest.raises(ImproperlyConfigured, match="AUDIT_PUBLIC_KEYS"),
    ):
        public_keys()
