"""The `usage:` of a document: what cannot be meant is refused at load, and what is left is said in words."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.context import Context, Requester
from policies.documents import PolicyError, load
from policies.durations import in_words
from policies.judge import judge
from policies.signature import Signature, Variable, signature_of
from policies.usage import Usage, rooms
from policies.verdicts import AutoApprove, Require
from tests.policies.conftest import (
    CancelArguments,
    CancelFacts,
    CreditArguments,
    CreditFacts,
    RefundArguments,
    RefundFacts,
)

SIGNATURES: Mapping[str, Signature] = {
    "refund_payment": signature_of(
        RefundArguments,
        RefundFacts,
        subjects={"customer": "facts.customer_id", "order": "facts.order_id"},
        moves_money=True,
    ),
    "issue_store_credit": signature_of(
        CreditArguments, CreditFacts, subjects={"customer": "args.customer_id"}, moves_money=True
    ),
    "cancel_order": signature_of(CancelArguments, CancelFacts, subjects={"order": "args.order_id"}),
}
WHOLE = """\
policy: 1
name: test
usage:
  - name: refunds_of_an_agent
    sums: money
    of: [refund_payment, issue_store_credit]
    per: [agent, customer]
    window: 24h
    cap: { EUR: 180000, USD: 200000 }
  - name: asked
    sums: requests
    per: [tenant]
    window: 7d
    cap: 20
actions:
  refund_payment:
    rules:
      - name: small
        when: usage.refunds_of_an_agent + args.amount_minor <= 5000 && usage.asked < 10
        because: "Small, and not many of them."
        then: auto_approve
  cancel_order:
    rules:
      - name: all
        when: "true"
        because: "All."
        then: auto_approve
