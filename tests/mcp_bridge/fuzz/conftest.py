"""A door of its own, without limits, that a fuzzed agent knocks at."""

import os
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, settings

from approvals.database import tenant_scope
from approvals.management.ports import any_free
from approvals.models import ApprovalRequest, Outbox
from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.fuzz.judged import judged
from tests.mcp_bridge.fuzz.material import encoded, headers, message
from tests.mcp_bridge.fuzz.wire import Answer, Header, exchange, request
from tests.mcp_bridge.hosts import MODERN, RunningDoor, running_door
from tests.world import World

# The same examples every time, few enough for each run of the tests; with a number set, other ones and that many.
ASKED_FOR = os.environ.get("FUZZ_EXAMPLES")
settings.register_profile(
    "fuzz",
    max_examples=int(ASKED_FOR or "100"),
    derandomize=ASKED_FOR is None,
    database=None,
    deadline=None,
    # One door and one world for all examples is what is meant.
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
FUZZ = settings.get_profile("fuzz")
NO_LIMITS = {
    f"LIMIT_{whose}_{what}": "0"
    for whose in ("AGENT", "TOOL", "TENANT")
    for what in ("CALLS_A_MINUTE", "PENDING", "REQUESTS_A_DAY")
} | {"LIMIT_SAME_REFUSALS": "0"}


class Knocking:
    """Sends to the door as one agent. `reads` is the token that can read, `asks` the one that can also file."""

    def __init__(self, door: RunningDoor, reads: str, asks: str) -> None:
        self.url = door.url
        self.reads, self.asks = reads, asks
        self.host = (b"Host", door.url.split("/")[2].encode())

    def send(self, sent: list[Header], body: bytes) -> Answer | None:
        names = {name.lower() for name, _ in sent}
        return exchange(self.url, request(sent if b"host" in names else [self.host, *sent], body))

    def tell(self, sent: Any, era: str = MODERN, *, asks: bool = False) -> Any:
        """The judged answer to a message, under the headers that fit it."""
        body = encoded(sent)
        return self.tell_bytes(body, headers(self.asks if asks else self.reads, sent, era))

    def tell_bytes(self, body: bytes, sent: list[Header]) -> Any:
        return judged(self.send(sent, body), sent=body + b"".join(value for _, value in sent))


@pytest.fixture(scope="session")
def fuzz_environment(environment: Environment) -> Environment:
    return environment | NO_LIMITS | {"DOOR_URL": f"http://127.0.0.1:{any_free()}/mcp"}


@pytest.fixture(scope="session")
def fuzzed_process(
    fuzz_environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDoor]:
    port = int(fuzz_environment["DOOR_URL"].rpartition(":")[2].removesuffix("/mcp"))
    with running_door(fuzz_environment, port, tmp_path_factory.mktemp("fuzzed") / "log") as door:
        yield door


@pytest.fixture
def knocking(
    fuzzed_process: RunningDoor, known: World, token: Token, fuzz_environment: Environment
) -> Iterator[Knocking]:
    """After whatever a test sent, the same process still answers a good request, and saw nothing unforeseen."""
    here = [fuzz_environment["DOOR_URL"]]
    reads = token(scope="mcp:read", resource=here)
    knocking = Knocking(fuzzed_process, reads, token(resource=here))
    seen = len(errors(fuzzed_process))
    yield knocking
    good = message("tools/call", {"name": "lookup_order", "arguments": {"order_id": "ord_10001"}})
    assert knocking.tell(good)["result"]["structuredContent"]["order_id"] == "ord_10001"
    assert errors(fuzzed_process)[seen:] == []


def errors(door: RunningDoor) -> list[str]:
    """What the log holds that nobody foresaw: its errors, and lines that are none of its own."""
    lines = door.log_file.read_text().splitlines()
    return [line for line in lines if '"level": "error"' in line or line.startswith("Traceback")]


Filed: TypeAlias = Callable[[], tuple[int, int]]


@pytest.fixture
def filed(known: World) -> Filed:
    """How many requests there are, and how many messages wait to leave."""

    def count() -> tuple[int, int]:
        with known.processes.acting_as("migrator"), tenant_scope(known.tenant.pk):
            mine = {"tenant_id": known.tenant.pk}
            return ApprovalRequest.objects.filter(**mine).count(), Outbox.objects.filter(**mine).count()

    return count
