"""Where an argument may stand in what is sent: as one whole segment of a path, one whole value of a query or a body.

Method, host and the shape of the path are the file's alone. A value is percent-encoded, and one that a server could
take for more than a segment is refused before: nothing that an agent says can lead anywhere else.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

# `facts.NAME` is what was looked up, `reference` the id of the approval request.
REFERENCE = "reference"
_PLACE = re.compile(r"\{([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?)\}")
_LITERAL = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*|\.[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
_QUERY_LITERAL = re.compile(r"[A-Za-z0-9 ._~:@,-]{0,200}")
# One segment whatever a server makes of it: no slash, no percent sign, no dots alone, nothing that ends a path.
ONE_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~:@-]{1,200}")

Values: TypeAlias = Mapping[str, object]
Body: TypeAlias = "str | Mapping[str, Body]"


class TemplateError(ValueError):
    """A template that is not plain; the message is for its author."""


@dataclass(frozen=True)
class Piece:
    """A literal text, or the name of a value."""

    text: str
    is_name: bool = False


def path(template: str) -> tuple[Piece, ...]:
    """`/v1/orders/{order_id}/cancel` by segment. Raises TemplateError."""
    if not template.startswith("/") or len(template) > 300:
        raise TemplateError("A path begins with '/' and has at most 300 characters.")
    return tuple(_segment(segment) for segment in template[1:].split("/"))


def value(template: str) -> Piece:
    """A whole value: `{name}`, or a text without braces. Raises TemplateError."""
    if found := _PLACE.fullmatch(template):
        return Piece(found[1], is_name=True)
    if "{" in template or "}" in template:
        raise TemplateError(
            "Here stands one name in braces and nothing else, such as {order_id}, or a text without braces."
        )
    return Piece(template)


def query_value(template: str) -> Piece:
    """As `value`, for a query. Raises TemplateError."""
    found = value(template)
    if not found.is_name and not _QUERY_LITERAL.fullmatch(found.text):
        raise TemplateError("A text in a query is made of letters, digits, spaces and . _ ~ : @ , -")
    return found


def names_in(sentence: str) -> tuple[str, ...]:
    """The names in braces, in order. Raises TemplateError for any other brace."""
    left = _PLACE.sub("", sentence)
    if "{" in left or "}" in left:
        raise TemplateError("Braces stand around a name alone, such as {order_id} or {facts.order_status}.")
    return tuple(_PLACE.findall(sentence))


def fill_path(pieces: tuple[Piece, ...], values: Values) -> str:
    """The path, each value as one percent-encoded segment (RFC 3986, section 3.3). Raises TemplateError."""
    return "".join(f"/{_one_segment(piece, values)}" for piece in pieces)


def fill_query(query: Mapping[str, Piece], values: Values) -> dict[str, str]:
    """The query's values, not encoded yet. An argument that was left out is left out."""
    filled = {name: _filled(piece, values) for name, piece in query.items()}
    return {name: _text(found) for name, found in filled.items() if found is not None}


def fill_body(body: Body, values: Values) -> object:
    """The body as JSON values: an argument keeps its type, and one that was left out is left out."""
    if isinstance(body, str):
        return _filled(value(body), values)
    filled = {name: fill_body(inner, values) for name, inner in body.items()}
    return {name: found for name, found in filled.items() if found is not None}


def fill_sentence(sentence: str, told: Callable[[str], str]) -> str:
    return _PLACE.sub(lambda found: told(found[1]), sentence)


def names_in_body(body: Body) -> tuple[str, ...]:
    """Raises TemplateError."""
    if isinstance(body, str):
        found = value(body)
        return (found.text,) if found.is_name else ()
    return tuple(name for inner in body.values() for name in names_in_body(inner))


def _segment(segment: str) -> Piece:
    if found := _PLACE.fullmatch(segment):
        return Piece(found[1], is_name=True)
    if not _LITERAL.fullmatch(segment) or segment == "..":
        raise TemplateError(
            f"'{segment}' is no segment of a path: write letters, digits and . _ ~ -, or one name in braces alone."
        )
    return Piece(segment)


def _one_segment(piece: Piece, values: Values) -> str:
    if not piece.is_name:
        return piece.text
    found = _text(values[piece.text])
    if not ONE_SEGMENT.fullmatch(found):
        raise TemplateError(f"{piece.text} is not one segment of a path")
    return quote(found, safe="")


def _filled(piece: Piece, values: Values) -> object:
    return values[piece.text] if piece.is_name else piece.text


def _text(found: object) -> str:
    return str(found).lower() if isinstance(found, bool) else str(found)
