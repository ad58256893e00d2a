"""What the parts of a declaration must have to do with each other: what no single value shows."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeAlias

from approvals.actions.declared import expected, templates
from approvals.actions.declared.document import Declaration, Reconcile
from approvals.actions.declared.schema import ObjectSchema, Property, name_problem, pattern_problem
from approvals.actions.declared.templates import REFERENCE, Body, TemplateError
from approvals.actions.money import DECIMALS

LONGEST_ID = 100  # of the thing that is changed: a request keeps it in a column

Found: TypeAlias = Iterator[tuple[tuple[str | int, ...], str]]


def problems(of: Declaration) -> Found:
    """Where the parts do not fit each other: a path in the document, and what to tell its author."""
    for place in ("arguments", "facts"):
        yield from _of_schema(getattr(of, place), place)
    yield from _of_thing(of)
    yield from _of_money(of)
    for subject, place in of.subjects.items():
        if place.partition(".")[2] in of.sensitive:
            yield (
                ("subjects", subject),
                "What is sensitive is no subject: a request keeps its id in the clear.",
            )
    for index, name in enumerate(of.sensitive):
        if name not in {*of.arguments.properties, *of.facts.properties}:
            yield ("sensitive", index), f"There is no argument or fact '{name}'."
    for name in of.look_up.take:
        if name not in of.facts.properties:
            yield ("look_up", "take", name), f"There is no fact '{name}'."
    yield from _of_templates(of)
    yield from _of_afterwards(of)


def _of_schema(schema: ObjectSchema, place: str) -> Found:
    for name, one in schema.properties.items():
        if problem := name_problem(name):
            yield (place, "properties", name), problem
        if one.pattern and (problem := pattern_problem(one)):
            yield (place, "properties", name, "pattern"), problem
    for index, name in enumerate(schema.required):
        if name not in schema.properties:
            yield (place, "required", index), f"'{name}' is none of the properties."


def _of_thing(of: Declaration) -> Found:
    one = of.arguments.properties.get(of.thing_id)
    if one is None or one.type != "string" or not of.arguments.is_needed(of.thing_id):
        yield ("thing_id",), "This is the name of a required string argument."
    elif max(one.max_length or 0, *map(len, one.enum or ("",))) > LONGEST_ID:
        where = ("arguments", "properties", of.thing_id, "maxLength")
        yield where, f"An id has at most {LONGEST_ID} characters."
    elif of.thing_id in of.sensitive:
        yield ("thing_id",), "What is sensitive cannot name the thing: the trail keeps its id."


def _of_money(of: Declaration) -> Found:
    if of.money is None:
        return
    for part, name in (("amount", of.money.amount), ("currency", of.money.currency)):
        if name in of.sensitive:
            yield ("money", part), "What is sensitive is no money: a request keeps its amount in the clear."
    amount, currency = (of.arguments.properties.get(name) for name in (of.money.amount, of.money.currency))
    if amount is None or amount.type != "integer" or not of.arguments.is_needed(of.money.amount):
        yield ("money", "amount"), "This is the name of a required integer argument."
    elif (amount.minimum or 0) < 1:
        yield ("arguments", "properties", of.money.amount, "minimum"), "An amount is at least 1."
    if not of.money.amount.endswith("_minor"):
        yield ("money", "amount"), "The name of an amount ends in _minor, so that pages show it as money."
    if currency is None or currency.type != "string" or not of.arguments.is_needed(of.money.currency):
        yield ("money", "currency"), "This is the name of a required string argument."
    elif problem := _not_codes(currency):
        yield ("arguments", "properties", of.money.currency), problem
    if of.money.currency != "currency":
        yield ("money", "currency"), "It is called currency, so that pages show the amount as money."


def _not_codes(currency: Property) -> str:
    """Why this is no currency; "" when it is one: any that is active, or one of those in its enum."""
    if currency.pattern:
        return "A currency is limited by an enum of ISO 4217 codes, and has no pattern."
    unknown = [code for code in currency.enum or () if code not in DECIMALS]
    return f"{unknown[0]} is not an active ISO 4217 currency." if unknown else ""


def _of_templates(of: Declaration) -> Found:
    """Each template is plain, and names what there is where it stands."""
    arguments = set(of.arguments.properties)
    facts = {f"facts.{name}" for name in of.facts.properties}
    allowed = {"look_up": arguments, "execute": arguments | {REFERENCE}, "reconcile": arguments | {REFERENCE}}
    for part, names in allowed.items():
        call = getattr(of, part)
        yield from _of_path(of, part, call.path, names)
        for name, value in getattr(call, "query", {}).items():
            yield from _named(partial(_names_in_value, value), (part, "query", name), names - _hidden(of))
    if not _tells_apart(of.reconcile):
        yield ("reconcile",), "It asks for one request: {reference} stands in the path or in the query."
    if (
        of.thing_id not in _names_in_path(of.look_up.path)
        and f"{{{of.thing_id}}}" not in of.look_up.query.values()
    ):
        yield ("look_up",), f"It asks for the thing: {{{of.thing_id}}} stands in the path or in the query."
    if _depth(of.execute.body) > 4:
        yield ("execute", "body"), "A body is nested three deep at most."
    elif not _is_plain(of.execute.body):
        yield ("execute", "body"), "A body is made of names and texts; it has no lists."
    else:
        everything = arguments | facts | {REFERENCE, "reason"}
        yield from _named(partial(templates.names_in_body, of.execute.body), ("execute", "body"), everything)
    # A request keeps both in the clear, for good.
    told = (arguments | facts | ({"money"} if of.money else set())) - _hidden(of)
    yield from _named(partial(templates.names_in, of.headline), ("headline",), told)
    yield from _named(partial(templates.names_in, of.execute.done), ("execute", "done"), told)


def _of_afterwards(of: Declaration) -> Found:
    """Each value is one that its fact can have: it names what is of the same type."""
    if of.afterwards is None:
        return
    types: dict[str, expected.Kind] = {name: one.type for name, one in of.arguments.properties.items()}
    types |= {f"facts.{name}": one.type for name, one in of.facts.properties.items()}
    for part, said in (("change", of.afterwards.change), ("where", of.afterwards.where)):
        for name, template in said.items():
            where, kind = ("afterwards", part, name), types.get(f"facts.{name}")
            if kind is None:
                yield where, f"There is no fact '{name}'."
                continue
            alike = {named for named, type_ in types.items() if type_ == kind}
            yield from _named(partial(expected.names, template, kind), where, alike)
    if of.afterwards.goes_to is not None:
        goes_to = ("afterwards", "goes_to")
        if of.money is None:
            yield goes_to, "Nothing goes anywhere: this action declares no money."
        yield from _named(partial(templates.names_in, of.afterwards.goes_to), goes_to, set(types) | {"money"})


def _hidden(of: Declaration) -> set[str]:
    """What no text that is kept in the clear may name. A sensitive name is an argument's, a fact's, or both's."""
    return {place for name in of.sensitive for place in (name, f"facts.{name}")}


