import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import pytest
from pydantic import BaseModel

from policies.context import Context, Requester
from policies.documents import Document, load
from policies.judge import RuleTrace, broken, explain, judge, rule_at_fault
from policies.rules import Document as Unchecked
from policies.signature import Signature, signature_of
from policies.verdicts import AutoApprove, Deny, Require, Stage, Verdict
from tests.policies.conftest import NOW

Ask = Callable[..., Context]
Write = Callable[..., str]


def human(verdict: Verdict, rule: str, role: str = "support_lead") -> Require:
    """The verdict, once it is sure that one human of the role decides, by the built-in rule."""
    assert isinstance(verdict, Require)
    assert (verdict.rule, verdict.stages) == (rule, (Stage(role, 1),))
    return verdict


def test_the_first_rule_that_holds_decides(
    signatures: Mapping[str, Signature], ask: Ask, refund_policy: Write
) -> None:
    document = load(refund_policy("args.amount_minor > 9000", "args.amount_minor > 10", '"true"'), signatures)
    verdict = judge(document, "refund_payment", ask("refund_payment", {"amount_minor": 4000}))
    assert verdict == AutoApprove(because="Reason 2.", rule="rule-2")


def test_the_verdict_carries_what_its_rule_says(signatures: Mapping[str, Signature], ask: Ask) -> None:
    document = load(
        """
policy: 1
name: test
actions:
  refund_payment:
    rules:
      - name: foreign
        when: args.currency == "JPY"
        because: "Private."
        then: { deny: "Public." }
      - name: large
        when: args.amount_minor > 10
        because: "Large."
        then:
          require:
            - { role: support_lead, count: 1 }
            - { role: finance, count: 2 }
          expires_in: 30m
          valid_for: 7d
      - name: usual
        when: "true"
        because: "Usual."
        then: { require: [{ role: finance, count: 1 }] }
""",
        signatures,
    )
    denied = judge(document, "refund_payment", ask("refund_payment", {"currency": "JPY"}))
    assert denied == Deny(public="Public.", because="Private.", rule="foreign")
    large = judge(document, "refund_payment", ask("refund_payment", {"amount_minor": 11}))
    assert large == Require(
        stages=(Stage("support_lead", 1), Stage("finance", 2)),
        because="Large.",
        rule="large",
        expires_in=timedelta(minutes=30),
        valid_for=timedelta(days=7),
    )
    usual = judge(document, "refund_payment", ask("refund_payment", {"amount_minor": 10}))
    assert isinstance(usual, Require)
    assert (usual.expires_in, usual.valid_for) == (timedelta(hours=72), timedelta(hours=4))


def test_a_human_decides_where_no_rule_does(
    signatures: Mapping[str, Signature], ask: Ask, refund_policy: Write
) -> None:
    document = load(refund_policy("args.amount_minor > 9000"), signatures)
    request = ask("refund_payment", {"amount_minor": 1})
    for verdict in (
        judge(document, "refund_payment", request),
        judge(document, "cancel_order", request),
        judge(None, "refund_payment", request),
    ):
        assert human(verdict, "default").error is None
    human(judge(None, "refund_payment", request, fallback_role="finance"), "default", role="finance")


