"""CONTRIBUTING.md shows a whole action. This runs it, as it stands there."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from approvals import actions, execute
from mcp_bridge.contract.catalogue import COMMITTED, committed
from mcp_bridge.server import tools
from tests.world import World

ROOT = Path(__file__).resolve().parents[2]
CREDIT = {"amount_minor": 2500, "currency": "USD", "reference": "by-hand", "reason": "By mistake."}


@pytest.fixture
def fifth(tmp_path: Path) -> Iterator[actions.AnyAction]:
    """The action of CONTRIBUTING.md, from one file."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    (source,) = [block for block in blocks if "ACTION = " in block]
    file = tmp_path / "take_back_store_credit.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location("take_back_store_credit", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    actions.register(module.ACTION)
    yield module.ACTION
    del actions._ACTIONS[module.ACTION.name]


def asked(world: World) -> dict[str, Any]:
    """What an agent asks for, after somebody gave credit by mistake."""
    given = world.shop.write("/v1/customers/cus_1001/store-credit", CREDIT).raise_for_status().json()
    return {
        "customer_id": "cus_1001",
        "operation_id": given["id"],
        "amount_minor": 2500,
        "currency": "USD",
        "reason": "It was meant for another customer.",
    }


def test_one_file_makes_the_tool_appear(fifth: actions.AnyAction) -> None:
    (tool,) = [tool for tool in tools() if tool.name == "request_store_credit_reversal"]
    assert {"customer_id", "operation_id", "reason", "idempotency_key"} <= set(tool.parameters["properties"])


def test_a_new_action_is_no_break_of_the_contract_and_is_frozen_by_one_command(
    fifth: actions.AnyAction, tmp_path: Path
) -> None:
    file = tmp_path / "catalogue.json"
    file.write_bytes(COMMITTED.read_bytes())
    call_command("contract", "check", catalogue=file)
    call_command("contract", "write", catalogue=file)
    assert committed(file).offered.tools.keys() - committed().offered.tools.keys() == {fifth.tool}


def test_one_file_makes_its_page_appear(world: World, fifth: actions.AnyAction) -> None:
    request = world.submit("take_back_store_credit", **asked(world))
    with world.processes.acting_as("web"):
        browser = Client()
        browser.force_login(world.people["lena"])
        page = browser.get(f"/requests/{request.pk}/").content.decode()
    for shown in (
        "Take 25.00 USD of store credit back from customer cus_1001",
        "It was meant for another customer.",
        "It can be given again only as new credit.",
        "store credit",
        "Approve",
    ):
        assert shown in page


def test_one_file_goes_the_whole_way_to_the_ledger(world: World, fifth: actions.AnyAction) -> None:
    request = world.submit("take_back_store_credit", **asked(world))
    assert request.verdict["rule"] == "default"
    assert world.vote(request, "approve", "lena").status == "approved"
    with world.processes.acting_as("worker"):
        execute.run(request.pk, request.tenant_id)
    assert world.status(request) == "succeeded"
    assert [entry["kind"] for entry in world.ledger(request)] == ["store_credit_reversal"]


def test_no_action_names_an_inverse_without_saying_how(fifth: actions.AnyAction) -> None:
    class Undone(type(fifth)):  # type: ignore[misc]
        name, tool = "take_back_again", "request_another_reversal"
        inverse = "issue_store_credit"

    with pytest.raises(ValueError, match="Undone names an inverse, and has no undo of its own"):
        actions.register(Undone())
    assert "take_back_again" not in {action.name for action in actions.known()}


def test_two_files_can_not_claim_one_name(fifth: actions.AnyAction) -> None:
    class Copy(type(fifth)):  # type: ignore[misc]
        name = "take_back_again"

    with pytest.raises(ValueError, match="share a name"):
        actions.register(Copy())
