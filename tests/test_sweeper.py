"""The clock: one of any number of sweepers works, and what Celery lost is found."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.utils import timezone

from approvals import verifications
from approvals.audit.models import Checkpoint
from approvals.database import tenant_scope
from approvals.management import roles
from approvals.models import ApprovalRequest, Verification
from approvals.queries import verified
from approvals.queries.verified import Verified
from tests import courses
from tests.scan import known, output
from tests.sealing import days_pass, raw
from tests.tampering import edited
from tests.views.test_trail_outside import SIGNS
from tests.world import World

ROOT = Path(__file__).resolve().parents[1]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(world: World, broker: str, tmp_path: Path) -> Iterator[Start]:
    """Start a sweeper process, with its role and its secrets."""
    seed = base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()
    environment = {
        "PATH": os.environ["PATH"],
        "COUNTERSIGN_ENV": "test",
        "COUNTERSIGN_PROCESS": "sweeper",
        "DATABASE_URL": world.processes.urls["sweeper"],
        "DATABASE_ROLE_PREFIX": settings.DATABASE_ROLE_PREFIX,
        "REDIS_URL": broker,
        "SECRET_KEY": "a-key-for-this-test",
        "AUDIT_SIGNING_KEY": seed,
    }
    known.environment("the sweeper", environment)
    log = tmp_path / "sweeper"
    log.touch()
    output.keep(log)
    started: list[subprocess.Popen[str]] = []

    def one(**more: str) -> subprocess.Popen[str]:
        with log.open("a") as errors:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "sweeper", "--every", "0.2"],
                cwd=ROOT,
                env=environment | more,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "sweeper ready\n"
        return process

    yield one
    for process in started:
        process.kill()
        said, _ = process.communicate()
        output.told("sweeper", said)


def within(seconds: float, holds: Callable[[], Any]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def overdue(world: World) -> ApprovalRequest:
    request = world.submit()
    with world.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    return request


def test_an_overdue_request_expires_and_the_trail_is_sealed(world: World, start: Start) -> None:
    request = overdue(world)
    start()
    assert within(20, lambda: world.status(request) == "expired")

    def sealed() -> bool:
        with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
            return Checkpoint.objects.filter(tenant_id=world.tenant.pk).exists()

    assert within(20, sealed)


def test_what_was_sealed_comes_outside(world: World, start: Start, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    world.submit()
    start(CHECKPOINT_TARGETS=f"file://{tmp_path}/outside")
    file = tmp_path / "outside" / f"{world.tenant.pk}.jsonl"

    def as_sealed() -> bool:
        with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
            sealed = Checkpoint.objects.filter(tenant_id=world.tenant.pk).order_by("number")
            texts = list(sealed.values_list("text", flat=True))
        kept = file.read_text().splitlines() if file.exists() else []
        return bool(texts) and [json.loads(line)["text"] for line in kept] == texts

    assert within(150, as_sealed)  # it pushes what every test before has left, tenant by tenant


def test_a_payload_whose_time_is_over_is_erased(world: World, start: Start) -> None:
    request = courses.denied(world)
    days_pass(world, request, settings.FULL_PAYLOAD_DAYS + 1)
    start()
    assert within(20, lambda: raw(world, request) == (None, None))


def test_the_next_sweeper_takes_over_from_one_that_was_killed(world: World, start: Start) -> None:
    first = start()
    second = start()
    first.kill()
    first.wait()
    request = overdue(world)
    assert within(20, lambda: world.status(request) == "expired")
    assert second.poll() is None


def test_the_next_sweeper_takes_over_from_one_that_is_frozen(world: World, start: Start) -> None:
    """Its connection stays open, and it does not let go of the lock: as with a machine that has lost its power."""
    first, before = start(), overdue(world)
    assert within(20, lambda: world.status(before) == "expired")  # so it leads
    second = start()
    first.send_signal(signal.SIGSTOP)
    request = overdue(world)
    assert within(90, lambda: world.status(request) == "expired")
    first.send_signal(signal.SIGCONT)
    assert (first.poll(), second.poll()) == (None, None)


def test_it_goes_on_when_the_database_has_ended_its_sessions(world: World, start: Start) -> None:
    """As a restart of the server does: with the connection its lock is gone, and it asks for both again."""
    first, second = start(), start()
    role = f"{settings.DATABASE_ROLE_PREFIX}_sweeper"
    with world.processes.cursor("admin") as shell:
        shell.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role])
    request = overdue(world)
    assert within(20, lambda: world.status(request) == "expired")
    assert (first.poll(), second.poll()) == (None, None)


def test_it_stops_when_told(start: Start) -> None:
    process = start()
    process.terminate()
    assert process.wait(timeout=20) == 0


# --- verifying, because an auditor asks -------------------------------------------------------------------------


def asked(world: World) -> None:
    with world.processes.acting_as("web"):
        verifications.ask(by=world.reviewer("ada"))


def found(world: World) -> Verified:
    with world.processes.acting_as("web"):
        return verified(world.reviewer("ada"))[0]


def keys(of: Ed25519PrivateKey) -> dict[str, str]:
    """What a sweeper signs and verifies with; what other tests have sealed is signed with theirs."""
    seed, public = of.private_bytes_raw(), of.public_key().public_bytes_raw()
    return {
        "AUDIT_SIGNING_KEY": base64.b64encode(seed).decode(),
        "AUDIT_PUBLIC_KEYS": base64.b64encode(public).decode(),
    }


def test_what_an_auditor_asks_for_is_verified_and_found_broken_once_it_is(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifications, "AGAIN", timedelta(0))
    request = world.submit()
    start(**keys(SIGNS))
    asked(world)
    assert within(30, lambda: found(world).state == "intact")
    assert found(world).checkpoints >= 1
    with edited(world, request, "text = replace(text, 'pay_10001', 'pay_10002')"):
        asked(world)
        assert within(30, lambda: found(world).state == "broken")
    assert "its text was edited: it is not the text that was sealed." in found(world).finding


def test_a_verification_whose_sweeper_is_killed_is_interrupted_by_the_next_one(
    world: World, start: Start
) -> None:
    world.submit()
    asked(world)
    sweeper = f'"{world.processes.prefix}_sweeper"'
    with world.processes.cursor("admin") as shell:
        shell.execute(f"ALTER ROLE {sweeper} SET lock_timeout = 0")  # however long this machine takes
    with world.processes.cursor("admin") as shell:
        # Its walk waits for this, and its rounds do not: they seal, and say that it is alive.
        shell.execute("LOCK TABLE audit_personal IN ACCESS EXCLUSIVE MODE")
        walking = start(**keys(SIGNS))
        assert within(30, lambda: found(world).state == "running")
        first = beat(world)
        assert within(30, lambda: beat(world) > first)
        walking.kill()
        walking.wait(timeout=20)
    with world.processes.cursor("admin") as shell:
        shell.execute(f"ALTER ROLE {sweeper} SET lock_timeout = {roles.LIMITS['sweeper']['lock_timeout']}")
        late = "UPDATE verification SET beat_at = now() - interval '1 minute' WHERE tenant_id = %s"
        shell.execute(late, (world.tenant.pk,))
    assert found(world).state == "running" and found(world).is_quiet
    start(**keys(SIGNS))
    assert within(30, lambda: found(world).state == "interrupted")
    assert found(world).finding == "Whoever walked the trail was killed, or lost."
    assert world.events()[-1] == "trail.verified"


def beat(world: World) -> datetime:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        at = Verification.objects.get().beat_at
    assert at is not None
    return at
