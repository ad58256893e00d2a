"""What a request would change, worked out before anybody decides: the facts now, and as they would be found then.

It follows from the action's file and from what was claimed and looked up, so it is no part of what a vote is bound to.
The company's system has the last word.
"""

from dataclasses import dataclass

from pydantic import ValidationError

from approvals import actions
from approvals.actions.contract import Facts
from approvals.errors import NotFound
from approvals.fields import Field, fields
from approvals.models import ApprovalRequest


@dataclass(frozen=True)
class Change:
    """One fact as it is now, and as it would be then."""

    name: str
    now: Field
    then: Field


@dataclass(frozen=True)
class Effect:
    """`goes_to` is where the money would go, "" where none moves; `changes` are in the order of the action's facts."""

    goes_to: str = ""
    changes: tuple[Change, ...] = ()


def effect(request: ApprovalRequest) -> Effect | None:
    """None where what was looked up does not tell, or the action has another form now."""
    try:
        action = actions.get(request.action)
        arguments = action.arguments.model_validate_json(request.arguments)
        facts = action.facts.model_validate_json(request.facts)
    except (NotFound, ValidationError):
        return None
    after = action.afterwards(arguments, facts) if request.action_version == action.version else None
    return Effect(action.goes_to(arguments, facts), _changes(action, facts, after)) if after else None


def _changes(action: actions.AnyAction, facts: Facts, after: Facts) -> tuple[Change, ...]:
    order = tuple(action.facts.model_fields)
    now, then = ({one.name: one for one in fields(said.model_dump_json(), order)} for said in (facts, after))
    told = [name for name in now if name in then and name.partition(".")[0] not in action.echoes]
    return tuple(Change(name, now[name], then[name]) for name in told if now[name].value != then[name].value)
