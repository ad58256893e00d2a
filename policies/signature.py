"""What a condition may speak about: the typed fields of one action, derived from its pydantic models.

A nested model is reached with dots (`args.address.country`). A list of models is seen by column, because only
a column has one type: `args.lines.quantity` is the list of all quantities, in order.

An optional field may be null. `facts.shipped_at == null` asks for that, and `facts.shipped_at != null && ...`
guards a comparison. An order comparison, arithmetic or a method on a null is an error, and an error means
that a human decides. Equality is not an error: null equals null alone, so `facts.note != "x"` is true of a
null. When an optional model is null, each of its fields is null.
"""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

Scalar = Literal["int", "str", "bool", "float", "timestamp"]


@dataclass(frozen=True, slots=True)
class Variable:
    """The type of one field: a scalar, possibly null, or lists of it nested `lists` deep."""

    scalar: Scalar
    nullable: bool = False
    lists: int = 0


# Who asks, and when: true of every action. `on_behalf_of` is "" when the agent acts for itself.
COMMON: Mapping[str, Variable] = {
    "requester.kind": Variable("str"),
    "requester.id": Variable("str"),
    "requester.owner_id": Variable("str"),
    "requester.on_behalf_of": Variable("str"),
    "now": Variable("timestamp"),
}

Models = tuple[type[BaseModel], ...]

_SCALARS: dict[Any, Scalar] = {int: "int", str: "str", bool: "bool", float: "float", datetime: "timestamp"}


@dataclass(frozen=True)
class Signature:
    """One action's types. Keys are dotted paths inside the model, without the leading `args.` or `facts.`.

    `subjects` are whom or what the action says it is about (`customer`, `order`); `usage` is what the document that
    is being read counts of it (usage.py). No usage may cover one that is not `counted`.
    """

    args: Mapping[str, Variable]
    facts: Mapping[str, Variable]
    subjects: frozenset[str] = frozenset()
    moves_money: bool = False
    counted: bool = True
    usage: Mapping[str, Variable] = field(default_factory=dict)

    def variables(self) -> dict[str, Variable]:
        """Every name a condition may use, in full (`args.amount_minor`), with its type."""
        return dict(self._variables)

    @cached_property
    def paths(self) -> tuple[tuple[str, tuple[str, ...], Variable], ...]:
        """The same, each with its name's parts: worked out once, for every question asks for all of them."""
        return tuple((name, tuple(name.split(".")), variable) for name, variable in self._variables.items())

    @cached_property
    def _variables(self) -> dict[str, Variable]:
        named = {f"args.{path}": variable for path, variable in self.args.items()}
        named |= {f"facts.{path}": variable for path, variable in self.facts.items()}
        named |= {f"usage.{name}": variable for name, variable in self.usage.items()}
        return named | dict(COMMON)


def signature_of(
    arguments: type[BaseModel],
    facts: type[BaseModel],
    *,
    subjects: Mapping[str, str] | None = None,
    moves_money: bool = False,
    counted: bool = True,
) -> Signature:
    """Derive the types of an action from its two models.

    Knows int, str, bool, float, datetime, Literal and StrEnum of text, nested models, list and
    `tuple[X, ...]` of those, and `X | None`. A list may not be null, and neither may its elements. `subjects` says
    where the id of each stands, such as `facts.customer_id`. Raises TypeError, naming the field, for any other type: a
    condition could not be checked.
    """
    args, looked_up = dict(_fields(arguments, ())), dict(_fields(facts, ()))
    signature = Signature(args, looked_up, frozenset(subjects or ()), moves_money, counted)
    known = signature.variables()
    for subject, path in (subjects or {}).items():
        if known.get(path) != Variable("str"):
            raise TypeError(f"the {subject} is {path}, which is no text that is always there")
    return signature


def _fields(model: type[BaseModel], inside: Models) -> Iterator[tuple[str, Variable]]:
    if model in inside:
        raise TypeError(f"{model.__name__} contains itself; only a type with an end can be checked")
    for name, info in model.model_fields.items():
        try:
            for path, variable in _paths(info.annotation, (*inside, model)):
                yield f"{name}.{path}" if path else name, variable
        except TypeError as error:
            raise TypeError(f"{model.__name__}.{name}: {error}") from None


def _paths(annotation: Any, inside: Models) -> Iterator[tuple[str, Variable]]:
    """Pairs of (path below this field, type); the path is "" for a field that is itself a value."""
    origin, parameters = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _paths(parameters[0], inside)
    elif origin in (Union, types.UnionType):
        yield from _optional(parameters, inside)
    elif origin is list or (origin is tuple and parameters[1:] == (Ellipsis,)):
        yield from _listed(parameters[0], inside)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _fields(annotation, inside)
    else:
        yield "", Variable(_scalar(annotation))


def _scalar(annotation: Any) -> Scalar:
    if get_origin(annotation) is Literal and all(isinstance(value, str) for value in get_args(annotation)):
        return "str"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return "str"
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    raise TypeError(f"{annotation!r} is unknown; use int, str, bool, float, datetime or a model of them")


def _optional(members: tuple[Any, ...], inside: Models) -> Iterator[tuple[str, Variable]]:
    present = [member for member in members if member is not types.NoneType]
    if len(present) != 1:
        raise TypeError("a union of several types cannot be checked; only `X | None` is known")
    for path, variable in _paths(present[0], inside):
        if variable.lists:
            raise TypeError("a list may not be null; use an empty list")
        yield path, replace(variable, nullable=True)


def _listed(element: Any, inside: Models) -> Iterator[tuple[str, Variable]]:
    for path, variable in _paths(element, inside):
        if variable.nullable:
            raise TypeError("an element of a list may not be null; leave it out of the list")
        yield path, replace(variable, lists=variable.lists + 1)
