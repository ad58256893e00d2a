import json
from datetime import time, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policies.verdicts import (
    AutoApprove,
    Deny,
    Escalation,
    Require,
    Stage,
    Verdict,
    demands,
    from_json,
    stricter,
    to_json,
)
from policies.windows import Window

words = st.text(min_size=1, max_size=12)
durations = st.integers(1, 10_000_000).map(lambda seconds: timedelta(seconds=seconds))
roles = st.sampled_from(["finance", "support_lead", "auditor"])
stages = st.dictionaries(roles, st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1).map(
    lambda asked: tuple(Stage(role, count, step) for role, (count, step) in asked.items())
)
denials = st.builds(Deny, public=words, because=words, rule=words)
windows = st.lists(
    st.sampled_from(
        [
            Window(("mon", "tue"), time(9), time(17), "Europe/Berlin"),
            Window(("sat",), time(22), time(6), "UTC"),
            Window(("mon",), time(8, 30), time(12), "America/New_York"),
        ]
    ),
    unique=True,
).map(tuple)
approvals = st.builds(AutoApprove, because=words, rule=words, valid_for=durations, windows=windows)
requirements = st.builds(
    Require,
    stages=stages,
    because=words,
    rule=words,
    expires_in=durations,
    valid_for=durations,
    step_up=st.booleans(),
    together=st.booleans(),
    cooling_off=st.none() | durations,
    windows=windows,
    escalation=st.none() | st.builds(Escalation, after=durations, to=roles),
    channels=st.lists(st.sampled_from(["refunds", "night", "finance"]), unique=True).map(tuple),
    error=st.none() | words,
)
verdicts: st.SearchStrategy[Verdict] = st.one_of(denials, approvals, requirements)


def as_strict(one: Verdict, other: Verdict) -> bool:
    """Whether `one` lets nothing through that `other` would stop."""
    if isinstance(one, Require) and isinstance(other, Require):
        return demands(one, other)
    if isinstance(one, Deny) or isinstance(other, Deny):
        return isinstance(one, Deny)
    return isinstance(other, AutoApprove) and set(one.windows) >= set(other.windows)


def contradictory(one: Verdict, other: Verdict) -> bool:
    """Whether some role would have to wait for another one, and that one for it."""
    if not isinstance(one, Require) or not isinstance(other, Require):
        return False
    waits = {
        (a.role, b.role)
        for asked in (one.stages, other.stages)
        for a in asked
        for b in asked
        if a.step < b.step
    }
    for _ in range(3):
        waits |= {(a, d) for a, b in waits for c, d in waits if b == c}
    return any(a == b for a, b in waits)


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
        "together": False,
        "cooling_off": None,
        "windows": [],
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
    assume(not contradictory(then, now))
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
    assume(not contradictory(then, now))
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


@given(verdicts, verdicts)
def test_each_part_of_the_stricter_verdict_is_as_strict_as_both_have_it(then: Verdict, now: Verdict) -> None:
    """Part by part, and not by `demands`, so that no mistake of the one is hidden by the other."""
    verdict = stricter(then, now)
    assume(isinstance(verdict, Require))
    assert isinstance(verdict, Require)
    for asked in (then, now):
        if isinstance(asked, AutoApprove):
            continue
        assert isinstance(asked, Require)
        counts = {stage.role: stage.count for stage in verdict.stages}
        assert all(counts[stage.role] >= stage.count for stage in asked.stages)
        assert verdict.step_up or not asked.step_up
        assert asked.together or not verdict.together
        assert (verdict.cooling_off or timedelta(0)) >= (asked.cooling_off or timedelta(0))
        assert verdict.escalation is None or (
            asked.escalation is not None
            and verdict.escalation.to == asked.escalation.to
            and verdict.escalation.after >= asked.escalation.after
        )
        # () tells every receiver.
        assert not verdict.channels or (asked.channels and set(asked.channels) <= set(verdict.channels))


def test_a_window_goes_to_json_and_back_and_what_was_stored_without_one_is_readable() -> None:
    verdict = AutoApprove("Small.", "small", windows=(Window(("sat",), time(22), time(6), "UTC"),))
    assert to_json(verdict)["windows"] == [
        {"days": ["sat"], "opens": "22:00:00", "closes": "06:00:00", "zone": "UTC"}
    ]
    assert from_json(to_json(verdict)) == verdict
    stored = {"kind": "auto_approve", "because": "Small.", "rule": "small"}  # before there were windows
    assert from_json(stored) == AutoApprove("Small.", "small")


@given(verdicts, verdicts)
def test_what_is_let_through_twice_is_let_through_while_both_windows_are_open(
    then: Verdict, now: Verdict
) -> None:
    verdict = stricter(then, now)
    if isinstance(verdict, Deny) or isinstance(then, Deny) or isinstance(now, Deny):
        return
    assert set(verdict.windows) == {*then.windows, *now.windows}


def ordered(*roles: str) -> Require:
    return Require(
        stages=tuple(Stage(role, 1, step) for step, role in enumerate(roles, 1)), because="b", rule="r"
    )


def test_two_orders_are_both_kept() -> None:
    both = stricter(ordered("support_lead", "finance"), ordered("legal", "support_lead"))
    assert isinstance(both, Require)
    assert {stage.role: stage.step for stage in both.stages} == {"legal": 1, "support_lead": 2, "finance": 3}


def test_roles_that_would_wait_for_each_other_are_asked_side_by_side() -> None:
    then, now = ordered("support_lead", "finance", "legal"), ordered("finance", "support_lead")
    both = stricter(then, now)
    assert isinstance(both, Require)
    # Everybody still has to agree, and legal still comes last.
    assert {stage.role: stage.step for stage in both.stages} == {"support_lead": 1, "finance": 1, "legal": 2}


def test_side_by_side_is_less_than_in_order() -> None:
    in_order = ordered("support_lead", "finance")
    beside = Require(stages=(Stage("support_lead", 1), Stage("finance", 1)), because="b", rule="r")
    assert demands(in_order, beside)
    assert not demands(beside, in_order)
    assert stricter(beside, in_order) == in_order


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (((), ("refunds",)), ()),
        ((("refunds",), ("night",)), ("refunds", "night")),
        ((("refunds",), ("refunds",)), ("refunds",)),
    ],
)
def test_whoever_one_of_two_verdicts_tells_is_told(
    asked: tuple[tuple[str, ...], tuple[str, ...]], told: tuple[str, ...]
) -> None:
    then, now = (
        Require(stages=(Stage("finance", 1),), because="b", rule="r", channels=each) for each in asked
    )
    both = stricter(then, now)
    assert isinstance(both, Require)
    assert both.channels == told


def test_an_escalation_holds_only_where_both_have_it_and_from_the_later_moment() -> None:
    def with_(escalation: Escalation | None) -> Require:
        return Require(stages=(Stage("finance", 1),), because="b", rule="r", escalation=escalation)

    early, late, other = (
        Escalation(timedelta(hours=hours), to)
        for hours, to in ((1, "legal"), (2, "legal"), (1, "support_lead"))
    )
    for then, now, kept in (
        (early, late, late),
        (late, early, late),
        (early, None, None),
        (early, other, None),
    ):
        both = stricter(with_(then), with_(now))
        assert isinstance(both, Require)
        assert both.escalation == kept
