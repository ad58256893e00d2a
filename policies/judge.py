"""From a document and a context to a verdict. Whatever goes wrong here, a human decides."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .conditions import Condition, EvaluationError
from .context import Context, ContextError, values_for
from .errors import PolicyError
from .rules import Document, Judged
from .usage import rooms
from .verdicts import AutoApprove, Require, Stage, Verdict

FALLBACK_ROLE = "support_lead"
# The rules' names that no document can give; see `judge`.
DEFAULT, ERROR = "default", "error"


class RuleError(Exception):
    """A rule that had to be asked could not be worked out. The text names it and what kind of error it was."""


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """What one rule made of one context.

    `value` is its condition's answer, or None where there was none, and `error` then says why: it may quote a value,
    as `mentioned` does. `matched`
    marks the rule that gave the verdict: at most one in a trace, and none where a human decides for want of a
    rule or by error. `mentioned` holds each name in the condition with its value; `comment` is what the author
    wrote above the rule.
    """

    rule: str
    when: str
    because: str
    value: bool | None
    error: str | None
    matched: bool
    mentioned: tuple[tuple[str, object], ...] = ()
    comment: str = ""


def judge(
    document: Document | None, action: str, context: Context, *, fallback_role: str = FALLBACK_ROLE
) -> Verdict:
    """The verdict of the first rule whose condition holds. Never raises.

    A human of the `fallback_role` decides when nothing matches or there is no policy for the action (rule
    "default"), where a rule asks for nobody and a budget has no room (rule "budget"), and on any error (rule
    "error", with its kind for operators: a verdict is kept unsealed, so it quotes no argument and no fact).
    """
    try:
        judged = document.judged(action) if document is not None else None
        verdict = _first_match(judged, context) if judged else None
        if document is not None and isinstance(verdict, AutoApprove):
            verdict = _within_budget(document, action, context, fallback_role, verdict)
    except Exception as error:
        # Fail closed, whatever broke: the worst outcome here is a question to a person.
        return broken(error, fallback_role=fallback_role)
    if verdict is None:
        because = "No rule of the policy covers this, so a human decides."
        return Require(stages=(Stage(fallback_role, 1),), because=because, rule=DEFAULT)
    return verdict


def broken(error: Exception, *, fallback_role: str = FALLBACK_ROLE) -> Require:
    """The verdict where a policy cannot be evaluated, or not even be read: a human decides."""
    because = "The policy could not be evaluated, so a human decides."
    return Require(stages=(Stage(fallback_role, 1),), because=because, rule=ERROR, error=_plainly(error))


def rule_at_fault(error: str) -> str:
    """The rule that the text of a verdict's `error` names; "" where it was none of them."""
    named = re.match(r"Rule '([a-z][a-z0-9_-]*)': ", error)
    return named[1] if named else ""


def explain(document: Document | None, action: str, context: Context) -> tuple[RuleTrace, ...]:
    """What each rule of the action says about the context, in order, those behind the deciding one included.

    Empty where there is no policy for the action. Raises LookupError for a document that was not made by
    `documents.load`.
    """
    judged = document.judged(action) if document is not None else None
    if document is None or judged is None:
        return ()
    return tuple(_traces(document, action, judged, context))


def _traces(document: Document, action: str, judged: Judged, context: Context) -> Iterator[RuleTrace]:
    values, problem = _values(judged, context)
    undecided = True
    for rule, condition in judged.rules:
        value, error = _answer(condition, values) if problem is None else (None, problem)
        yield RuleTrace(
            rule=rule.name,
            when=rule.when,
            because=rule.because,
            value=value,
            error=error,
            matched=undecided and value is True,
            mentioned=tuple((name, values[name]) for name in condition.names if name in values),
            comment=document.comment(action, rule.name),
        )
        undecided = undecided and value is False


def _values(judged: Judged, context: Context) -> tuple[dict[str, object], str | None]:
    try:
        return values_for(judged.signature, context), None
    except Exception as error:  # As in `judge`: any error at all is an answer.
        return {}, _text(error)


def _first_match(judged: Judged, context: Context) -> Verdict | None:
    values = values_for(judged.signature, context)
    for rule, condition in judged.rules:
        try:
            holds = condition.holds(values)
        except Exception as error:
            raise RuleError(f"Rule '{rule.name}': {_plainly(error)}") from error
        if holds:
            return rule.verdict()
    return None


def _within_budget(
    document: Document, action: str, context: Context, role: str, verdict: AutoApprove
) -> Verdict:
    """No rule spends what a cap does not leave; people see what is left, and decide when."""
    found = rooms(document.usages(action), context.usage, context.amount_minor, context.currency)
    over = [str(room) for room in found if room.is_over]
    if not over:
        return verdict
    because = f"{' '.join(over)} So a human decides."
    return Require(stages=(Stage(role, 1),), because=because, rule="budget")


def _answer(condition: Condition, values: dict[str, object]) -> tuple[bool | None, str | None]:
    try:
        return condition.holds(values), None
    except Exception as error:  # As in `judge`: any error at all is this rule's answer.
        return None, _text(error)


def _text(error: Exception) -> str:
    """The whole of it, which may quote what was asked for: for whoever explains, and kept nowhere."""
    return f"{type(error).__name__}: {error}"


def _plainly(error: Exception) -> str:
    """What kind of error it was. These say themselves that they quote no value; of any other, its name."""
    name = type(error).__name__
    match error:
        case RuleError():
            return str(error)
        case EvaluationError():
            return f"{name}: {error.kind}"
        case ContextError() | PolicyError():
            return f"{name}: {error}"
    return name