def _of_path(of: Declaration, part: str, path: str, names: set[str]) -> Found:
    where = (part, "path")
    yield from _named(partial(_names_in_path, path), where, names - _hidden(of))
    for name in _names_in_path(path):
        one = of.arguments.properties.get(name)
        if one and (one.type == "boolean" or not of.arguments.is_needed(name)):
            yield where, f"{name} is no segment of a path: write a required string or integer."
        for text in (one and one.enum) or ():
            if not templates.ONE_SEGMENT.fullmatch(text):
                yield where, f"{name} may be '{text}', which is not one segment of a path."


def _named(names: Callable[[], Iterable[str]], where: tuple[str | int, ...], known: set[str]) -> Found:
    """The first problem is the one that is told, so what comes after a template that is not plain does not matter."""
    try:
        found = tuple(names())
    except TemplateError as error:
        yield where, str(error)
        return
    for name in found:
        if name not in known:
            yield where, f"{{{name}}} is not to be used here. Known: {', '.join(sorted(known))}."


def _names_in_value(template: str) -> tuple[str, ...]:
    piece = templates.query_value(template)
    return (piece.text,) if piece.is_name else ()


def _names_in_path(path: str) -> tuple[str, ...]:
    return tuple(piece.text for piece in templates.path(path) if piece.is_name)


def _tells_apart(reconcile: Reconcile) -> bool:
    wanted = f"{{{REFERENCE}}}"
    return wanted in reconcile.path.split("/") or wanted in reconcile.query.values()


def _depth(body: object) -> int:
    return 1 + max(map(_depth, body.values()), default=0) if isinstance(body, dict) else 0


def _is_plain(body: Body) -> bool:
    if isinstance(body, dict):
        return all(
            re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", name) and _is_plain(inner) for name, inner in body.items()
        )
    return isinstance(body, str)
