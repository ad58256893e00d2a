"""What a policy answers: deny, approve by itself, or require people. Frozen values, to JSON and back."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, PlainSerializer, TypeAdapter
from pydantic.dataclasses import dataclass

from .windows import Window

EXPIRES_IN = timedelta(hours=72)
VALID_FOR = timedelta(hours=4)
NO_TIME = timedelta(0)

Text = Annotated[str, Field(min_length=1)]


def _whole_seconds(duration: timedelta) -> timedelta:
    if duration <= timedelta(0) or duration.microseconds:
        raise ValueError("a duration is a whole number of seconds, at least one")
    return duration


# In JSON a duration is a whole number of seconds.
Duration = Annotated[
    timedelta,
    AfterValidator(_whole_seconds),
    PlainSerializer(lambda duration: int(duration.total_seconds()), return_type=int),
]

_frozen = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_frozen)
class Stage:
    """`count` different people of one reviewer role must agree.

    Stages of one `step` are filled side by side; the next step is asked when all of them are full.
    """

    role: Text
    count: Annotated[int, Field(ge=1)]
    step: Annotated[int, Field(ge=1)] = 1


@dataclass(frozen=True, config=_frozen)
class Escalation:
    """When `after` has passed without a decision, people of the role `to` may fill any place that is open."""

    after: Duration
    to: Text


def _distinct_roles(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    if len({stage.role for stage in stages}) < len(stages):
        raise ValueError("each role has one stage; put the number of people in its count")
    return stages


Stages = Annotated[tuple[Stage, ...], Field(min_length=1), AfterValidator(_distinct_roles)]


@dataclass(frozen=True, config=_frozen)
class Deny:
    """It must not happen. `public` may be read by the agent; `because` only by people."""

    public: Text
    because: Text
    rule: Text
    kind: Literal["deny"] = "deny"


@dataclass(frozen=True, config=_frozen)
class AutoApprove:
    """Nobody needs to be asked. It then waits at most `valid_for` for its execution, which all `windows` let in."""

    because: Text
    rule: Text
    valid_for: Duration = VALID_FOR
    windows: tuple[Window, ...] = ()
    kind: Literal["auto_approve"] = "auto_approve"


@dataclass(frozen=True, config=_frozen)
class Require:
    """People must agree, in every stage.

    They have `expires_in` to do so; an approval then waits at most `valid_for` for its execution, and at least
    `cooling_off`, in which it can be taken back, and until all `windows` are open. With `step_up` each of them proves
    once more who they are; with `together` they may decide it on one page with others.
    `channels` names the receivers that are told; () tells every one. `error` says what went wrong when a human
    decides because a rule could not be evaluated: for operators, never for an agent.
    """

    stages: Stages
    because: Text
    rule: Text
    expires_in: Duration = EXPIRES_IN
    valid_for: Duration = VALID_FOR
    step_up: bool = False
    together: bool = False
    cooling_off: Duration | None = None
    windows: tuple[Window, ...] = ()
    escalation: Escalation | None = None
    channels: tuple[Text, ...] = ()
    error: str | None = None
    kind: Literal["require"] = "require"


Verdict = Deny | AutoApprove | Require

_verdict: TypeAdapter[Verdict] = TypeAdapter(Annotated[Verdict, Discriminator("kind")])
_order = {AutoApprove: 0, Require: 1, Deny: 2}


def to_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON values; durations in whole seconds. `kind` tells which verdict it is."""
    dumped: dict[str, Any] = _verdict.dump_python(verdict, mode="json")
    return dumped


def from_json(value: Mapping[str, Any]) -> Verdict:
    """The verdict that `to_json` wrote. Raises ValueError (pydantic's ValidationError) for anything else."""
    return _verdict.validate_python(value)


