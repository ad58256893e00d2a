"""A verdict in words for people: whom it asks, what comes with that, and what tells two verdicts apart."""

from .durations import in_words
from .verdicts import AutoApprove, Require, Verdict


def told(verdict: Verdict) -> str:
    """What it says in one line: `2 finance lead, by 'Large refunds'`."""
    return f"{_asked(verdict)}, by '{verdict.rule}'"


def told_apart(was: Verdict, becomes: Verdict) -> tuple[str, str]:
    """Two verdicts in one line each, with the terms in which they differ: two that differ never read the same."""
    before, after = _all_terms(was), _all_terms(becomes)
    differ = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if not isinstance(was, Require) or not isinstance(becomes, Require):
        differ = []  # what one of them does not ask for at all is said by the rest of the line
    lines = _line(was, before, differ), _line(becomes, after, differ)
    if lines[0] == lines[1] and was != becomes:
        return f"{lines[0]}, because {was.because}", f"{lines[1]}, because {becomes.because}"
    return lines


def terms(asked: Require) -> dict[str, str]:
    """What comes with asking people: the order, the proof, the times, and who else may decide later."""
    steps = sorted({stage.step for stage in asked.stages})
    by_step = [" and ".join(role(one.role) for one in asked.stages if one.step == step) for step in steps]
    found = {"order": f"first {', then '.join(by_step)}"} if len(steps) > 1 else {}
    if asked.step_up:
        found["proof"] = "each decision asks for a fresh proof of who decides"
    if asked.cooling_off:
        found["cooling-off"] = (
            f"it may be taken back for {in_words(asked.cooling_off)} before it is carried out"
        )
    if asked.escalation:
        after, to = in_words(asked.escalation.after), role(asked.escalation.to)
        found["escalation"] = f"after {after} without a decision {to} may decide too"
    found["validity"] = f"an approval is good for {in_words(asked.valid_for)}"
    return found


def role(name: str) -> str:
    """`finance_lead` as people say it."""
    return name.replace("_", " ")


# What is said of a term that only the other of two verdicts has.
_ABSENT = {
    "order": "side by side",
    "proof": "without a fresh proof of who decides",
    "cooling-off": "carried out at once",
    "escalation": "nobody else may decide later",
    "channels": "every receiver is told",
    "error": "worked out without an error",
}


def _asked(verdict: Verdict) -> str:
    if isinstance(verdict, Require):
        return ", ".join(f"{stage.count} {role(stage.role)}" for stage in verdict.stages)
    return "asks nobody" if isinstance(verdict, AutoApprove) else "refused"


def _line(verdict: Verdict, of_it: dict[str, str], differ: list[str]) -> str:
    return "; ".join([told(verdict), *(of_it.get(name) or _ABSENT[name] for name in differ)])


def _all_terms(verdict: Verdict) -> dict[str, str]:
    """Those that a decision is about, and those that are no part of it."""
    if not isinstance(verdict, Require):
        return {}
    found = {**terms(verdict), "deadline": f"to be decided within {in_words(verdict.expires_in)}"}
    if verdict.channels:
        found["channels"] = f"{', '.join(sorted(verdict.channels))} told"
    if verdict.error:
        found["error"] = verdict.error
    return found
