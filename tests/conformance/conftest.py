"""The real door and the real pages on the embedded servers, as the conformance suite meets them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from approvals.management.ports import any_free
from tests.conformance.proxy import running_proxy

# What the suite meets is what every other test of the door uses.
from tests.mcp_bridge.conftest import (  # noqa: F401
    Environment,
    Token,
    credentials,
    environment,
    known,
    token,
)
from tests.mcp_bridge.hosts import running_door
from tests.world import Processes, World


@pytest.fixture
def door_url(environment: Environment, token: Token, tmp_path: Path) -> Iterator[str]:  # noqa: F811
    """The door's URL, behind the proxy that adds a token. The suite wants the name `localhost`."""
    proxied, own = any_free(), any_free()
    url = f"http://localhost:{proxied}/mcp"
    served = running_door(environment | {"DOOR_URL": url}, own, tmp_path / "door.log")
    with served, running_proxy(proxied, [own], token(resource=[url])):
        yield url


@pytest.fixture
def issuer(
    environment: Environment,  # noqa: F811
    processes: Processes,
    known: World,  # noqa: F811
    tmp_path: Path,
) -> Iterator[str]:
    """The URL of the pages, which are the authorization server."""
    url = f"http://localhost:{(port := any_free())}"
    web = environment | {
        "COUNTERSIGN_PROCESS": "web",
        "DATABASE_URL": processes.urls["web"],
        "SECRET_KEY": "demo-web",
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "PUBLIC_URL": url,
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
    }
    with running_door(web, port, tmp_path / "web.log"):
        yield url