@pytest.mark.parametrize(
    ("condition", "args", "facts", "error"),
    [
        ("args.amount_minor * 1000 > 5", {"amount_minor": 2**62}, {}, "overflow"),
        ("args.amount_minor > 5", {"amount_minor": 2**70}, {}, "too big"),
        ("args.amount_minor / facts.refunded_minor > 5", {}, {"refunded_minor": 0}, "zero"),
        ("int(args.payment_id) > 5", {"payment_id": "pay_1"}, {}, "int"),
        ("args.amount_minor > 5", {"amount_minor": "4000"}, {}, "args.amount_minor should be int, not str"),
        ("args.amount_minor > 5", {"amount_minor": True}, {}, "args.amount_minor should be int, not bool"),
        ("args.amount_minor > 5", {"amount_minor": 6.5}, {}, "args.amount_minor should be int, not float"),
        ("args.amount_minor > 5", {"amount_minor": None}, {}, "should be int, not NoneType"),
        ('args.reason == "x"', {"reason": "\ud800"}, {}, "EvaluationError"),
    ],
)
def test_a_human_decides_where_a_rule_has_no_answer(
    signatures: Mapping[str, Signature],
    ask: Ask,
    refund_policy: Write,
    condition: str,
    args: Mapping[str, object],
    facts: Mapping[str, object],
    error: str,
) -> None:
    # The second rule would approve: an error must not be taken for "no match".
    document = load(refund_policy(condition, '"true"'), signatures)
    verdict = human(judge(document, "refund_payment", ask("refund_payment", args, facts)), "error")
    assert verdict.error is not None
    assert error in verdict.error
    # A value that is not as declared is no rule's fault; else the operator reads which rule it was.
    assert rule_at_fault(verdict.error) == ("" if "should be" in error else "rule-1")


SECRET = "Larkhaven"
TEXT = {"payment_id": SECRET}


@pytest.mark.parametrize(
    ("condition", "args", "kind"),
    [
        ("{'Sometown': 5}[args.payment_id] > 7", TEXT, "a key that the map does not have"),
        ("{1: 5}[args.amount_minor] > 7", {"amount_minor": 424242}, "a key that the map does not have"),
        (
            "{'x': 5, args.payment_id: 6}['x'] > 7",
            {"payment_id": "x"},
            "a key that the map has twice",
        ),
        ("'x'.matches(args.payment_id)", {"payment_id": f"({SECRET}"}, "a pattern that is none"),
        ("[1][args.amount_minor] > 7", {"amount_minor": 424242}, "an index that is out of range"),
        ("int(args.payment_id) > 7", TEXT, "a text that is no int"),
        ("bool(args.payment_id)", TEXT, "a text that cannot be converted"),
        ("timestamp(args.payment_id) > now", TEXT, "a text that cannot be converted"),
        ("now + duration(args.payment_id) > now", TEXT, "a text that cannot be converted"),
        ("now.getHours(args.payment_id) > 7", TEXT, "a time zone that is none"),
        ("uint(args.amount_minor) > 7u", {"amount_minor": -424242}, "a number that is out of range"),
        ("args.amount_minor / 0 > 7", {"amount_minor": 424242}, "a division by zero"),
        ("args.amount_minor * args.amount_minor > 7", {"amount_minor": 2**62}, "an overflow"),
        ("args.amount_minor > 7", {"amount_minor": 2**70}, "a number that is too big"),
        ('args.reason == "x"', {"reason": f"{SECRET}\ud800"}, "no answer"),
    ],
)
def test_a_verdict_says_which_kind_of_error_it_was_and_quotes_nothing(
    signatures: Mapping[str, Signature],
    ask: Ask,
    refund_policy: Write,
    condition: str,
    args: Mapping[str, object],
    kind: str,
) -> None:
    """It is kept unsealed, is shown to programs, and outlives the payload."""
    document = load(refund_policy(json.dumps(condition)), signatures)
    verdict = human(judge(document, "refund_payment", ask("refund_payment", args)), "error")
    assert verdict.error == f"Rule 'rule-1': EvaluationError: {kind}"


def test_of_an_error_that_nobody_foresaw_a_verdict_says_its_name() -> None:
    assert broken(KeyError(SECRET)).error == "KeyError"


def test_an_explanation_may_quote_the_values_that_it_shows(
    signatures: Mapping[str, Signature], ask: Ask, refund_policy: Write
) -> None:
    document = load(refund_policy("\"{'Sometown': 5}[args.payment_id] > 7\""), signatures)
    (trace,) = explain(document, "refund_payment", ask("refund_payment", TEXT))
    assert trace.error and SECRET in trace.error
    assert trace.mentioned == (("args.payment_id", SECRET),)


