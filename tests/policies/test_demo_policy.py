"""The demo policy, case by case: what a finance lead would check before signing it."""

from collections.abc import Callable, Mapping

import pytest

from policies.context import Context
from policies.documents import Document, load, shipped
from policies.judge import judge
from policies.signature import Signature
from policies.verdicts import Require

ROLES = frozenset({"support_lead", "finance", "auditor", "operator"})


@pytest.fixture(scope="module")
def demo(signatures: Mapping[str, Signature]) -> Document:
    return load(shipped("demo"), signatures, ROLES, "demo.yaml")


def test_the_demo_policy_speaks_of_every_action(demo: Document, signatures: Mapping[str, Signature]) -> None:
    assert set(demo.actions) == set(signatures)


ONE = {"support_lead": 1}
TWO = {"support_lead": 1, "finance": 1}


@pytest.mark.parametrize(
    ("action", "args", "facts", "rule", "people"),
    [
        ("refund_payment", {}, {}, "usual", ONE),
        ("refund_payment", {"amount_minor": 50000}, {}, "usual", ONE),
        ("refund_payment", {"amount_minor": 50001}, {}, "large", TWO),
        ("refund_payment", {"amount_minor": 90000}, {}, "large", TWO),
        ("refund_payment", {"amount_minor": 90001}, {}, "over-the-remainder", "deny"),
        ("refund_payment", {"currency": "USD"}, {}, "other-currency", "deny"),
        ("refund_payment", {}, {"payment_status": "failed"}, "payment-failed", "deny"),
        ("cancel_order", {}, {}, "usual", ONE),
        ("cancel_order", {}, {"shipped": True}, "already-shipped", "deny"),
        ("change_shipping_address", {}, {}, "usual", ONE),
        ("change_shipping_address", {}, {"shipped": True}, "already-shipped", "deny"),
        ("change_shipping_address", {}, {"current_country": "DE"}, "other-country", TWO),
        ("issue_store_credit", {"amount_minor": 500}, {}, "small-gesture", "auto_approve"),
        ("issue_store_credit", {"amount_minor": 500}, {"orders_count": 0}, "modest", ONE),
        ("issue_store_credit", {"amount_minor": 501}, {}, "modest", ONE),
        ("issue_store_credit", {"amount_minor": 2500}, {}, "modest", ONE),
        ("issue_store_credit", {"amount_minor": 2501}, {}, "usual", ONE),
        ("issue_store_credit", {"amount_minor": 20000}, {}, "usual", ONE),
        ("issue_store_credit", {"amount_minor": 20001}, {}, "large", TWO),
        ("issue_store_credit", {"currency": "USD"}, {}, "other-currency", "deny"),
    ],
)
def test_the_demo_policy_asks_whom_it_says_it_asks(
    demo: Document,
    ask: Callable[..., Context],
    action: str,
    args: Mapping[str, object],
    facts: Mapping[str, object],
    rule: str,
    people: Mapping[str, int] | str,
) -> None:
    verdict = judge(demo, action, ask(action, args, facts))
    asked = {s.role: s.count for s in verdict.stages} if isinstance(verdict, Require) else verdict.kind
    assert (verdict.rule, asked) == (rule, people)
