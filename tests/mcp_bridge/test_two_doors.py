"""Several processes of the door behind one address: each serves every request, of both eras."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from approvals.management.ports import any_free
from tests.conformance.proxy import running_proxy
from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.hosts import LEGACY, MODERN, RunningDoor, running_door
from tests.mcp_bridge.sending import PARENT
from tests.world import REFUND, World


@pytest.fixture
def two(environment: Environment, known: World, tmp_path: Path) -> Iterator[tuple[RunningDoor, ...]]:
    """The address that hosts are given, whose requests go to one process and the other in turn, and the two."""
    port, *own = any_free(), any_free(), any_free()
    told = environment | {"DOOR_URL": f"http://127.0.0.1:{port}/mcp"}
    with (
        running_door(told, own[0], tmp_path / "one") as one,
        running_door(told, own[1], tmp_path / "two") as other,
        running_proxy(port, own),
    ):
        yield RunningDoor(told["DOOR_URL"], one.log_file), one, other


@pytest.mark.parametrize("era", [MODERN, LEGACY])
def test_any_process_of_the_door_serves_any_request(
    era: str, two: tuple[RunningDoor, ...], token: Token
) -> None:
    both, *each = two
    trace = uuid4().hex
    with both.host(token(resource=[both.url]), era, traceparent=PARENT.format(trace)) as host:
        filed = host.ask("request_refund", **REFUND, idempotency_key="two-doors-1")
        for _ in range(3):
            again = host.ask("request_refund", **REFUND, idempotency_key="two-doors-1")
            assert again["request_id"] == filed["request_id"]
            shown = host.ask("get_request_status", request_id=filed["request_id"])
            assert shown["status"] == "pending"
        assert [one["request_id"] for one in host.ask("list_my_requests")["requests"]] == [
            filed["request_id"]
        ]
        assert host.read(f"approval://{filed['request_id']}")
    for door in each:
        assert len(door.logged("call", trace)) > 2
