"""All that a decision is about, in sections of named values: what a page shows and what a vote is bound to.

One function makes it for both, so that they cannot differ: `seen.py` digests `rows`, the pages show the same fields. To
add a section, add a function to SECTIONS and show what it returns in a template; a test then looks for every row of it
on the page. What our own code says of an action (its risks, its threats) is no part of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from pydantic import ValidationError

from approvals import actions, inverse
from approvals.characters import shown
from approvals.errors import Irreversible, NotFound, PayloadErased, PayloadUnreadable
from approvals.fields import Field, amount, compared, fields
from approvals.models import ApprovalRequest, Revision
from policies import wording
from policies.verdicts import Require, Verdict, from_json

REASON = "reason"

# A request as it is now, or as one of its earlier revisions was.
Content: TypeAlias = ApprovalRequest | Revision


@dataclass(frozen=True)
class Row:
    """One material field: where it stands on the page, under which name, and all that is shown of it."""

    section: str
    name: str
    shown: tuple[str, ...]


def claimed(of: Content) -> tuple[Field, ...]:
    """What the agent says, its reason among it."""
    return fields(of.arguments, declared(of)[0])


def looked_up(of: Content) -> tuple[Field, ...]:
    """The facts, each with the claim of the same name."""
    claims = tuple(claim for claim in claimed(of) if claim.name != REASON)
    return compared(fields(of.facts, declared(of)[1]), claims)


def rule(of: Content) -> tuple[Field, ...]:
    """What the policy says to it, whom it asks (for each role how many people), and what comes with that. Its version
    is no text of its own: `seen` holds its id."""
    verdict = from_json(of.verdict)
    found = [Field("rule", verdict.rule), Field("because", verdict.because)]
    if isinstance(verdict, Require):
        found += [Field("error", verdict.error)] if verdict.error else []
        found += [Field(stage.role, str(stage.count)) for stage in verdict.stages]
    return (*found, *terms(verdict))


def terms(asked: Verdict) -> tuple[Field, ...]:
    """What comes with it, in words: the order, the proof, the times, and who else may decide later."""
    return tuple(Field(name, text) for name, text in wording.terms(asked).items())


SECTIONS: Mapping[str, Callable[[Content], tuple[Field, ...]]] = MappingProxyType(
    {"claimed": claimed, "looked up": looked_up, "rule": rule}
)


def rows(request: ApprovalRequest) -> list[Row]:
    """Every material field, in the order of the page."""
    return [
        *_head(request),
        *(
            Row(section, field.name, field.shown)
            for section, made in SECTIONS.items()
            for field in made(request)
        ),
    ]


def _head(request: ApprovalRequest) -> list[Row]:
    money = amount(request.amount_minor, request.currency)
    exact = (money.text, f"exactly {money.minor} minor units of {money.currency}") if money else ()
    return [
        Row("head", "headline", (shown(request.headline),)),
        Row("head", "amount", exact),
        Row("head", "requester", (shown(request.requester_name),)),
        Row("head", "risk", (f"{request.risk.capitalize()} risk",)),
        *_undoes(request),
    ]


# Whether what is asked for is what the action calls its inverse, in words.
EXACTLY = "It asks for exactly what was before."
NOT_EXACTLY = (
    "It does not ask for exactly what was before: compare what is claimed with what the other one changed."
)


def _undoes(request: ApprovalRequest) -> list[Row]:
    if request.undoes_id is None:
        return []
    undone = inverse.undone(request)
    return [Row("head", "undoes", (shown(undone.headline), str(undone.pk), how_exactly(request)))]


UNTOLD = (
    "Whether it asked for exactly what was before can no longer be told: what it undoes is not kept any more."
)
NOT_COMPARED = (
    "Whether it asks for exactly what was before can no longer be told: the action is no longer offered, or has "
    "another form now."
)


def how_exactly(request: ApprovalRequest) -> str:
    """Of a request that undoes another one."""
    try:
        return EXACTLY if inverse.asks_exactly(request) else NOT_EXACTLY
    except (PayloadErased, PayloadUnreadable):
        return UNTOLD
    except (NotFound, Irreversible, ValidationError):
        return NOT_COMPARED


def declared(of: Content) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The order in which the action declares its arguments and its facts; none where it is no longer offered."""
    name = of.action if isinstance(of, ApprovalRequest) else of.request.action
    try:
        action = actions.get(name)
    except NotFound:
        return (), ()
    return tuple(action.arguments.model_fields), tuple(action.facts.model_fields)
