"""Cases beside a document: what they ask, what is said of a wrong answer, and how a wrong file is refused."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel

from approvals.judge import signatures as real_signatures
from policies.cases import load_cases, run, shipped_cases
from policies.documents import load, shipped
from policies.errors import PolicyError
from policies.signature import Signature, signature_of

WHOLE = """\
given:
  refund_payment:
    args: { payment_id: pay_1, amount_minor: 10, currency: EUR, reason: "Broken." }
    facts: { order_id: o, customer_id: c, payment_status: ok, currency: EUR, paid_minor: 1, refunded_minor: 0,
      remaining_minor: 100, card_last4: "4242", order_status: paid }
cases:
  - name: small
    action: refund_payment
    args: { amount_minor: 7 }
    requester: { id: bot, owner_id: otto, on_behalf_of: lena }
    now: 2026-03-01T12:00:00Z
    expect: { verdict: auto_approve, rule: rule-1 }
"""


def test_the_shipped_cases_are_answered_and_every_rule_decides_one() -> None:
    document = load(shipped("demo"), real_signatures())
    outcomes = list(run(document, load_cases(shipped_cases("demo"), real_signatures())))
    assert [one.problem for one in outcomes if one.problem] == []
    decided = {(one.case.action, one.verdict.rule) for one in outcomes}
    assert decided == {(name, rule.name) for name, entry in document.actions.items() for rule in entry.rules}


def test_a_case_asks_what_it_says_over_what_is_given(signatures: Mapping[str, Signature]) -> None:
    (case,) = load_cases(WHOLE, signatures)
    assert (case.name, case.line) == ("small", 7)
    assert case.context.args == {
        "payment_id": "pay_1",
        "amount_minor": 7,
        "currency": "EUR",
        "reason": "Broken.",
    }
    assert case.context.facts["card_last4"] == "4242"
    asker = case.context.requester
    assert (asker.kind, asker.id, asker.owner_id, asker.on_behalf_of) == ("agent", "bot", "otto", "lena")
    assert case.context.now == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expect", "problem"),
    [
        ("{ verdict: require, rule: rule-1, people: { finance: 2 } }", ""),
        ("{ verdict: require }", ""),
        ("{ verdict: deny }", "it says require by 'rule-1', not deny"),
        ("{ verdict: require, rule: rule-2 }", "'rule-1' decides, not 'rule-2'"),
        ("{ verdict: require, people: { finance: 1 } }", "it asks for 2 finance, not 1 finance"),
        ("{ verdict: require, people: {} }", "it asks for 2 finance, not nobody"),
    ],
)
def test_what_was_answered_instead_is_said(
    signatures: Mapping[str, Signature], refund_policy: object, expect: str, problem: str
) -> None:
    text = refund_policy('"true"')  # type: ignore[operator]
    document = load(text.replace("auto_approve", "{ require: [{ role: finance, count: 2 }] }"), signatures)
    cases = load_cases(WHOLE.replace("{ verdict: auto_approve, rule: rule-1 }", expect), signatures)
    assert [one.problem for one in run(document, cases)] == [problem]


def test_an_error_is_said_with_the_answer(signatures: Mapping[str, Signature], refund_policy: object) -> None:
    document = load(refund_policy("args.amount_minor / facts.refunded_minor > 5"), signatures)  # type: ignore[operator]
    (outcome,) = run(document, load_cases(WHOLE, signatures))
    assert outcome.problem.startswith("it says require by 'error', not auto_approve (Rule 'rule-1': ")


@pytest.mark.parametrize(
    ("old", "new", "sentence", "line", "column"),
    [
        ("cases:\n", "casess:\n", "Write `cases:` with a list of cases here.", 1, 1),
        ("given:", "givven:", "'givven' means nothing here. Known here: cases, given.", 1, 1),
        ("amount_minor: 7", "amuont_minor: 7", "'amuont_minor' is no field here.", 9, 13),
        ("amount_minor: 7", "amount_minor: seven", "Write a whole number here.", 9, 27),
        ("amount_minor: 7", "amount_minor: 7.0", "Write a whole number here.", 9, 27),
        ("amount_minor: 7", "amount_minor: [7]", "Write one value here.", 9, 27),
        ("amount_minor: 7", "amount_minor: null", "Write a whole number here.", 9, 27),
        ("args: { amount_minor: 7 }", "args: 7", "Write `key: value` lines here.", 9, 11),
        (
            "remaining_minor: 100, ",
            "",
            "facts.remaining_minor is missing; write it here or in `given`.",
            7,
            5,
        ),
        (
            "action: refund_payment\n    args",
            "action: refund\n    args",
            "There is no action 'refund'.",
            8,
            13,
        ),
        ("    action: refund_payment\n    args", "    args", "'action' is missing here; add it.", 7, 5),
        ("verdict: auto_approve", "verdict: yes", "Write `verdict:` with one of auto_approve, deny", 12, 24),
        ("rule: rule-1", "rules: rule-1", "'rules' means nothing here.", 12, 38),
        ("rule: rule-1", "people: { finance: 1 }", "Only `require` asks for people.", 12, 46),
        ("12:00:00Z", "12:00:00", "Write a time with its zone here", 11, 10),
        ("id: bot", "kind: robot", "A requester is an `agent` or a `person`.", 10, 24),
        ("owner_id: otto", "owner: otto", "'owner' means nothing here.", 10, 27),
    ],
)
def test_a_file_that_is_none_is_refused_where_it_is_wrong(
    signatures: Mapping[str, Signature], old: str, new: str, sentence: str, line: int, column: int
) -> None:
    assert old in WHOLE
    with pytest.raises(PolicyError) as caught:
        load_cases(WHOLE.replace(old, new, 1), signatures)
    assert sentence in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)


def test_two_cases_of_one_name_are_refused(signatures: Mapping[str, Signature]) -> None:
    again = "  - " + WHOLE.partition("cases:\n  - ")[2]
    with pytest.raises(PolicyError, match="There are two cases named 'small'; rename one"):
        load_cases(WHOLE + again, signatures)
    with pytest.raises(PolicyError, match="write at least one case"):
        load_cases("cases: []", signatures)


class Line(BaseModel):
    sku: str
    quantity: int


class Order(BaseModel):
    lines: list[Line]
    gift: Line | None
    shipped_at: datetime | None
    share: float
    paid: bool


def test_lists_models_and_nothing_are_written_as_they_are() -> None:
    signature = signature_of(Order, Order)
    values = (
        "{ lines: [{ sku: a, quantity: 1 }, { sku: b, quantity: 2 }], gift: null, "
        "shipped_at: 2026-03-01T12:00:00+01:00, share: 0.5, paid: true }"
    )
    text = f"cases: [{{ name: n, action: o, args: {values}, facts: {values}, expect: {{ verdict: deny }} }}]"
    (case,) = load_cases(text, {"o": signature})
    assert Order.model_validate(case.context.args).model_dump() == case.context.args
    assert case.context.args["lines"] == [{"sku": "a", "quantity": 1}, {"sku": "b", "quantity": 2}]
    with pytest.raises(PolicyError, match="Write a whole number here"):
        load_cases(text.replace("quantity: 2", "quantity: b"), {"o": signature})
