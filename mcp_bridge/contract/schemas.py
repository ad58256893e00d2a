"""What changed between two JSON Schemas that somebody who relies on the old one would notice.

Pure. The one question is containment. For an input, the new schema has to admit all that the old one did; for an
output, all that the new one admits has to fit the old one. Whatever cannot be decided (two different patterns, a
keyword that has no rule here) counts as a change: an alarm too many costs a minute, one too few somebody's agent.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Any

from mcp_bridge.contract.forms import LEAST, Flat, Schema, alternatives, inlined


class Direction(Enum):
    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True)
class Change:
    """At which field (`address.country`, `lines[].sku`; empty is the whole), what, and how it was and is."""

    at: str
    what: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.at or 'the whole'}: {self.what} was {self.was}, is {self.now}"


MOST = ("maxLength", "maxItems", "maxProperties")
# Each can only refuse more, so leaving one out is wider; two different ones are not comparable.
_NARROWING = frozenset(
    {"contentEncoding", "contentMediaType", "format", "multipleOf", "pattern", "uniqueItems"}
)
# These have rules of their own.
_RULED = frozenset((*LEAST, *MOST, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")) | frozenset(
    {"type", "const", "properties", "required", "additionalProperties", "items"}
)
_POSSIBLE, _IMPOSSIBLE, _ABSENT = "possible", "not possible", "absent"


def breaks(old: Schema, new: Schema, direction: Direction) -> list[Change]:
    """What somebody who relies on `old` must be told of: empty when `new` can take its place unseen.

    A field that is gone is such a change in both directions, even where unknown fields are let through; of an
    input, another default too, for it changes what a call means that leaves the field out.
    """
    changes = _Walk(direction).compared(inlined(old), inlined(new))
    return list(dict.fromkeys(changes))


class _Walk:
    """One comparison. `narrow` is the side whose values the other side, `wide`, has to admit."""

    def __init__(self, direction: Direction) -> None:
        self._old_is_narrow = direction is Direction.INPUT

    def compared(self, old: Schema, new: Schema) -> Iterator[Change]:
        narrow, wide = (old, new) if self._old_is_narrow else (new, old)
        yield from self._fits(narrow, wide, "")

    def _change(self, at: str, what: str, narrow: str, wide: str) -> Change:
        return Change(at, what, *((narrow, wide) if self._old_is_narrow else (wide, narrow)))

    def _fits(self, narrow: Schema, wide: Schema, at: str) -> Iterator[Change]:
        """Each alternative of the narrow side has to fit one of the wide side: the closest, to say what is wrong."""
        choices = alternatives(wide)
        for one in alternatives(narrow) if {} not in choices else ():
            tries = [list(self._fits_one(one, other, at)) for other in choices if _akin(one, other)]
            if tries:
                yield from min(tries, key=len)
            else:
                yield self._change(at, _named(one), _POSSIBLE, _IMPOSSIBLE)

    def _fits_one(self, narrow: Flat, wide: Flat, at: str) -> Iterator[Change]:
        yield from self._bounds(narrow, wide, at)
        yield from self._keywords(narrow, wide, at)
        if wide.get("type") == "object":
            yield from self._fields(narrow, wide, at)
        if wide.get("type") == "array":
            yield from self._fits(narrow.get("items", True), wide.get("items", True), f"{at}[]")

    def _bounds(self, narrow: Flat, wide: Flat, at: str) -> Iterator[Change]:
        for what, sign in (*((name, 1) for name in LEAST), *((name, -1) for name in MOST)):
            if _end(narrow, what, sign) < _end(wide, what, sign):
                yield self._change(at, what, *(str(side.get(what, _ABSENT)) for side in (narrow, wide)))
        for what, sign in (("minimum", 1), ("maximum", -1)):
            if _ends(narrow, what, sign) < _ends(wide, what, sign):
                yield self._change(at, what, *(_shown(side, what) for side in (narrow, wide)))

    def _keywords(self, narrow: Flat, wide: Flat, at: str) -> Iterator[Change]:
        for key in sorted((narrow.keys() | wide.keys()) - _RULED):
            same = key in narrow and key in wide and narrow[key] == wide[key]
            if same or (key in _NARROWING and key not in wide):
                continue
            if key == "pattern" and isinstance(narrow.get("const"), str) and _matches(wide, narrow["const"]):
                continue
            yield self._change(at, key, *(str(side.get(key, _ABSENT)) for side in (narrow, wide)))

    def _fields(self, narrow: Flat, wide: Flat, at: str) -> Iterator[Change]:
        ours, theirs = narrow.get("properties", {}), wide.get("properties", {})
        our_rest, their_rest = (side.get("additionalProperties", True) for side in (narrow, wide))
        for name in sorted(ours.keys() | theirs.keys()):
            sent, admitted = ours.get(name, our_rest), theirs.get(name, their_rest)
            if name not in (theirs if self._old_is_narrow else ours):
                yield Change(_below(at, name), "the field", "there", "not there")
            elif alternatives(admitted):
                yield from self._fits(sent, admitted, _below(at, name))
            elif alternatives(sent):
                yield self._change(_below(at, name), "the field", _POSSIBLE, _IMPOSSIBLE)
        yield from self._fits(our_rest, their_rest, _below(at, "*"))
        yield from self._presence(narrow, wide, at)
        if self._old_is_narrow:
            yield from self._defaults(narrow, wide, at)

    def _presence(self, narrow: Flat, wide: Flat, at: str) -> Iterator[Change]:
        gone = (
            set() if self._old_is_narrow else wide.get("properties", {}).keys() - narrow.get("properties", {})
        )
        for name in sorted(set(wide.get("required", ())) - set(narrow.get("required", ())) - gone):
            yield self._change(_below(at, name), "required", "no", "yes")

    def _defaults(self, old: Flat, new: Flat, at: str) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        always_sent = {*old.get("required", ()), *new.get("required", ())}
        for name in sorted((before.keys() & after.keys()) - always_sent):
            was, now = _default(before[name]), _default(after[name])
            if was != now:
                yield Change(_below(at, name), "the default", was, now)


def _akin(narrow: Flat, wide: Flat) -> bool:
    """Whether the two can be compared at all: of one type, and of one value where the wide side is one."""
    if "const" in wide:
        return "const" in narrow and (narrow["type"], narrow["const"]) == (wide["type"], wide["const"])
    ours, theirs = narrow.get("type"), wide.get("type")
    return theirs in (None, ours) or (ours, theirs) == ("integer", "number")


def _matches(wide: Flat, value: str) -> bool:
    try:
        return re.search(wide["pattern"], value) is not None
    except re.error:
        return False


def _end(flat: Flat, what: str, sign: int) -> float:
    """A bound, counted so that more is narrower."""
    return sign * flat[what] if what in flat else -inf


def _ends(flat: Flat, what: str, sign: int) -> tuple[float, bool]:
    """The same of numbers, and whether the bound itself is left out."""
    return max((_end(flat, what, sign), False), (_end(flat, _exclusive(what), sign), True))


def _shown(flat: Flat, what: str) -> str:
    shown = [str(flat[what])] if what in flat else []
    return " and ".join(
        [*shown, *([f"exclusive {flat[_exclusive(what)]}"] if _exclusive(what) in flat else [])] or [_ABSENT]
    )


def _exclusive(what: str) -> str:
    return f"exclusive{what.capitalize()}"


def _below(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _named(flat: Flat) -> str:
    if "const" in flat:
        return f"the value {flat['const']!r}"
    return f"the type {flat['type']}" if "type" in flat else "any other value"


def _default(schema: Any) -> str:
    return repr(schema["default"]) if isinstance(schema, Mapping) and "default" in schema else _ABSENT
