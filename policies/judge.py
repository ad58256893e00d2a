"""From a document and a context to a verdict. Whatever goes wrong here, a human decides."""

from dataclasses import dataclass

from .conditions import Condition
from .context import Context, values_for
from .rules import Document, Judged
from .usage import rooms
from .verdicts import AutoApprove, Require, Stage, Verdict

FALLBACK_ROLE = "support_lead"


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """What one rule made of one context.

    `value` is its condition's answer, or None where there was none, and `error` then says why. `matched`
    marks the rule that gave the verdict: at most one in a trace, and none where a human decides for want of a
    rule or by error.
    """

    rule: str
    when: str
    because: str
    value: bool | None
    error: str | None
    matched: bool


def judge(
    document: Document | None, action: str, context: Context, *, fallback_role: str = FALLBACK_ROLE
) -> Verdict:
    """The verdict of the first rule whose condition holds. Never raises.

    A human of the `fallback_role` decides when nothing matches or there is no policy for the action (rule
    "default"), where a rule asks for nobody and a budget has no room (rule "budget"), and on any error (rule
    "error", with the error's text for operators).
    """
    try:
        judged = document.judged(action) if document is not None else None
        verdict = _first_match(judged, context) if judged else None
        if document is not None and isinstance(verdict, AutoApprove):
            verdict = _within_budget(document, action, context, fallback_role, verdict)
    except Exception as error:
        # Fail closed, whatever broke: the worst outcome here is a question to a person.
        because = "The policy could not be evaluated, so a human decides."
        stages = (Stage(fallback_role, 1),)
        return Require(stages=stages, because=because, rule="error", error=_text(error))
    if verdict is None:
        because = "No rule of the policy covers this, so a human decides."
        return Require(stages=(Stage(fallback_role, 1),), because=because, rule="default")
    return verdict


def explain(document: Document | None, action: str, context: Context) -> tuple[RuleTrace, ...]:
    """What each rule of the action says about the context, in order, those behind the deciding one included.

    Empty where there is no policy for the action. Raises LookupError for a document that was not made by
    `documents.load`.
    """
    judged = document.judged(action) if document is not None else None
    if judged is None:
        return ()
    traces: list[RuleTrace] = []
    undecided = True
    for rule, condition in judged.rules:
        value, error = _answer(judged, condition, context)
        matched = undecided and value is True
        traces.append(RuleTrace(rule.name, rule.when, rule.because, value, error, matched))
        undecided = undecided and value is False
    return tuple(traces)


def _first_match(judged: Judged, context: Context) -> Verdict | None:
    values = values_for(judged.signature, context)
    return next((rule.verdict() for rule, condition in judged.rules if condition.holds(values)), None)


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


def _answer(judged: Judged, condition: Condition, context: Context) -> tuple[bool | None, str | None]:
    try:
        return condition.holds(values_for(judged.signature, context)), None
    except Exception as error:  # As in `judge`: any error at all is this rule's answer.
        return None, _text(error)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
