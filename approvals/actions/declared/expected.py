"""What a declared action's facts would be afterwards, as its file tells: `afterwards` names facts and their new values.

A value is a text, a whole number, `true` or `false`; one name in braces; or the sum or difference of two whole numbers,
each a name in braces or digits. That is all of the arithmetic: what needs more is an action in Python.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from approvals.actions.declared import templates
from approvals.actions.declared.templates import Piece, TemplateError, Values

Kind: TypeAlias = Literal["string", "integer", "boolean"]

_SUM = re.compile(r"(\{[^{}]+\}|[0-9]{1,15}) ([+-]) (\{[^{}]+\}|[0-9]{1,15})")
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True)
class Sum:
    """`minus` takes the second away."""

    first: Piece
    second: Piece
    minus: bool


def parse(template: str, kind: Kind) -> Piece | Sum:
    """Raises TemplateError for what can be no value of this kind."""
    if kind == "integer" and (found := _SUM.fullmatch(template)):
        return Sum(templates.value(found[1]), templates.value(found[3]), minus=found[2] == "-")
    piece = templates.value(template)
    if not piece.is_name and kind == "integer" and not _WHOLE.fullmatch(piece.text):
        raise TemplateError(
            "Here stands a whole number, one name in braces, or two of them with ' + ' or ' - ' between."
        )
    if not piece.is_name and kind == "boolean" and piece.text not in _TRUTHS:
        raise TemplateError("Here stands true, false, or one name in braces.")
    return piece


def names(template: str, kind: Kind) -> tuple[str, ...]:
    """The names in braces. Raises TemplateError."""
    found = parse(template, kind)
    pieces = (found.first, found.second) if isinstance(found, Sum) else (found,)
    return tuple(piece.text for piece in pieces if piece.is_name)


def value(template: str, kind: Kind, values: Values) -> object:
    """None where a name has no value. The template has been checked: its names are of its kind."""
    found = parse(template, kind)
    if isinstance(found, Piece):
        return _one(found, kind, values)
    first, second = (_one(piece, "integer", values) for piece in (found.first, found.second))
    if not isinstance(first, int) or not isinstance(second, int):
        return None
    return first - second if found.minus else first + second


def _one(piece: Piece, kind: Kind, values: Values) -> object:
    if piece.is_name:
        return values[piece.text]
    if kind == "integer":
        return int(piece.text)
    return _TRUTHS[piece.text] if kind == "boolean" else piece.text
