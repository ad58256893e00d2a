"""A declared action as its file says it: the shape of the YAML, and what its parts must have to do with each other.

Read as policies are (policies/source.py): every scalar is text, and anchors, tags, repeated keys and hidden characters
are refused. Every problem is told with its line and column.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from django.conf import settings
from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from approvals.actions.contract import Risk
from approvals.actions.declared import templates
from approvals.actions.declared.schema import Line, Name, ObjectSchema, Shape, name_problem, pattern_problem
from approvals.actions.declared.templates import REFERENCE, Body, TemplateError
from approvals.errors import ActionUnreadable
from policies.errors import PolicyError
from policies.source import Source

MOST_BYTES = 64 * 1024
_MOST_PROBLEMS = 50  # one is told; a file that is wrong in every line must not cost more to refuse
LONGEST_ID = 100  # of the thing that is changed: a request keeps it in a column

Dotted = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{1,60}){0,4}$")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
Text = Annotated[str, Field(min_length=1, max_length=500)]
# Never one that steers: `Authorization`, `Host` and the like hold no key.
KeyHeader = Annotated[
    str, Field(pattern=r"^(?:(?:[A-Za-z]+-){0,3}[Ii]dempotency-[Kk]ey|X-Request-Id|Request-Id)$")
]


class Money(Shape):
    amount: Name
    currency: Name


class LookUp(Shape):
    path: str
    query: dict[Word, str] = {}
    id: Dotted
    take: dict[Name, Dotted] = {}


class Execute(Shape):
    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    path: str
    idempotency_header: KeyHeader = "Idempotency-Key"
    body: dict[Word, Any] = {}
    receipt: Dotted
    done: Line


class Reconcile(Shape):
    path: str
    query: dict[Word, str] = {}
    list: Dotted | None = None
    where: dict[Dotted, Line] = {}
    reference: Dotted
    receipt: Dotted


class Declaration(Shape):
    """One file. What each key means stands in docs/declared-actions.md."""

    action: Literal["1"]
    name: Name
    tool: Annotated[str, Field(pattern=r"^request_[a-z0-9_]{1,40}$")]
    title: Line
    description: Text
    version: Annotated[int, Field(ge=1, le=10_000)]
    owner: Name
    risk: Risk
    threats: Annotated[tuple[Text, ...], Field(min_length=1, max_length=20)]
    thing: Annotated[str, Field(pattern=r"^[a-z][a-z ]{0,29}$")]
    thing_id: Name
    thing_found_by: Line = ""
    subjects: dict[Literal["customer", "order"], str] = {}
    inverse: Name | None = None
    irreversible: Line | None = None
    sensitive: tuple[Name, ...] = ()
    headline: Line
    host: str
    credential: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]
    arguments: ObjectSchema
    money: Money | None = None
    facts: ObjectSchema
    look_up: LookUp
    execute: Execute
    reconcile: Reconcile

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, host: str) -> str:
        if problem := host_problem(host):
            raise ValueError(problem)
        return host


def read(file: Path) -> tuple[Declaration, Source]:
    """Raises ActionUnreadable, with the line and column of the first problem."""
    source = _source(file)
    declaration = _validated(source)
    for path, message in _problems(declaration):
        raise source.error_at(path, message)
    return declaration, source


def unreadable(error: PolicyError) -> ActionUnreadable:
    return ActionUnreadable(file=error.source, line=error.line, column=error.column, problem=error.message)


def _source(file: Path) -> Source:
    try:
        with file.open("rb") as opened:
            held = opened.read(MOST_BYTES + 1)
        text = held.decode()
    except OSError as error:
        raise PolicyError(f"This cannot be read: {error.strerror}.", 1, 1, str(file)) from error
    except UnicodeDecodeError as error:
        line = held[: error.start].count(b"\n") + 1
        raise PolicyError("This is not UTF-8.", line, 1, str(file)) from error
    if len(held) > MOST_BYTES:
        raise PolicyError(f"An action has at most {MOST_BYTES // 1024} KiB.", 1, 1, str(file))
    return Source(text, str(file), of="action")


def _validated(source: Source) -> Declaration:
    try:
        return Declaration.model_validate(source.tree)
    except ValidationError as error:
        problems = error.errors(include_url=False)[:_MOST_PROBLEMS]
        # A misspelt key is also a missing one; the word that is there helps more than the one that is not.
        telling = [one for one in problems if one["type"] != "missing"] or problems
        found = [_refusal(source, one) for one in telling]
        raise min(found, key=lambda one: (one.line, one.column)) from None


def _refusal(source: Source, problem: ErrorDetails) -> PolicyError:
    # Pydantic adds a step of its own for a key that is wrong.
    path = tuple(part for part in problem["loc"] if part != "[key]")
    kind, key = problem["type"], str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        return source.error_at_key(path, f"'{key}' means nothing here.")
    if kind == "missing":
        return source.error_at(path, f"'{key}' is missing here; add it.")
    if kind == "value_error":
        return source.error_at(path, str(problem["ctx"]["error"]))
    where = source.error_at_key if problem["loc"][-1:] == ("[key]",) else source.error_at
    return where(path, f"{problem['msg'].removesuffix('.')}.")


def host_problem(host: str) -> str:
    """Why this is no fixed place to send to; "" when it is one.

    https, or http on this machine where it is no production. An address such as 169.254.169.254, where clouds hand out
    credentials, is no company's API.
    """
    if not re.fullmatch(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?", host):
        return "A host is https://, a name, and a port if need be; no path, no user and no braces."
    name = urlsplit(host).hostname or ""
    address = _address(name)
    is_here = name == "localhost" or bool(address and address.is_loopback)
    if address and not is_here and (address.is_link_local or address.is_multicast or address.is_reserved):
        return "This address is no company's API."
    if address and address.is_unspecified:
        return "This address is no company's API."
    if host.startswith("http://") and (settings.IN_PRODUCTION or not is_here):
        return "A credential goes over https alone; http is for this machine, in development."
    return ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


Found = Iterator[tuple[tuple[str | int, ...], str]]


def _problems(of: Declaration) -> Found:
    """What no single value shows."""
    for place in ("arguments", "facts"):
        yield from _of_schema(getattr(of, place), place)
    if (of.inverse is None) == (of.irreversible is None):
        yield (
            (),
            "Write either 'inverse', the name of the action that undoes it, or 'irreversible', and why nothing does.",
        )
    yield from _of_thing(of)
    yield from _of_money(of)
    for index, name in enumerate(of.sensitive):
        if name not in of.arguments.properties:
            yield ("sensitive", index), f"There is no argument '{name}'."
    for name in of.look_up.take:
        if name not in of.facts.properties:
            yield ("look_up", "take", name), f"There is no fact '{name}'."
    yield from _of_templates(of)


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
    elif (one.max_length or LONGEST_ID) > LONGEST_ID:
        yield (
            ("arguments", "properties", of.thing_id, "maxLength"),
            f"An id has at most {LONGEST_ID} characters.",
        )
    elif of.thing_id in of.sensitive:
        yield ("thing_id",), "What is sensitive cannot name the thing: the trail keeps its id."


def _of_money(of: Declaration) -> Found:
    if of.money is None:
        return
    amount, currency = (of.arguments.properties.get(name) for name in (of.money.amount, of.money.currency))
    if amount is None or amount.type != "integer" or not of.arguments.is_needed(of.money.amount):
        yield ("money", "amount"), "This is the name of a required integer argument."
    elif (amount.minimum or 0) < 1:
        yield ("arguments", "properties", of.money.amount, "minimum"), "An amount is at least 1."
    if not of.money.amount.endswith("_minor"):
        yield ("money", "amount"), "The name of an amount ends in _minor, so that pages show it as money."
    if currency is None or currency.type != "string" or not of.arguments.is_needed(of.money.currency):
        yield ("money", "currency"), "This is the name of a required string argument."
    if of.money.currency != "currency":
        yield ("money", "currency"), "It is called currency, so that pages show the amount as money."


def _of_templates(of: Declaration) -> Found:
    """Each template is plain, and names what there is where it stands."""
    arguments = set(of.arguments.properties)
    facts = {f"facts.{name}" for name in of.facts.properties}
    allowed = {"look_up": arguments, "execute": arguments | {REFERENCE}, "reconcile": arguments | {REFERENCE}}
    for part, names in allowed.items():
        call = getattr(of, part)
        yield from _of_path(of, part, call.path, names)
        for name, value in getattr(call, "query", {}).items():
            yield from _named(partial(_names_in_value, value), (part, "query", name), names - {*of.sensitive})
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
    told = (arguments | facts | ({"money"} if of.money else set())) - {*of.sensitive}
    yield from _named(partial(templates.names_in, of.headline), ("headline",), told)
    yield from _named(partial(templates.names_in, of.execute.done), ("execute", "done"), told)


def _of_path(of: Declaration, part: str, path: str, names: set[str]) -> Found:
    where = (part, "path")
    yield from _named(partial(_names_in_path, path), where, names - {*of.sensitive})
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
