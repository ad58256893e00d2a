"""How long it takes to prove a trail, online and from an export, and what recording adds to filing a request.

`python -m tests.bench.trail` (or `make bench-trail`) measures both and prints, as its last line, one JSON object.
"""

import os
from uuid import uuid4

# Before Django reads its settings.
os.environ.update(
    COUNTERSIGN_ENV="test",
    COUNTERSIGN_PROCESS="supervisor",
    DATABASE_ROLE_PREFIX=os.environ.get("DATABASE_ROLE_PREFIX", f"countersign_bench_{uuid4().hex[:8]}"),
    DJANGO_SETTINGS_MODULE="approvals.settings",
)

import django

django.setup()

import argparse
import base64
import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from unittest.mock import patch
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from approvals import submit
from approvals.audit.export import export
from approvals.audit.format import SALT_BYTES, commitment, event_text, leaf
from approvals.audit.keys import signer_id
from approvals.audit.models import Event, Personal
from approvals.audit.seal import seal
from approvals.audit.verify import verify
from approvals.database import tenant_scope
from tests.bench.backtest import company
from tests.world import REFUND, TRACE, World

KEY = Ed25519PrivateKey.generate()
PROGRAM = Path(__file__).resolve().parents[2] / "tools" / "verify_export.py"
BATCH = 1_000  # a transaction's, below what a statement of the door may take
REASON = str(REFUND["reason"])
AIM_SECONDS, AIM_ADDED = 20.0, 0.25


@dataclass(frozen=True)
class Proved:
    """Seconds, for one tenant's trail of `events`, each with a personal value."""

    events: int
    checkpoints: int
    sealing: float
    online: float
    exporting: float
    offline: float


@dataclass(frozen=True)
class Recorded:
    """The middle of as many filings with their event as without it, taken in turn; milliseconds."""

    filings: int
    with_event: float
    without: float

    @property
    def added(self) -> float:
        """What the event adds, as a share of a filing without it."""
        return self.with_event / self.without - 1


def fill(tenant_id: UUID, like: Event, count: int) -> None:
    """That many events like a real one, each with its personal value, as the door writes them."""
    data, now = json.loads(like.text)["data"], datetime.now(UTC)
    for start in range(0, count, BATCH):
        events, values = [], []
        for _ in range(min(BATCH, count - start)):
            event_id, salt = uuid4(), secrets.token_bytes(SALT_BYTES)
            text = event_text(
                event_id=event_id,
                tenant_id=tenant_id,
                at=now,
                kind=like.kind,
                actor_kind=like.actor_kind,
                actor_id=like.actor_id,
                request_id=None,
                trace_id=TRACE,
                data=data,
                commitments={"reason": commitment(salt, REASON)},
            )
            about = {"kind": like.kind, "actor_kind": like.actor_kind, "actor_id": like.actor_id}
            kept = {"trace_id": TRACE, "at": now, "text": text, "leaf": leaf(text)}
            events.append(Event(id=event_id, tenant_id=tenant_id, **about, **kept))
            values.append(
                Personal(event_id=event_id, tenant_id=tenant_id, field="reason", salt=salt, value=REASON)
            )
        with tenant_scope(tenant_id):
            Event.objects.bulk_create(events)
            Personal.objects.bulk_create(values)


def took(do: Callable[[], object]) -> float:
    began = perf_counter()
    do()
    return perf_counter() - began


def prove(world: World, events: int) -> Proved:
    world.submit()
    tenant_id = world.tenant.pk
    with world.processes.acting_as("web"), tenant_scope(tenant_id):
        like = Event.objects.get(tenant_id=tenant_id, kind="request.created")
    say(f"writing {events:,} events ...")
    with world.processes.acting_as("door"):
        fill(tenant_id, like, events - events_of(world))
    with world.processes.acting_as("sweeper"), tempfile.TemporaryDirectory() as folder:
        say("sealing, verifying, exporting ...")
        sealing = took(seal_all)
        reports = []
        online = took(lambda: reports.append(verify({signer_id(KEY): KEY.public_key()}, tenant_id)))
        file = Path(folder) / "trail.jsonl"
        exporting = took(lambda: write(file, tenant_id))
        offline = took(lambda: check(file))
    (report,) = reports
    if not report.ok or report.events != events or report.unsealed:
        raise SystemExit(f"This was no fair measurement: {report}")
    return Proved(events, report.checkpoints, sealing, online, exporting, offline)


def events_of(world: World) -> int:
    with world.processes.acting_as("web"), tenant_scope(world.tenant.pk):
        return Event.objects.filter(tenant_id=world.tenant.pk).count()


def seal_all() -> None:
    while seal(KEY):
        pass


def write(file: Path, tenant_id: UUID) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.writelines(f"{line}\n" for line in export(tenant_id, personal=True))


def check(file: Path) -> None:
    key = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
    subprocess.run([sys.executable, "-I", str(PROGRAM), str(file), "--key", key], check=True, stdout=2)


def measure_recording(world: World, filings: int) -> Recorded:
    """In turn, so that whatever else the machine does falls on both alike."""
    for name in dir(settings):
        if name.startswith("LIMIT_"):
            setattr(settings, name, 0)
    for _ in range(20):
        world.submit()
    say(f"{filings} filings with their event, and {filings} without ...")
    with_event, without = [], []
    with world.processes.acting_as("door"):

        def file() -> None:
            submit.submit("refund_payment", REFUND, by=world.agent, trace_id=TRACE)

        for _ in range(filings):
            with_event.append(took(file))
            with patch.object(submit, "record", lambda *_, **__: None):
                without.append(took(file))
    return Recorded(filings, median(with_event) * 1000, median(without) * 1000)


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def table(proved: Proved, recorded: Recorded) -> str:
    aim = f"aim: under {AIM_SECONDS:.0f}"
    return "\n".join(
        (
            f"{proved.events:,} events, {proved.checkpoints} checkpoints{'seconds':>14}",
            f"{'sealing':34}{proved.sealing:>8.1f}",
            f"{'verifying online':34}{proved.online:>8.1f}  ({aim})",
            f"{'exporting':34}{proved.exporting:>8.1f}",
            f"{'verifying the export':34}{proved.offline:>8.1f}  ({aim})",
            f"a filing, the middle of {recorded.filings}{'ms':>15}",
            f"{'with its event':34}{recorded.with_event:>8.2f}",
            f"{'without':34}{recorded.without:>8.2f}",
            f"{'what the event adds':34}{recorded.added:>8.2f}  (aim: under {AIM_ADDED})",
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--filings", type=int, default=300)
    options = parser.parse_args()
    with company() as world:
        proved = prove(world, options.events)
        recorded = measure_recording(world, options.filings)
    print(table(proved, recorded))
    rounded = {name: round(value, 2) for name, value in (asdict(proved) | {"added": recorded.added}).items()}
    print(json.dumps({"trail": rounded}))


if __name__ == "__main__":
    main()