def test_a_human_decides_where_a_fact_is_missing(
    signatures: Mapping[str, Signature], ask: Ask, refund_policy: Write
) -> None:
    document = load(refund_policy('"true"'), signatures)
    whole = ask("refund_payment")
    facts = {name: value for name, value in whole.facts.items() if name != "remaining_minor"}
    verdict = judge(document, "refund_payment", Context(whole.args, facts, whole.requester, whole.now))
    assert human(verdict, "error").error == "ContextError: facts.remaining_minor is missing"


def test_a_human_decides_where_the_time_has_no_zone(
    signatures: Mapping[str, Signature], ask: Ask, refund_policy: Write
) -> None:
    document = load(refund_policy('"true"'), signatures)
    whole = ask("refund_payment")
    verdict = judge(
        document,
        "refund_payment",
        Context(whole.args, whole.facts, whole.requester, whole.now.replace(tzinfo=None)),
    )
    assert human(verdict, "error").error == "ContextError: now has no time zone"


def test_a_human_decides_by_a_document_that_nobody_checked(
    signatures: Mapping[str, Signature], ask: Ask, refund_policy: Write
) -> None:
    checked = load(refund_policy('"true"'), signatures)
    unchecked = Unchecked.model_construct(**dict(checked))
    human(judge(unchecked, "refund_payment", ask("refund_payment")), "error")


def test_a_condition_knows_who_asks_and_when(
    signatures: Mapping[str, Signature], ask: Ask, refund_policy: Write
) -> None:
    condition = (
        'requester.kind == "agent" && requester.id == "a" && requester.owner_id == "p"'
        ' && requester.on_behalf_of == "" && now - duration("1h") == timestamp("2026-03-01T11:00:00Z")'
    )
    document = load(refund_policy(condition), signatures)
    whole = ask("refund_payment")
    for requester, rule in (
        (Requester("agent", "a", "p"), "rule-1"),
        (Requester("agent", "a", "p", "q"), "default"),
    ):
        context = Context(whole.args, whole.facts, requester, whole.now)
        assert judge(document, "refund_payment", context).rule == rule


def test_an_explanation_shows_every_rule_and_marks_the_one_that_decided(
    signatures: Mapping[str, Signature], ask: Ask, refund_policy: Write
) -> None:
    conditions = (
        "args.amount_minor > 9000",
        'args.amount_minor > 10 && args.currency.startsWith("E")',
        'facts.paid_minor > 20 && requester.kind == "agent" && now > timestamp("2026-01-01T00:00:00Z")',
    )
    text = refund_policy(*conditions).replace("      - name: rule-2", "      # Why.\n      - name: rule-2")
    document = load(text, signatures)
    amount = ("args.amount_minor", 4000)
    assert explain(document, "refund_payment", ask("refund_payment", {"amount_minor": 4000})) == (
        RuleTrace("rule-1", conditions[0], "Reason 1.", False, None, matched=False, mentioned=(amount,)),
        RuleTrace(
            "rule-2",
            conditions[1],
            "Reason 2.",
            True,
            None,
            matched=True,
            mentioned=(amount, ("args.currency", "EUR")),
            comment="Why.",
        ),
        RuleTrace(
            "rule-3",
            conditions[2],
            "Reason 3.",
            True,
            None,
            matched=False,
            mentioned=(("facts.paid_minor", 90000), ("requester.kind", "agent"), ("now", NOW)),
        ),
    )
    assert explain(document, "cancel_order", ask("cancel_order")) == ()
    assert explain(None, "refund_payment", ask("refund_payment")) == ()


def test_an_explanation_marks_no_rule_behind_an_error(
    signatures: Mapping[str, Signature], ask: Ask, refund_policy: Write
) -> None:
    document = load(refund_policy("args.amount_minor * 10 > 5", '"true"'), signatures)
    first, second = explain(document, "refund_payment", ask("refund_payment", {"amount_minor": 2**62}))
    assert first.value is None
    assert first.error is not None
    assert "overflow" in first.error
    assert (second.value, second.matched) == (True, False)


