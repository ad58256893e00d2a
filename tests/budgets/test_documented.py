"""The policy on the page about budgets is one that loads, and does what the page says."""

import re
from pathlib import Path

from approvals import judge
from policies.documents import load
from tests.budgets.conftest import file_as
from tests.world import World

PAGE = Path(__file__).resolve().parents[2] / "docs/budgets.md"


def example() -> str:
    (found,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


def test_the_example_loads_with_the_actions_that_there_are() -> None:
    document = load(example(), judge.signatures(), frozenset({"support_lead", "finance"}))
    assert [usage.name for usage in document.usages("refund_payment")] == [
        "paid_to_a_customer",
        "paid_by_an_agent",
        "refunds_of_an_order",
    ]


def test_the_example_adds_up_what_a_customer_is_paid_by_refund_and_by_credit(world: World) -> None:
    world.put_in_force(example())
    paid = world.submit(payment_id="pay_10008", amount_minor=45000)
    assert [stage["role"] for stage in paid.verdict["stages"]] == ["support_lead"]
    world.vote(paid, "approve", "lena")
    credit = file_as(
        world, world.another_agent(), "issue_store_credit", customer_id="cus_1005", amount_minor=500
    )
    assert credit.usage == {"paid_to_a_customer": 45000, "paid_by_an_agent": 0}
    assert credit.verdict["rule"] == "default"
    more = file_as(world, world.another_agent(), payment_id="pay_10008", amount_minor=5001)
    assert [stage["role"] for stage in more.verdict["stages"]] == ["support_lead", "finance"]
