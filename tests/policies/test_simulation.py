"""A draft against history: each kind of change, what it comes to, and where the recorded verdict is not reproduced."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import time, timedelta

import pytest

from policies.context import Context
from policies.documents import Document, load
from policies.judge import judge
from policies.signature import Signature
from policies.simulation import (
    Change,
    Changed,
    Decided,
    NotReproduced,
    Progress,
    Summary,
    Unreadable,
    backtest,
    change_of,
)
from policies.verdicts import AutoApprove, Deny, Escalation, Require, Stage
from policies.windows import Window

NO = Deny(public="No.", because="b", rule="r")
YES = AutoApprove(because="b", rule="r")
ONE = Require(stages=(Stage("finance", 1),), because="b", rule="r")
TWO = replace(ONE, stages=(Stage("finance", 2),))
OTHER = replace(ONE, stages=(Stage("legal", 1),))
BROKEN = replace(ONE, rule="error", error="Rule 'x': no")
HOURS = (Window(("mon",), time(9), time(17), "Europe/Berlin"),)


@pytest.mark.parametrize(
    ("was", "becomes", "change"),
    [
        (ONE, ONE, None),
        (ONE, replace(ONE, because="Other words.", rule="other"), None),
        (YES, YES, None),
        (NO, NO, None),
        (ONE, NO, Change.REFUSES),
        (YES, NO, Change.REFUSES),
        (NO, ONE, Change.LETS_IN),
        (NO, YES, Change.LETS_IN),
        (YES, ONE, Change.ASKS_PEOPLE),
        (ONE, YES, Change.ASKS_NOBODY),
        (ONE, TWO, Change.ASKS_MORE),
        (TWO, ONE, Change.ASKS_LESS),
        (ONE, OTHER, Change.ASKS_OTHERWISE),
        (ONE, replace(ONE, step_up=True), Change.ASKS_MORE),
        (ONE, replace(ONE, cooling_off=timedelta(hours=1)), Change.ASKS_MORE),
        (ONE, replace(ONE, escalation=Escalation(timedelta(hours=1), "legal")), Change.ASKS_LESS),
        (ONE, replace(ONE, channels=("refunds",)), Change.ASKS_LESS),
        (ONE, replace(ONE, expires_in=timedelta(hours=1)), Change.ASKS_MORE),
        (ONE, replace(ONE, windows=HOURS), Change.ASKS_MORE),
        (replace(ONE, windows=HOURS), ONE, Change.ASKS_LESS),
        (YES, replace(YES, windows=HOURS), Change.WAITS_OTHERWISE),
        (YES, replace(YES, valid_for=timedelta(days=9)), Change.WAITS_OTHERWISE),
        (ONE, BROKEN, Change.CANNOT_TELL),
        (YES, BROKEN, Change.CANNOT_TELL),
        (BROKEN, BROKEN, None),
    ],
)
def test_each_kind_of_change_has_its_name(was: object, becomes: object, change: Change | None) -> None:
    assert change_of(was, becomes) == change  # type: ignore[arg-type]


def decided(document: Document, number: int, context: Context, *, version: int = 2) -> Decided:
    amount = context.args["amount_minor"]
    assert isinstance(amount, int)
    return Decided(
        id=f"request-{number}",
        action="refund_payment",
        headline="Refund",
        context=context,
        verdict=judge(document, "refund_payment", context),
        fallback_role="support_lead",
        version=version,
        amount_minor=amount,
        currency=str(context.args["currency"]),
    )


def test_a_draft_is_told_exactly_what_it_changes_in_counts_and_money(
    signatures: Mapping[str, Signature], ask: Callable[..., Context], refund_policy: Callable[..., str]
) -> None:
    current = load(refund_policy("args.amount_minor <= 100", "args.amount_minor <= 1000"), signatures)
    draft = load(refund_policy("args.amount_minor <= 50"), signatures)
    asked = [(50, "EUR"), (60, "EUR"), (100, "JPY"), (100, "EUR"), (2000, "EUR")]
    requests = [
        decided(current, number, ask("refund_payment", {"amount_minor": amount, "currency": currency}))
        for number, (amount, currency) in enumerate(asked)
    ]
    findings = list(backtest(draft, current, requests))
    assert [one.request.id for one in findings if isinstance(one, Changed)] == [
        "request-1",
        "request-2",
        "request-3",
    ]
    assert findings[-1] == Progress(5)
    summary = Summary()
    for finding in findings:
        summary.add(finding, 2)
    assert summary.changes == {Change.ASKS_PEOPLE: 3}
    assert summary.money == {(Change.ASKS_PEOPLE, "EUR"): 160, (Change.ASKS_PEOPLE, "JPY"): 100}
    assert (summary.done, summary.changed, summary.not_reproduced) == (5, 3, 0)


def test_what_the_policy_in_force_does_not_say_again_is_named_and_whose_verdict_it_was(
    signatures: Mapping[str, Signature], ask: Callable[..., Context], refund_policy: Callable[..., str]
) -> None:
    before = load(refund_policy("args.amount_minor <= 100"), signatures)
    current = load(refund_policy("args.amount_minor <= 50"), signatures)
    asked = ask("refund_payment", {"amount_minor": 70})
    older, tampered = decided(before, 1, asked, version=1), decided(before, 2, asked, version=2)
    findings = list(backtest(current, current, [older, tampered, Unreadable("request-3", "gone")]))
    assert [(one.request.id, one.says.rule) for one in findings if isinstance(one, NotReproduced)] == [
        ("request-1", "default"),
        ("request-2", "default"),
    ]
    summary = Summary()
    for finding in findings:
        summary.add(finding, 2)
    assert (summary.not_reproduced, summary.unexplained, summary.unreadable, summary.done) == (2, 1, 1, 3)


def test_progress_is_told_now_and_then_and_requests_are_taken_as_they_come(
    signatures: Mapping[str, Signature], ask: Callable[..., Context], refund_policy: Callable[..., str]
) -> None:
    document = load(refund_policy('"true"'), signatures)
    one = decided(document, 1, ask("refund_payment"))
    taken = 0

    def requests() -> object:
        nonlocal taken
        for _ in range(1200):
            taken += 1
            yield one

    told = backtest(document, document, requests())  # type: ignore[arg-type]
    assert (next(told), taken) == (Progress(500), 500)
    assert list(told) == [Progress(1000), Progress(1200)]
