"""A verdict in words for people: whom it asks, what comes with that, and what tells two verdicts apart."""

from . import windows
from .durations import in_words
from .verdicts import AutoApprove, Deny, Require, Verdict


def told(verdict: Verdict) -> str:
    """What it says in one line: `2 finance lead, by 'Large refunds'`, and when it may be carried out."""
    return "; ".join(filter(None, (_said(verdict), _open(verdict))))


def asks(verdict: Verdict) -> str:
    """`told`, for whoever names the rule beside it: `2 finance lead`, and when it may be carried out."""
    return "; ".join(filter(None, (_asked(verdict), _open(verdict))))


def told_apart(was: Verdict, becomes: Verdict) -> tuple[str, str]:
    """Two verdicts in one line each, with the terms in which they differ: two that differ never read the same."""
    before, after = _all_terms(was), _all_terms(becomes)
    differ = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if type(was) is not type(becomes):
        differ = []  # what one of them does not ask for at all is said by the rest of the line
    lines = _line(was, before, differ), _line(becomes, after, differ)
    if lines[0] == lines[1] and was != becomes:
        return f"{lines[0]}, because {was.because}", f"{lines[1]}, because {becomes.because}"
    return lines


def terms(asked: Verdict) -> dict[str, str]:
    """What comes with it. With asking people: the order, the proof, the times, and who else may decide later; where
    nobody is asked, when it may be carried out, if not at any time."""
    window = {"window": _open(asked)} if _open(asked) else {}
    if not isinstance(asked, Require):
        return {**window, **_validity(asked)} if window else {}
    steps = sorted({stage.step for stage in asked.stages})
    by_step = [" and ".join(role(one.role) for one in asked.stages if one.step == step) for step in steps]
    found = {"order": f"first {', then '.join(by_step)}"} if len(steps) > 1 else {}
    if asked.step_up:
        found["proof"] = "each decision asks for a fresh proof of who decides"
    if asked.together:
        found["together"] = "it may be decided on one page with others"
    if asked.cooling_off:
        found["cooling-off"] = (
            f"it may be taken back for {in_words(asked.cooling_off)} before it is carried out"
        )
    found |= window
    if asked.escalation:
        after, to = in_words(asked.escalation.after), role(asked.escalation.to)
        found["escalation"] = f"after {after} without a decision {to} may decide too"
    return {**found, **_validity(asked)}


def role(name: str) -> str:
    """`finance_lead` as people say it."""
    return name.replace("_", " ")


# What is said of a term that only the other of two verdicts has.
_ABSENT = {
    "order": "side by side",
    "proof": "without a fresh proof of who decides",
    "together": "decided on a page of its own",
    "cooling-off": "carried out at once",
    "window": "carried out at any time",
    "escalation": "nobody else may decide later",
    "channels": "every receiver is told",
    "error": "worked out without an error",
}


def _said(verdict: Verdict) -> str:
    return f"{_asked(verdict)}, by '{verdict.rule}'"


def _open(verdict: Verdict) -> str:
    """When it may be carried out; "" where that is at any time, or never."""
    given = () if isinstance(verdict, Deny) else verdict.windows
    return f"carried out only {' and only '.join(map(windows.in_words, given))}" if given else ""


def _validity(verdict: Verdict) -> dict[str, str]:
    if isinstance(verdict, Deny):
        return {}
    return {"validity": f"an approval is good for {in_words(verdict.valid_for)}"}


def _asked(verdict: Verdict) -> str:
    if isinstance(verdict, Require):
        return ", ".join(f"{stage.count} {role(stage.role)}" for stage in verdict.stages)
    return "asks nobody" if isinstance(verdict, AutoApprove) else "refused"


def _line(verdict: Verdict, of_it: dict[str, str], differ: list[str]) -> str:
    begins = _said(verdict) if "window" in differ else told(verdict)
    return "; ".join([begins, *(of_it.get(name) or _ABSENT[name] for name in differ)])


def _all_terms(verdict: Verdict) -> dict[str, str]:
    """Those that a decision is about, and those that are no part of it."""
    if not isinstance(verdict, Require):
        return {**terms(verdict), **_validity(verdict)}
    found = {**terms(verdict), "deadline": f"to be decided within {in_words(verdict.expires_in)}"}
    if verdict.channels:
        found["channels"] = f"{', '.join(sorted(verdict.channels))} told"
    if verdict.error:
        found["error"] = verdict.error
    return found
