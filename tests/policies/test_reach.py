"""What is found of rules that can never decide, what is not, and that nothing reachable is ever refused."""

from collections.abc import Callable, Mapping
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from policies.conditions import Condition, EvaluationError
from policies.context import Context, Requester, values_for
from policies.documents import PolicyError, load
from policies.expressions import names
from policies.reach import Reach
from policies.signature import Signature, signature_of
from tests.policies.conftest import NOW

NEVER = ()
LEFT = None


@pytest.mark.parametrize(
    ("earlier", "when", "takers"),
    [
        # The same and more.
        (["facts.shipped"], "facts.shipped && args.amount > 5", ("rule-1",)),
        (["facts.shipped"], "args.amount > 5 && (facts.shipped)", ("rule-1",)),
        (["facts.shipped || args.amount > 5"], "facts.shipped", ("rule-1",)),
        (["facts.shipped", "args.amount > 5"], "facts.shipped || args.amount > 7", ("rule-1", "rule-2")),
        (["args.note.startsWith('x')"], "args.note.startsWith('x') && facts.shipped", ("rule-1",)),
        (["facts.shipped && args.amount > 5"], "facts.shipped", LEFT),
        # A narrower range.
        (["args.amount > 100"], "args.amount > 200", ("rule-1",)),
        (["100 < args.amount"], "args.amount >= 101 && facts.shipped", ("rule-1",)),
        (["args.amount > 100"], "args.amount > 99", LEFT),
        (["args.amount >= -5"], "args.amount == 7", ("rule-1",)),
        (["args.amount > 100"], "facts.count > 200", LEFT),
        # A text out of those that are taken.
        (["args.note in ['a', 'b']"], "args.note == 'b'", ("rule-1",)),
        (["args.note != 'a'"], "args.note == 'b'", ("rule-1",)),
        (["args.note != 'a'"], "args.note == 'a'", LEFT),
        # Taken together.
        (["args.amount < 5", "args.amount >= 5"], "facts.shipped", ("rule-1", "rule-2")),
        (["args.amount < 5", "args.amount > 9"], "args.amount <= 7", LEFT),
        (["facts.shipped", "!facts.shipped"], "args.amount > 5", ("rule-2", "rule-1")),
        (["facts.count < 5", "facts.count >= 5"], "facts.shipped", ("rule-1", "rule-2")),
        # Never.
        ([], "args.amount > 5 && args.amount < 3", NEVER),
        ([], "args.note == 'a' && args.note == 'b'", NEVER),
        ([], "args.note == 'a' && args.note != 'a'", NEVER),
        ([], "facts.shipped && !facts.shipped", NEVER),
        # Not found: arithmetic, fractions, lists, a choice inside, and what would take two rules over two names.
        (["args.amount + 1 > 5"], "args.amount > 4", LEFT),
        (["facts.share > 0.1"], "facts.share > 0.2", LEFT),
        (["facts.lines.exists(one, one > 5)"], "facts.lines.exists(one, one > 6)", LEFT),
        (["facts.shipped ? true : false"], "facts.shipped", LEFT),
        (
            ["args.amount > 5", "args.amount <= 5 && facts.shipped", "args.amount <= 5 && !facts.shipped"],
            "args.note == 'x'",
            LEFT,
        ),
    ],
)
def test_what_is_known_to_be_unreachable(
    earlier: list[str], when: str, takers: tuple[str, ...] | None
) -> None:
    reach = Reach(SIGNATURE.variables())
    for number, condition in enumerate(earlier, 1):
        assert reach.before(condition) is None
        reach.add(f"rule-{number}", condition)
    assert reach.before(when) == takers


def test_it_is_refused_where_it_stands_with_what_to_do(
    signatures: Mapping[str, Signature], refund_policy: Callable[..., str]
) -> None:
    text = refund_policy("args.amount_minor > 100", 'args.amount_minor > 200 && args.currency == "EUR"')
    with pytest.raises(PolicyError) as caught:
        load(text, signatures)
    assert caught.value.message == (
        "Rule 'rule-2' is never reached: wherever it holds, 'rule-1' before it already does. "
        "Remove it, or move it up."
    )
    assert (caught.value.line, caught.value.column) == (11, 15)


def test_two_rules_that_leave_nothing_are_both_named(
    signatures: Mapping[str, Signature], refund_policy: Callable[..., str]
) -> None:
    text = refund_policy("args.amount_minor > 100", "args.amount_minor <= 100", '"true"')
    with pytest.raises(PolicyError, match="wherever it holds, one of 'rule-2' and 'rule-1' before it"):
        load(text, signatures)


class Arguments(BaseModel):
    amount: int = 0
    note: str = ""


class Facts(BaseModel):
    count: int | None = None
    shipped: bool = False
    gift: bool | None = None
    share: float = 0.5
    lines: list[int] = []


SIGNATURE = signature_of(Arguments, Facts)
numbers = st.integers(-3, 3)
signs = st.sampled_from(["<", "<=", "==", ">=", ">", "!="])
demands = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from(["args.amount", "facts.count"]), signs, numbers),
    st.builds("{1} {0} {2}".format, signs, numbers, st.sampled_from(["args.amount", "facts.count"])),
    st.builds("args.note {} {!r}".format, st.sampled_from(["==", "!="]), st.sampled_from("ab")),
    st.sampled_from(
        [
            *("facts.shipped", "!facts.shipped", "facts.gift", "!facts.gift", "facts.gift == true"),
            *("facts.gift == null", "facts.count == null", "args.note in ['a', 'b']", "args.amount / 0 > 1"),
        ]
    ),
)
conditions = st.recursive(
    demands,
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||"]), inner),
    max_leaves=5,
)
facts = st.builds(
    Facts, count=st.none() | st.integers(-4, 4), shipped=st.booleans(), gift=st.none() | st.booleans()
)
arguments = st.builds(Arguments, amount=st.integers(-4, 4), note=st.sampled_from("abc"))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(conditions, min_size=1, max_size=5),
    st.lists(st.tuples(arguments, facts), min_size=5, max_size=8),
)
def test_a_rule_that_could_decide_anything_is_never_refused(
    whens: list[str], asked: list[tuple[Arguments, Facts]]
) -> None:
    """What is refused as unreachable decides no question: neither by holding, nor by an error in it."""
    variables, reach = SIGNATURE.variables(), Reach(SIGNATURE.variables())
    kept: list[str] = []
    for when in whens:
        if reach.before(when) is None:
            reach.add(f"rule-{len(kept)}", when)
            kept.append(when)
            continue
        for one, looked_up in asked:
            context = Context(one.model_dump(), looked_up.model_dump(), Requester("agent", "a", "p"), NOW)
            assert verdict_of([*kept, when], context) == verdict_of([*kept, "false"], context)
    assert all(names(when, variables) for when in whens)


@lru_cache(maxsize=10_000)
def compiled(when: str) -> Condition:
    return Condition(when, SIGNATURE)


def verdict_of(whens: list[str], context: Context) -> str:
    """Which rule decides, or that a human does: by an error before the last rule, or because none holds."""
    values = values_for(SIGNATURE, context)
    for number, when in enumerate(whens):
        try:
            if compiled(when).holds(values):
                return f"rule {number}"
        except EvaluationError:
            return "a human"
    return "a human"
