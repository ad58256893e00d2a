"""The examples of docs/policies.md are what they say."""

import re
from pathlib import Path

import pytest

from approvals.judge import signatures
from policies.cases import load_cases, run
from policies.documents import load
from policies.errors import PolicyError

PAGE = (Path(__file__).resolve().parents[2] / "docs/policies.md").read_text()
DOCUMENT, CASES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
STAFF = {"support_lead": {"lena"}, "finance": {"felix"}}


def test_the_example_loads_and_answers_its_cases() -> None:
    document = load(DOCUMENT, signatures(), frozenset(STAFF), staff=STAFF, receivers=set())
    outcomes = list(run(document, load_cases(CASES, signatures())))
    assert [(one.case.name, one.problem) for one in outcomes] == [("a small one", ""), ("a large one", "")]
    assert document.comment("refund_payment", "over-the-remainder").startswith(
        "What stands directly above a rule"
    )


def test_every_word_of_the_format_is_on_the_page() -> None:
    from policies.documents import _WORDS

    assert [word for word in _WORDS if not re.search(rf"\b{word}\b", PAGE)] == []


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ('facts.payment_status == "failed"', 'facts.payment_status == "failed" && args.amount_minor > 5'),
        ("args.amount_minor > 100", "args.amount_minor > 200"),
        ('args.currency in ["EUR", "USD"]', 'args.currency == "USD"'),
    ],
)
def test_what_the_page_calls_unreachable_is_refused(earlier: str, later: str) -> None:
    rules = "".join(
        f"      - {{ name: r{number}, because: B., then: auto_approve, when: '{when}' }}\n"
        for number, when in enumerate((earlier, later))
    )
    with pytest.raises(PolicyError, match="Rule 'r1' is never reached"):
        load(f"policy: 1\nname: n\nactions:\n  refund_payment:\n    rules:\n{rules}", signatures())