"""


def context(usage: Mapping[str, int], amount_minor: int = 4000) -> Context:
    return Context(
        RefundArguments(amount_minor=amount_minor).model_dump(),
        RefundFacts().model_dump(),
        Requester("agent", "agent-1", "person-1"),
        datetime(2026, 3, 1, tzinfo=UTC),
        usage,
        amount_minor,
        "EUR",
    )


@pytest.mark.parametrize(
    ("old", "new", "sentence", "line", "column"),
    [
        ("sums: money", "sum: money", "'sum' means nothing here. Did you mean 'sums'?", 5, 5),
        ("sums: money", "sums: moneys", "Input should be 'money' or 'requests'", 5, 11),
        ("refunds_of_an_agent\n", "refunds-of-an-agent\n", "The name of a usage is a-z", 4, 11),
        (
            "name: asked",
            "name: refunds_of_an_agent",
            "There are two usages named 'refunds_of_an_agent'",
            10,
            11,
        ),
        ("[refund_payment,", "[refund_paymnet,", "There is no action 'refund_paymnet'", 6, 10),
        ("[refund_payment,", "[cancel_order,", "'cancel_order' moves no money", 6, 10),
        ("[refund_payment,", "[issue_store_credit,", "A word is written twice here", 6, 9),
        ("[agent, customer]", "[agent, custmer]", "Input should be 'tenant', 'agent'", 7, 18),
        ("[agent, customer]", "[]", "This is empty; write at least one entry.", 7, 10),
        ("[agent, customer]", "[agent, agent]", "A word is written twice here", 7, 10),
        ("[agent, customer]", "[agent, order]", "'issue_store_credit' does not say which order", 7, 18),
        ("[tenant]", "[customer]", "'cancel_order' does not say which customer", 12, 11),
        ("window: 24h", "window: 24", "Write a duration as a number and a unit", 8, 13),
        ("window: 24h", "window: 400d", "A window is at most 366 days.", 8, 13),
        ("    window: 24h\n", "", "'window' is missing here; add it.", 4, 5),
        ("USD: 200000", "USD: 0", "A cap is a whole number, at least 1", 9, 30),
        ("USD: 200000", "USD: -5", "A cap is a whole number, at least 1", 9, 30),
        ("USD: 200000", "USD: 2000.00", "in minor units, so that 200000 is 2,000.00 USD", 9, 30),
        ("USD: 200000", "USD: 9999999999999999", "A cap is a whole number", 9, 30),
        ("USD: 200000", "USS: 200000", "'USS' is no currency of ISO 4217", 9, 25),
        ("USD: 200000", "other: 1", "in a currency that is not named here the cap allows nothing", 9, 25),
        ("{ EUR: 180000, USD: 200000 }", "{}", "This", 9, 10),
        ("{ EUR: 180000, USD: 200000 }", "200000", "A cap on money names its currencies", 9, 10),
        ("cap: 20", "cap: { USD: 20 }", "A cap on requests is one number", 14, 10),
        ("cap: 20", "cap: 0", "A cap is a whole number, at least 1", 14, 10),
        ("usage.asked", "usage.asket", "Did you mean 'usage.asked'?", 19, 77),
        ("usage.asked < 10", 'usage.asked < "10"', "no matching overload", 19, 84),
    ],
)
def test_a_usage_that_cannot_be_meant_is_refused_with_what_to_do_and_where(
    old: str, new: str, sentence: str, line: int, column: int
) -> None:
    assert old in WHOLE
    with pytest.raises(PolicyError) as caught:
        load(WHOLE.replace(old, new, 1), SIGNATURES)
    assert sentence in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)


def test_a_sum_that_nothing_caps_and_nothing_asks_for_is_refused() -> None:
    unused = WHOLE.replace("usage.asked < 10", "true").replace("    cap: 20\n", "")
    with pytest.raises(
        PolicyError, match=r"Nothing uses 'asked': give it a cap, or write usage\.asked"
    ) as caught:
        load(unused, SIGNATURES)
    assert (caught.value.line, caught.value.column) == (10, 11)


def test_a_text_that_names_a_sum_asks_for_nothing() -> None:
    unused = WHOLE.replace("usage.asked < 10", "args.reason != 'usage.asked'").replace("    cap: 20\n", "")
    with pytest.raises(PolicyError, match="Nothing uses 'asked'"):
        load(unused, SIGNATURES)


def test_a_condition_speaks_only_of_what_covers_its_action() -> None:
    other = WHOLE.replace('when: "true"', "when: usage.refunds_of_an_agent > 5")
    with pytest.raises(
        PolicyError, match=r"Rule 'all': undeclared reference to 'usage\.refunds_of_an_agent'"
    ):
        load(other, SIGNATURES)


def test_what_is_counted_of_an_action_is_known_whether_or_not_rules_speak_of_it() -> None:
    document = load(WHOLE, SIGNATURES)
    assert [usage.name for usage in document.usages("issue_store_credit")] == ["refunds_of_an_agent", "asked"]
    assert [usage.name for usage in document.usages("cancel_order")] == ["asked"]
    assert document.usages("something_else") == ()
    judged = document.judged("refund_payment")
    assert judged is not None
    assert judged.signature.usage == dict.fromkeys(("refunds_of_an_agent", "asked"), Variable("int"))


def test_a_subject_that_may_be_missing_is_refused() -> None:
    with pytest.raises(TypeError, match=r"the order is facts\.paid_minor"):
        signature_of(RefundArguments, RefundFacts, subjects={"order": "facts.paid_minor"})


@settings(deadline=None)  # the first question compiles the conditions, on a machine that may be busy
@given(st.integers(0, 400_000), st.integers(0, 40), st.integers(1, 10_000))
def test_a_rule_sees_what_is_used_and_approves_nothing_beyond_a_cap(
    used: int, asked: int, amount: int
) -> None:
    verdict = judge(
        load(WHOLE, SIGNATURES),
        "refund_payment",
        context({"refunds_of_an_agent": used, "asked": asked}, amount),
    )
    holds = used + amount <= 5000 and asked < 10
    assert isinstance(verdict, AutoApprove) == holds
    capless = load(
        WHOLE.replace("usage.refunds_of_an_agent + args.amount_minor <= 5000 && usage.asked < 10", '"true"'),
        SIGNATURES,
    )
    verdict = judge(capless, "refund_payment", context({"refunds_of_an_agent": used, "asked": asked}, amount))
    assert isinstance(verdict, AutoApprove) == (used + amount <= 180_000 and asked + 1 <= 20)
    if isinstance(verdict, Require):
        assert (verdict.rule, [stage.role for stage in verdict.stages]) == ("budget", ["support_lead"])


def test_what_is_not_known_is_not_nothing() -> None:
    verdict = judge(load(WHOLE, SIGNATURES), "refund_payment", context({"asked": 0}))
    assert isinstance(verdict, Require)
    assert verdict.error == "ContextError: usage.refunds_of_an_agent is missing"


def test_what_is_left_is_said_in_words() -> None:
    money, requests = load(WHOLE, SIGNATURES).usages("refund_payment")
    used = {"refunds_of_an_agent": 190_000, "asked": 20}
    assert [str(room) for room in rooms((money, requests), used, 12_900, "USD")] == [
        "The budget “refunds of an agent” has 100.00 USD left of 2,000.00 USD in 24 hours, and this takes 129.00 USD.",
        "The budget “asked” has 0 requests left of 20 requests in 7 days, and this takes 1 request.",
    ]
    (foreign,) = rooms((money,), used, 1, "JPY")
    assert foreign.is_over
    assert str(foreign) == "The budget “refunds of an agent” allows nothing in JPY."
    assert rooms((money,), used, None, "") == ()


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=24), "24 hours"),
        (timedelta(days=7), "7 days"),
    ],
)
def test_a_window_is_said_in_its_largest_unit(duration: timedelta, words: str) -> None:
    assert in_words(duration) == words


def test_a_document_without_usage_says_what_it_said_before() -> None:
    plain = WHOLE[: WHOLE.index("usage:")] + WHOLE[WHOLE.index("actions:") :].replace(
        "usage.refunds_of_an_agent + args.amount_minor <= 5000 && usage.asked < 10", '"true"'
    )
    assert "usage" not in load(plain, SIGNATURES).model_dump(exclude_unset=True)
    assert all(isinstance(usage, Usage) for usage in load(WHOLE, SIGNATURES).usage)
