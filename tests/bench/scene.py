"""Everything that is measured, running: PostgreSQL that waits for its disk, Valkey, the shop, and three servers."""

import hashlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import httpx
import psycopg
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from approvals.celery import app
from approvals.identity.models import AccessToken, Agent
from approvals.management import embedded, roles
from approvals.management.plan import SERVED_WITH
from approvals.management.ports import any_free
from tests.bench.ceiling import TABLE
from tests.shop.running import running
from tests.world import Processes, World, credentials_folder, payload_keys

ROOT = Path(__file__).resolve().parents[2]
# High enough never to be reached, so that they are counted and asked about all the same.
LIMITS = {
    f"LIMIT_{whose}_{what}": "1000000000"
    for whose in ("AGENT", "TENANT", "TOOL")
    for what in ("CALLS_A_MINUTE", "PENDING", "REQUESTS_A_DAY")
}


@dataclass(frozen=True)
class Running:
    url: str
    pid: int


@dataclass(frozen=True)
class Scene:
    bare: Running
    sdk: Running
    door: Running
    token: str
    world: World


@contextmanager
def scene() -> Iterator[Scene]:
    with ExitStack() as held:
        data = held.enter_context(embedded.scratch())
        database = held.enter_context(embedded.postgres(data))
        broker = held.enter_context(embedded.valkey(data))
        shop = held.enter_context(running(data / "the-shop"))
        processes = _processes(database.url, data)
        with processes.acting_as("migrator"):
            world = World.make(processes, shop)
        with psycopg.connect(processes.urls["migrator"]) as owner:
            owner.execute(TABLE)
        (data / "credentials").mkdir()
        folder = credentials_folder(data / "credentials", {world.tenant.slug: "acme"})
        settings.BACKING_URL, settings.BACKING_READ_CREDENTIALS = shop.url, str(folder / "read")
        settings.REDIS_URL = settings.CELERY_BROKER_URL = broker.url
        app.conf.update(broker_url=broker.url)
        door_url = f"http://127.0.0.1:{any_free()}/mcp"
        environment = LIMITS | {
            "COUNTERSIGN_ENV": "test",
            "COUNTERSIGN_PROCESS": "door",
            "PAYLOAD_KEYS": settings.PAYLOAD_KEYS,
            "DATABASE_URL": processes.urls["door"],
            "DATABASE_ROLE_PREFIX": settings.DATABASE_ROLE_PREFIX,
            "SECRET_KEY": "demo-bench",
            "REDIS_URL": broker.url,
            "PUBLIC_URL": "http://localhost:1",
            "DOOR_URL": door_url,
            "BACKING_URL": shop.url,
            "BACKING_READ_CREDENTIALS": str(folder / "read"),
        }
        door = held.enter_context(
            _serving("approvals.asgi:application", door_url, environment, data / "door")
        )
        ceiling = {"DATABASE_URL": processes.urls["migrator"]}
        bare, sdk = (
            held.enter_context(
                _serving(
                    f"tests.bench.ceiling:{name}", f"http://127.0.0.1:{any_free()}/mcp", ceiling, data / name
                )
            )
            for name in ("bare", "sdk")
        )
        yield Scene(bare, sdk, door, _token(world, door_url), world)


def _processes(admin_url: str, data: Path) -> Processes:
    prefix = settings.DATABASE_ROLE_PREFIX
    settings.PAYLOAD_KEYS = str(payload_keys(data / "payload-keys"))
    passwords = {process: f"demo-{uuid4().hex}" for process in roles.PROCESSES}
    urls = roles.provision(admin_url, database=prefix, prefix=prefix, passwords=passwords)
    acting = Processes(urls, admin_url, database=prefix, prefix=prefix)
    acting.allow_connections("migrator", 30)  # the two ceilings come as it, each with eight connections
    acting.connect("migrator")
    call_command("migrate", verbosity=0)
    return acting


def _token(world: World, door_url: str) -> str:
    raw = secrets.token_urlsafe(24)
    with world.processes.acting_as("migrator"):
        agent = Agent.objects.get(pk=world.agent.id)
        AccessToken.objects.create(
            token="",
            token_checksum=hashlib.sha256(raw.encode()).hexdigest(),
            expires=timezone.now() + timedelta(hours=1),
            scope="mcp:read mcp:request",
            resource=[door_url],
            application_id=agent.application_id,
            agent=agent,
        )
    return raw


@contextmanager
def _serving(app: str, url: str, environment: Mapping[str, str], log_file: Path) -> Iterator[Running]:
    """One uvicorn worker with uvloop and httptools, as the door is run, from when it answers."""
    port = url.rpartition(":")[2].partition("/")[0]
    factory = () if app.endswith(":application") else ("--factory",)
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        app,
        *factory,
        "--port",
        port,
        "--no-access-log",
        *SERVED_WITH,
    ]
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log_file.open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=inherited | dict(environment), stdout=log, stderr=log
        )
    try:
        deadline = monotonic() + 60
        while not _answers(url):
            if process.poll() is not None or monotonic() > deadline:
                raise SystemExit(log_file.read_text()[-3000:])
            sleep(0.1)
        yield Running(url, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(url: str) -> bool:
    try:
        httpx.post(url, trust_env=False, timeout=2)
    except httpx.TransportError:
        return False
    return True
