"""What a policy answers: deny, approve by itself, or require people. Frozen values, to JSON and back."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, PlainSerializer, TypeAdapter
from pydantic.dataclasses import dataclass

EXPIRES_IN = timedelta(hours=72)
VALID_FOR = timedelta(hours=4)

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
    """`count` different people of one reviewer role must agree."""

    role: Text
    count: Annotated[int, Field(ge=1)]


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
    """Nobody needs to be asked."""

    because: Text
    rule: Text
    kind: Literal["auto_approve"] = "auto_approve"


@dataclass(frozen=True, config=_frozen)
class Require:
    """People must agree, in every stage.

    They have `expires_in` to do so; an approval then waits at most `valid_for` for its execution. `error`
    says what went wrong when a human decides because a rule could not be evaluated: for operators, never for
    an agent.
    """

    stages: Stages
    because: Text
    rule: Text
    expires_in: Duration = EXPIRES_IN
    valid_for: Duration = VALID_FOR
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

    Deny outranks Require, which outranks AutoApprove. Two Requires add up: per role the larger count, the
    shorter times. Of two equally strict verdicts the earlier one is kept.
    """
    if isinstance(then, Require) and isinstance(now, Require):
        return _both(then, now)
    return now if _order[type(now)] > _order[type(then)] else then


def demands(strict: Require, other: Require) -> bool:
    """Whether `strict` asks for at least all that `other` asks for."""
    counts = {stage.role: stage.count for stage in strict.stages}
    return (
        all(counts.get(stage.role, 0) >= stage.count for stage in other.stages)
        and strict.expires_in <= other.expires_in
        and strict.valid_for <= other.valid_for
    )


def _both(then: Require, now: Require) -> Require:
    error = then.error or now.error
    if demands(then, now):
        return replace(then, error=error)
    if demands(now, then):
        return replace(now, error=error)
    counts = {stage.role: stage.count for stage in then.stages}
    for stage in now.stages:
        counts[stage.role] = max(stage.count, counts.get(stage.role, 0))
    return Require(
        stages=tuple(Stage(role, count) for role, count in counts.items()),
        because=then.because if then.because == now.because else f"{then.because} {now.because}",
        rule=then.rule if then.rule == now.rule else f"{then.rule} + {now.rule}",
        expires_in=min(then.expires_in, now.expires_in),
        valid_for=min(then.valid_for, now.valid_for),
        error=error,
    )
