"""The question put to a policy: what is claimed, what was looked up, who asks, and when."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Literal

from .signature import Scalar, Signature, Variable

_CLASSES: dict[Scalar, type] = {"int": int, "str": str, "bool": bool, "float": float, "timestamp": datetime}


class ContextError(Exception):
    """A value does not fit the action's signature. Names the field and its type, never the value."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks. `owner_id` is the person who answers for an agent; `on_behalf_of` is "" for nobody."""

    kind: Literal["agent", "person"]
    id: str
    owner_id: str
    on_behalf_of: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """`args` and `facts` as `model_dump()` gives them (Python values, not JSON); `now` with its time zone.

    `usage` has a value for each name that the document counts of the action. `amount_minor` is what the request would
    move, in minor units of `currency`; None for nothing.
    """

    args: Mapping[str, object]
    facts: Mapping[str, object]
    requester: Requester
    now: datetime
    usage: Mapping[str, int] = field(default_factory=dict)
    amount_minor: int | None = None
    currency: str = ""


_REQUESTER = tuple(each.name for each in fields(Requester))


def values_for(signature: Signature, context: Context) -> dict[str, object]:
    """Every name of the signature with its value. Raises ContextError when one is missing or ill-typed."""
    whole: dict[str, object] = {
        "args": context.args,
        "facts": context.facts,
        "requester": {name: getattr(context.requester, name) for name in _REQUESTER},
        "now": context.now,
        "usage": context.usage,
    }
    return {name: _value(name, parts, variable, whole) for name, parts, variable in signature.paths}


def _value(name: str, parts: tuple[str, ...], variable: Variable, whole: dict[str, object]) -> object:
    try:
        return _fitting(variable, _read(whole, parts), variable.lists)
    except KeyError:
        raise ContextError(f"{name} is missing") from None
    except TypeError as error:
        raise ContextError(f"{name} {error}") from None


def _read(value: object, path: tuple[str, ...]) -> object:
    if isinstance(value, list | tuple):
        return [_read(element, path) for element in value]
    if not path or value is None:
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"has no field '{path[0]}'")
    return _read(value[path[0]], path[1:])


def _fitting(variable: Variable, value: object, lists: int) -> object:
    """The value as CEL takes it. Raises TypeError when it is not what the signature says."""
    if lists and isinstance(value, list):
        return [_fitting(variable, element, lists - 1) for element in value]
    if value is None and variable.nullable:
        return None
    expected = _CLASSES[variable.scalar]
    # Python counts True as an int; a rule about an amount must not.
    if lists or not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise TypeError(f"should be {'a list of ' * lists}{variable.scalar}, not {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError("is not a finite number")
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise TypeError("has no time zone")
    # CEL takes no subclass of str: an enum becomes its text.
    return str.__str__(value) if isinstance(value, str) else value
