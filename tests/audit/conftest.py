"""Trails to falsify, each in a copy of a migrated database: what is broken stays so."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoDbBlocker

from approvals.audit.targets import Target
from approvals.management import roles
from tests.audit.keeping import target
from tests.audit.trails import Trail, connect_as, superuser
from tests.world import Processes


@pytest.fixture(scope="session")
def template(processes: Processes, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """The name of a database that has the audit tables and no rows."""
    prefix = settings.DATABASE_ROLE_PREFIX
    name = f"{prefix}_trail"
    passwords = {process: unquote(urlsplit(url).password or "") for process, url in processes.urls.items()}
    roles.provision(processes.admin_url, database=name, prefix=prefix, passwords=passwords)
    with _acting(django_db_blocker):
        connect_as(processes.urls["migrator"], name)
        call_command("migrate", "audit", verbosity=0)
    yield name
    with superuser(processes) as admin:
        admin.execute(f"DROP DATABASE {name}")


@contextmanager
def _acting(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    before = dict(connection.settings_dict)
    with django_db_blocker.unblock():
        yield
        connection.close()
    connection.settings_dict.update(before)


@contextmanager
def _copy(processes: Processes, template: str) -> Iterator[str]:
    name = f"{template}_{uuid4().hex[:8]}"
    with superuser(processes) as admin:
        admin.execute(
            f"CREATE DATABASE {name} TEMPLATE {template} OWNER {settings.DATABASE_ROLE_PREFIX}_migrator"
        )
        yield name
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def signing_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def trail(
    processes: Processes, template: str, signing_key: Ed25519PrivateKey, django_db_blocker: DjangoDbBlocker
) -> Iterator[Trail]:
    """A trail of this test alone."""
    with _copy(processes, template) as name, _acting(django_db_blocker):
        yield Trail(processes, name, signing_key)


@pytest.fixture(scope="session")
def common_database(processes: Processes, template: str) -> Iterator[str]:
    with _copy(processes, template) as name:
        yield name


@pytest.fixture
def common_trail(
    processes: Processes,
    common_database: str,
    signing_key: Ed25519PrivateKey,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Trail]:
    """For tests that falsify nothing and look at their own tenant only: quicker than a database each."""
    with _acting(django_db_blocker):
        yield Trail(processes, common_database, signing_key)


@pytest.fixture
def tenant_id() -> UUID:
    return uuid4()


@pytest.fixture
def file_events(trail: Trail, tenant_id: UUID) -> Callable[[int], list[UUID]]:
    """`file_events(3)`: three events of the tenant, each in a transaction of its own."""
    return lambda count: [trail.record(tenant_id, data={"place": place}) for place in range(count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that checkpoints are pushed to."""
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept"


@pytest.fixture
def at_folder(folder: Path) -> Target:
    """The same, as CHECKPOINT_TARGETS names it."""
    return target(f"file://{folder}")