def stricter(then: Verdict, now: Verdict) -> Verdict:
    """The verdict that satisfies both: of two judgements of one request, none may be weakened by the other.

    Deny outranks Require, which outranks AutoApprove. Two Requires add up: per role the larger count, the order of
    both, the shorter times, the longer cooling-off; an escalation only where both have one. What is let through at
    all is let through only while the windows of both are open. Of two equally strict verdicts the earlier one is kept.
    Two orders that contradict each other cannot both hold: the roles that would wait
    for each other are then asked side by side, and all of them must still agree.
    """
    if isinstance(then, Require) and isinstance(now, Require):
        return _both(then, now)
    if isinstance(then, AutoApprove) and isinstance(now, AutoApprove):
        then = replace(then, valid_for=min(then.valid_for, now.valid_for))
    strict, other = (now, then) if _order[type(now)] > _order[type(then)] else (then, now)
    if isinstance(strict, Deny) or isinstance(other, Deny):
        return strict
    return replace(strict, windows=_windows(strict.windows, other.windows))


def demands(strict: Require, other: Require) -> bool:
    """Whether `strict` asks for at least all that `other` asks for."""
    found = {stage.role: stage for stage in strict.stages}
    return (
        all(stage.role in found and found[stage.role].count >= stage.count for stage in other.stages)
        and _order_of(other.stages) <= _order_of(strict.stages)
        and strict.expires_in <= other.expires_in
        and strict.valid_for <= other.valid_for
        and strict.step_up >= other.step_up
        and strict.together <= other.together
        and (strict.cooling_off or NO_TIME) >= (other.cooling_off or NO_TIME)
        and set(strict.windows) >= set(other.windows)
        and _escalation(strict.escalation, other.escalation) == strict.escalation
        and set(_channels(strict.channels, other.channels)) == set(strict.channels)
    )


def _order_of(stages: tuple[Stage, ...]) -> set[tuple[str, str]]:
    """Every pair of roles of which the first must be full before the second is asked."""
    return {(one.role, other.role) for one in stages for other in stages if one.step < other.step}


def _both(then: Require, now: Require) -> Require:
    error = then.error or now.error
    if demands(then, now):
        return replace(then, error=error)
    if demands(now, then):
        return replace(now, error=error)
    return Require(
        stages=_stages(then.stages, now.stages),
        because=then.because if then.because == now.because else f"{then.because} {now.because}",
        rule=then.rule if then.rule == now.rule else f"{then.rule} + {now.rule}",
        expires_in=min(then.expires_in, now.expires_in),
        valid_for=min(then.valid_for, now.valid_for),
        step_up=then.step_up or now.step_up,
        together=then.together and now.together,
        cooling_off=max(then.cooling_off or NO_TIME, now.cooling_off or NO_TIME) or None,
        windows=_windows(then.windows, now.windows),
        escalation=_escalation(then.escalation, now.escalation),
        channels=_channels(then.channels, now.channels),
        error=error,
    )


def _stages(then: tuple[Stage, ...], now: tuple[Stage, ...]) -> tuple[Stage, ...]:
    counts: dict[str, int] = {}
    for stage in (*then, *now):
        counts[stage.role] = max(stage.count, counts.get(stage.role, 0))
    steps = _steps(list(counts), _order_of(then) | _order_of(now))
    return tuple(Stage(role, count, steps[role]) for role, count in counts.items())


def _steps(roles: list[str], before: set[tuple[str, str]]) -> dict[str, int]:
    """The earliest step of each role that keeps the order. Roles that wait for each other are asked side by side."""
    reaches = set(before)
    for middle in roles:
        reaches |= {(a, b) for a, x in reaches if x == middle for y, b in reaches if y == middle}
    kept = {(a, b) for a, b in reaches if (b, a) not in reaches}

    def step(role: str) -> int:
        return 1 + max((step(first) for first, later in kept if later == role), default=0)

    return {role: step(role) for role in roles}


def _escalation(then: Escalation | None, now: Escalation | None) -> Escalation | None:
    """It lets more people agree, so it holds only where both let it, and from the later moment."""
    if then is None or now is None or then.to != now.to:
        return None
    return max(then, now, key=lambda one: one.after)


def _windows(then: tuple[Window, ...], now: tuple[Window, ...]) -> tuple[Window, ...]:
    """All of them have to be open."""
    return tuple(dict.fromkeys((*then, *now)))


def _channels(then: tuple[str, ...], now: tuple[str, ...]) -> tuple[str, ...]:
    """Whoever one of them tells is told."""
    return tuple(dict.fromkeys((*then, *now))) if then and now else ()
