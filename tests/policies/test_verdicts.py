import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.verdicts import (
    AutoApprove,
    Deny,
    Require,
    Stage,
    Verdict,
    demands,
    from_json,
    stricter,
    to_json,
)

words = st.text(min_size=1, max_size=12)
durations = st.integers(1, 10_000_000).map(lambda seconds: timedelta(seconds=seconds))
stages = st.dictionaries(
    st.sampled_from(["finance", "support_lead", "auditor"]), st.integers(1, 4), min_size=1
).map(lambda counts: tuple(Stage(role, count) for role, count in counts.items()))
denials = st.builds(Deny, public=words, because=words, rule=words)
approvals = st.builds(AutoApprove, because=words, rule=words)
requirements = st.builds(
    Require,
    stages=stages,
    because=words,
    rule=words,
    expires_in=durations,
    valid_for=durations,
    error=st.none() | words,
)
verdicts: st.SearchStrategy[Verdict] = st.one_of(denials, approvals, requirements)


def as_strict(one: Verdict, other: Verdict) -> bool:
    """Whether `one` lets nothing through that `other` would stop."""
    if isinstance(one, Require) and isinstance(other, Require):
        return demands(one, other)
    return isinstance(one, Deny) or isinstance(other, AutoApprove)


@given(verdicts)
def test_a_verdict_comes_back_from_json_as_it_went(verdict: Verdict) -> None:
    assert from_json(json.loads(json.dumps(to_json(verdict)))) == verdict


def test_a_duration_is_whole_seconds_in_json() -> None:
    verdict = Require(
        stages=(Stage("finance", 1),), because="Large.", rule="large", valid_for=timedelta(hours=2)
    )
    assert to_json(verdict) == {
        "kind": "require",
        "stages": [{"role": "finance", "count": 1, "step": 1}],
        "because": "Large.",
        "rule": "large",
        "expires_in": 72 * 3600,
        "valid_for": 7200,
        "step_up": False,
        "cooling_off": None,
        "escalation": None,
        "channels": [],
        "error": None,
    }


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"kind": "maybe"},
        {"kind": "auto_approve", "because": "b", "rule": "r", "stages": []},
        {"kind": "require", "because": "b", "rule": "r", "stages": []},
        {"kind": "require", "because": "b", "rule": "r", "stages": [{"role": "finance", "count": 0}]},
    ],
)
def test_json_that_is_no_verdict_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        from_json(value)


@pytest.mark.parametrize(
    "stages",
    [(), (Stage("finance", 1), Stage("finance", 2))],
    ids=["nobody", "one role twice"],
)
def test_people_are_required_by_distinct_roles_or_not_at_all(stages: tuple[Stage, ...]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Require(stages=stages, because="b", rule="r")


@pytest.mark.parametrize("duration", [timedelta(0), timedelta(seconds=-1), timedelta(milliseconds=1500)])
def test_an_approval_that_could_never_be_used_is_refused(duration: timedelta) -> None:
    with pytest.raises(ValueError, match="whole number of seconds"):
        Require(stages=(Stage("finance", 1),), because="b", rule="r", valid_for=duration)


@given(verdicts, verdicts)
def test_the_stricter_verdict_is_weaker_than_neither(then: Verdict, now: Verdict) -> None:
    verdict = stricter(then, now)
    assert as_strict(verdict, then)
    assert as_strict(verdict, now)


@given(verdicts, verdicts)
def test_which_judgement_came_first_does_not_change_how_strict_they_are_together(
    then: Verdict, now: Verdict
) -> None:
    one, other = stricter(then, now), stricter(now, then)
    assert type(one) is type(other)
    assert as_strict(one, other)
    assert as_strict(other, one)


@given(verdicts, verdicts)
def test_judging_again_adds_nothing_that_is_already_demanded(then: Verdict, now: Verdict) -> None:
    verdict = stricter(then, now)
    assert stricter(verdict, verdict) == verdict
    assert stricter(verdict, then) == verdict
    assert as_strict(verdict, stricter(verdict, now))


@given(requirements, requirements)
def test_two_requirements_together_ask_for_no_more_than_the_two(then: Require, now: Require) -> None:
    both = stricter(then, now)
    assert isinstance(both, Require)
    asked = {(stage.role, stage.count) for stage in (*then.stages, *now.stages)}
    assert {(stage.role, stage.count) for stage in both.stages} <= asked
    assert both.expires_in == min(then.expires_in, now.expires_in)
    assert both.valid_for == min(then.valid_for, now.valid_for)


def test_two_requirements_add_up_and_keep_both_reasons() -> None:
    then = Require(stages=(Stage("support_lead", 1), Stage("finance", 1)), because="Large.", rule="large")
    now = Require(stages=(Stage("support_lead", 2),), because="New customer.", rule="new", error="no answer")
    assert stricter(then, now) == Require(
        stages=(Stage("support_lead", 2), Stage("finance", 1)),
        because="Large. New customer.",
        rule="large + new",
        error="no answer",
    )
