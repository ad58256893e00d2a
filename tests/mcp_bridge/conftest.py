"""One door process for all tests, acting with the door's database role; tokens are rows."""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from approvals.identity.models import AccessToken, Agent
from approvals.identity.requester import Requester
from approvals.management.ports import any_free
from tests.mcp_bridge.hosts import LEGACY, MODERN, Host, RunningDoor, over_stdio, running_door
from tests.shop.running import RunningShop
from tests.world import SECRET, Processes, World

Environment = dict[str, str]
Token = Callable[..., str]


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the door process looks for its tenants' read credentials."""
    return tmp_path_factory.mktemp("door-credentials")


@pytest.fixture(scope="session")
def environment(
    processes: Processes, broker: str, running_shop_for_all: RunningShop, credentials: Path
) -> Environment:
    """What the door is told, and no more."""
    return {
        "COUNTERSIGN_ENV": "test",
        "COUNTERSIGN_PROCESS": "door",
        "PAYLOAD_KEYS": settings.PAYLOAD_KEYS,
        "DATABASE_URL": processes.urls["door"],
        "DATABASE_ROLE_PREFIX": settings.DATABASE_ROLE_PREFIX,
        "SECRET_KEY": "demo-door",
        "REDIS_URL": broker,
        "PUBLIC_URL": f"http://localhost:{any_free()}",
        "DOOR_URL": f"http://127.0.0.1:{any_free()}/mcp",
        "BACKING_URL": running_shop_for_all.url,
        "BACKING_READ_CREDENTIALS": str(credentials),
    }


@pytest.fixture(scope="session")
def door_process(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    port = int(environment["DOOR_URL"].rpartition(":")[2].removesuffix("/mcp"))
    with running_door(environment, port, tmp_path_factory.mktemp("door") / "log") as door:
        yield door


@pytest.fixture
def known(world: World, credentials: Path) -> World:
    """The world, with its tenants' credentials where the door's processes find them."""
    for source in Path(settings.BACKING_READ_CREDENTIALS).iterdir():
        (credentials / source.name).write_text(source.read_text())
    return world


@pytest.fixture
def door(known: World, door_process: RunningDoor) -> RunningDoor:
    return door_process


@pytest.fixture
def token(known: World, environment: Environment) -> Token:
    """Makes an access token of an agent: of this world's by default, valid, for this door, with both scopes."""

    def make(of: Requester | None = None, **changes: Any) -> str:
        raw, requester = secrets.token_urlsafe(24), of or known.agent
        with known.processes.acting_as("migrator"):
            agent = Agent.objects.get(pk=requester.id)
            row = {
                "token": "",
                "token_checksum": hashlib.sha256(raw.encode()).hexdigest(),
                "expires": timezone.now() + timedelta(minutes=15),
                "scope": "mcp:read mcp:request",
                "resource": [environment["DOOR_URL"]],
                "application_id": agent.application_id,
                "agent": agent,
            }
            AccessToken.objects.create(**(row | changes))
        return raw

    return make


@pytest.fixture(params=[MODERN, LEGACY])
def host(request: pytest.FixtureRequest, door: RunningDoor, token: Token) -> Iterator[Host]:
    """A host over HTTP, of both protocol eras."""
    with door.host(token(), request.param) as connected:
        yield connected


@pytest.fixture
def stdio_environment(known: World, environment: Environment) -> Environment:
    return environment | {
        "COUNTERSIGN_CLIENT_ID": known.agent.client_id,
        "COUNTERSIGN_CLIENT_SECRET": SECRET,
    }


@pytest.fixture(params=[MODERN, LEGACY])
def stdio_host(
    request: pytest.FixtureRequest, stdio_environment: Environment, tmp_path: Path
) -> Iterator[Host]:
    with over_stdio(stdio_environment, tmp_path / "stderr", request.param) as connected:
        yield connected
