"""The registry: one file in this folder is one action.

The MCP tool, its schemas, the review page and the policy's types all derive from that file; nothing else has to
be edited to add one. What people ask for (`asked_by`) has no tool: the door is offered `every()`, which leaves it out.
"""

from importlib import import_module
from pkgutil import iter_modules

from django.conf import settings

from approvals.actions import declared
from approvals.actions.contract import Action, AnyAction, NotReversible
from approvals.errors import NotFound
from policies.signature import Signature, signature_of

_ACTIONS: dict[str, AnyAction] = {}
_NOT_ACTIONS = {"contract", "declared", "inside", "money", "practice"}
# Who refunds, as REFUNDS_BY says, and the file that does it.
_REFUNDS = {"shop": "refund_payment", "stripe": "refund_by_stripe"}


def discover() -> None:
    """Import every module of this folder that the settings ask for, and register the `ACTION` it declares; then those
    that this deployment declares. Raises SettingMissing or ActionUnreadable.
    """
    others = {file for by, file in _REFUNDS.items() if by != settings.REFUNDS_BY}
    for module in iter_modules(__path__):
        if module.name not in _NOT_ACTIONS | others:
            register(import_module(f"{__name__}.{module.name}").ACTION)
    for action in declared.load(settings.DECLARED_ACTIONS, _ACTIONS):
        register(action)


def register(action: AnyAction) -> None:
    """Raises ValueError when an action of another file has the same name or tool, or when one that names an inverse
    does not say with which arguments: what it did could not be undone, and its page could not say so.
    """
    if not isinstance(action.inverse, NotReversible) and not action.can_undo():
        raise ValueError(f"{type(action).__name__} names an inverse, and has no undo of its own.")
    for other in _ACTIONS.values():
        if type(other) is not type(action) and {action.name, action.tool} & {other.name, other.tool}:
            raise ValueError(f"{type(action).__name__} and {type(other).__name__} share a name.")
    _ACTIONS[action.name] = action


def get(name: str) -> AnyAction:
    try:
        return _ACTIONS[name]
    except KeyError:
        raise NotFound(thing="action", id=name) from None


def every() -> tuple[AnyAction, ...]:
    """All actions that agents are offered, in the order of their tools' names."""
    return tuple(action for action in known() if action.asked_by == "agent")


def known() -> tuple[AnyAction, ...]:
    """All actions, those that only people ask for too."""
    return tuple(sorted(_ACTIONS.values(), key=lambda action: action.tool))


def of_people() -> frozenset[str]:
    """The names of those that only people ask for. They are carried out in our own database."""
    return frozenset(action.name for action in known() if action.asked_by == "person")


def signatures() -> dict[str, Signature]:
    """Every action's types, for a policy document to be checked against."""
    return {
        action.name: signature_of(
            action.arguments,
            action.facts,
            subjects=action.subjects,
            moves_money=action.moves_money(),
            counted=action.asked_by == "agent",
        )
        for action in known()
    }


__all__ = ["Action", "AnyAction", "discover", "every", "get", "known", "of_people", "register", "signatures"]
