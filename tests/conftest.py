"""Real parts for every test: PostgreSQL with one role a process, a Redis-protocol server, and the sandbox shop.

Nothing is flushed between tests (the trail refuses to be): each test works in a tenant of its own.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from approvals.management.shell import forget_settings

# Before Django reads its settings, and without those that `make` read in somebody's `.env`.
forget_settings(os.environ)
# The prefix keeps two runs apart that share a server named by DATABASE_URL.
os.environ.update(
    COUNTERSIGN_ENV="test",
    COUNTERSIGN_PROCESS="supervisor",
    DATABASE_ROLE_PREFIX=f"countersign_test_{uuid4().hex[:8]}",
    DJANGO_SETTINGS_MODULE="approvals.settings",
)

import django

django.setup()  # models need it, and the imports below need models

from django.contrib.auth.hashers import PBKDF2PasswordHasher

# Hashing is slow on purpose, for whoever guesses; nobody guesses here.
PBKDF2PasswordHasher.iterations = 1_000

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management import call_command
from opentelemetry.context import Context, attach
from pytest_django import DjangoDbBlocker
from structlog.contextvars import clear_contextvars

from approvals.celery import app
from approvals.management import embedded, roles
from tests.scan import clients, issued
from tests.scan.known import secret
from tests.scan.scratch import scratch
from tests.shop.running import RunningShop, running
from tests.world import SECRET, Processes, World, credentials_folder, payload_keys

# Reads, at the end of a run, what all its processes have written.
pytest_plugins = ["tests.scan.plugin"]


clients.watch()


@pytest.fixture(autouse=True)
def no_trace_yet() -> None:
    """A test may leave a span open, as a worker that dies does; the next one is not part of that trace."""
    attach(Context())
    clear_contextvars()


@pytest.fixture(scope="session")
def data() -> Iterator[Path]:
    with scratch() as folder:
        yield folder


@pytest.fixture(scope="session")
def database_server(data: Path) -> Iterator[embedded.Server]:
    """A server; `url` is its administrator's."""
    with embedded.postgres(data, durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def processes(
    database_server: embedded.Server, data: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[Processes]:
    """A migrated database, and how to act in it as each process: with its role and its secrets."""
    prefix = settings.DATABASE_ROLE_PREFIX
    passwords = {process: f"demo-{uuid4().hex}" for process in roles.PROCESSES}
    for process, password in passwords.items():
        secret(f"the database password of the {process}", password)
    secret("the secret of the agents of tests", SECRET)
    settings.PAYLOAD_KEYS = str(payload_keys(data / "payload-keys"))
    urls = roles.provision(database_server.url, database=prefix, prefix=prefix, passwords=passwords)
    acting = Processes(urls, database_server.url, database=prefix, prefix=prefix)
    with django_db_blocker.unblock():
        acting.connect("migrator")
        call_command("migrate", verbosity=0)
        issued.remember(acting.inside_url)
        yield acting
        acting.disconnect()
        issued.collect(acting.inside_url)
    roles.drop(database_server.url, database=prefix, prefix=prefix)


@pytest.fixture(scope="session")
def broker(data: Path) -> Iterator[str]:
    with embedded.valkey(data) as server:
        settings.REDIS_URL = settings.CELERY_BROKER_URL = server.url
        app.conf.update(broker_url=server.url)
        yield server.url


@pytest.fixture(scope="session")
def running_shop_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    with running(tmp_path_factory.mktemp("the-shop")) as shop:
        yield shop


@pytest.fixture
def the_shop(running_shop_for_all: RunningShop) -> RunningShop:
    """The company's API, as if just installed; its ledger is the truth about what happened."""
    running_shop_for_all.control("POST", "/control/reset").raise_for_status()
    return running_shop_for_all


@pytest.fixture
def world(
    processes: Processes, broker: str, the_shop: RunningShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A tenant of its own with people, an agent, the demo policy, and the shop behind it."""
    monkeypatch.setattr(settings, "BACKING_URL", the_shop.url)
    monkeypatch.setattr(settings, "ENCRYPTION_KEYS", [Fernet.generate_key().decode()])
    with processes.acting_as("migrator"):
        made = World.make(processes, the_shop)
    folder = credentials_folder(tmp_path, {made.tenant.slug: "acme", made.other.slug: "globex"})
    monkeypatch.setattr(settings, "BACKING_READ_CREDENTIALS", str(folder / "read"))
    processes.write_credentials = str(folder / "write")
    yield made
    processes.disconnect()