class Level(StrEnum):
    GOLD = "gold"


class Line(BaseModel):
    sku: str
    quantity: int


class Extra(BaseModel):
    note: str | None = None
    limit: int | None = None
    ratio: float | None = None
    flag: bool | None = None
    shipped_at: datetime | None = None
    gift: Line | None = None
    lines: tuple[Line, ...] = (Line(sku="a", quantity=1), Line(sku="b", quantity=3))
    level: Level = Level.GOLD
    former_level: Level | None = Level.GOLD
    share: float = 0.5


def answer(condition: str, context: Context, **facts: object) -> bool | str:
    """What one condition says of an Extra: its value or its error."""
    signature = signature_of(Extra, Extra)
    text = f"""
policy: 1
name: test
actions:
  extra:
    rules:
      - name: only
        when: '{condition}'
        because: "Only."
        then: auto_approve
"""
    document: Document = load(text, {"extra": signature})
    values = Extra.model_validate(facts).model_dump()
    (trace,) = explain(document, "extra", Context(values, values, context.requester, context.now))
    assert (trace.value is None) == (trace.error is not None)
    return trace.error or bool(trace.value)


LATER = datetime.fromisoformat("2026-03-01T15:00:00+02:00")


@pytest.mark.parametrize(
    ("condition", "facts", "expected"),
    [
        ("facts.note == null", {}, True),
        ("facts.note == null", {"note": ""}, False),
        ('facts.note != "x"', {}, True),
        ("facts.limit != null && facts.limit > 5", {}, False),
        ("facts.limit != null && facts.limit > 5", {"limit": 6}, True),
        ("facts.ratio != null && facts.ratio > 0.5", {"ratio": 1}, True),
        ("facts.flag == true", {}, False),
        ("facts.flag", {"flag": True}, True),
        ("facts.shipped_at == null", {}, True),
        ("facts.shipped_at != null && facts.shipped_at > now", {}, False),
        ("facts.shipped_at != null && facts.shipped_at > now", {"shipped_at": LATER}, True),
        ("facts.shipped_at == null && facts.limit == 3", {"limit": 3}, True),
        ("facts.gift.quantity == null", {}, True),
        ("facts.gift.quantity == 3", {"gift": {"sku": "c", "quantity": 3}}, True),
        ("facts.lines.quantity.exists(quantity, quantity > 2)", {}, True),
        ('"b" in facts.lines.sku && size(facts.lines.sku) == 2', {}, True),
        ('facts.level == "gold" && facts.former_level == "gold"', {}, True),
        ("facts.share < 0.75", {}, True),
    ],
)
def test_null_enum_column_and_time_mean_what_the_documentation_says(
    ask: Ask, condition: str, facts: Mapping[str, object], expected: bool
) -> None:
    assert answer(condition, ask("refund_payment"), **facts) is expected


@pytest.mark.parametrize(
    ("condition", "facts", "error"),
    [
        ("facts.limit > 5", {}, "No matching overloads"),
        ("facts.flag", {}, "the answer is null"),
        ("facts.shipped_at > now", {}, "No matching overloads"),
        ('facts.note.startsWith("x")', {}, "No matching overloads"),
        ("facts.lines.quantity[7] > 1", {}, "index=7"),
        ("facts.share > 0.5", {"share": float("nan")}, "facts.share is not a finite number"),
    ],
)
def test_a_null_or_a_hole_where_a_value_is_needed_is_an_error_and_not_a_no(
    ask: Ask, condition: str, facts: Mapping[str, object], error: str
) -> None:
    got = answer(condition, ask("refund_payment"), **facts)
    assert isinstance(got, str)
    # Arguments and facts hold the same values here; whichever is met first is named.
    assert error.replace("facts.", "") in got
