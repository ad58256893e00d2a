"""CONTRIBUTING.md shows a whole action. This runs it, as it stands there."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client

from approvals import actions
from mcp_bridge.server import tools
from tests.world import World

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def fifth(tmp_path: Path) -> Iterator[actions.AnyAction]:
    """The action of CONTRIBUTING.md, from one file."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    (source,) = [block for block in blocks if "ACTION = " in block]
    file = tmp_path / "close_account.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location("close_account", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    actions.register(module.ACTION)
    yield module.ACTION
    del actions._ACTIONS[module.ACTION.name]


def test_one_file_makes_the_tool_appear(fifth: actions.AnyAction) -> None:
    (tool,) = [tool for tool in tools() if tool.name == "request_account_closure"]
    assert {"customer_id", "reason", "idempotency_key"} <= set(tool.parameters["properties"])


def test_one_file_makes_its_requests_decidable_by_its_owner(world: World, fifth: actions.AnyAction) -> None:
    request = world.submit(
        "close_account", customer_id="cus_1001", reason="The customer wants the account gone."
    )
    assert request.verdict["rule"] == "default"
    assert world.vote(request, "approve", "lena").status == "approved"


def test_one_file_makes_its_page_appear(world: World, fifth: actions.AnyAction) -> None:
    request = world.submit(
        "close_account", customer_id="cus_1001", reason="The customer wants the account gone."
    )
    with world.processes.acting_as("web"):
        browser = Client()
        browser.force_login(world.people["lena"])
        page = browser.get(f"/requests/{request.pk}/").content.decode()
    for shown in (
        "Close account cus_1001 with",
        "The customer wants the account gone.",
        "A closed account can not be opened again.",
        "orders count",
        "Approve",
    ):
        assert shown in page


def test_two_files_can_not_claim_one_name(fifth: actions.AnyAction) -> None:
    class Copy(type(fifth)):  # type: ignore[misc]
        name = "close_account_again"

    with pytest.raises(ValueError, match="share a name"):
        actions.register(Copy())
