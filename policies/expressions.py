"""What can be read off a condition's text without evaluating it: the names it mentions, and its alternatives.

Every answer is on the safe side: what is not understood is kept as text, and equals only the same text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from .signature import Variable

# More alternatives than this are not worked out: then the whole part is kept as text.
_MOST = 16

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
    | (?P<text>[rRbB]{0,2}(?:'{3}.*?'{3}|"{3}.*?"{3}|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))
    | (?P<name>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)
    | (?P<number>[0-9][\w.]*)
    | (?P<sign>&&|\|\||[<>=!]=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPEN, _CLOSE = "([{", ")]}"
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
_QUOTED = re.compile(r"""(["'])([^"'\\]*)\1""")


@dataclass(frozen=True, slots=True)
class Range:
    """A whole number from `low` to `high`, both included; None has no end. Of a truth value, 0 to 1."""

    name: str
    low: int | None
    high: int | None

    def inside(self, other: "Range") -> bool:
        return (other.low is None or (self.low is not None and self.low >= other.low)) and (
            other.high is None or (self.high is not None and self.high <= other.high)
        )


@dataclass(frozen=True, slots=True)
class Word:
    """A text that is, or is not, exactly this one."""

    name: str
    text: str
    equal: bool


# Something that a condition asks for; text where it is not one of the two above.
Demand = Range | Word | str
# All of these demands together.
Alternative = frozenset[Demand]


def names(text: str, variables: Mapping[str, Variable]) -> tuple[str, ...]:
    """The declared names that a condition mentions, in their order, each once."""
    found: dict[str, None] = {}
    for token in _tokens(text):
        parts = token.split(".")
        # A method stands behind its value: `facts.note.startsWith` mentions `facts.note`.
        declared = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        if known := next((name for name in declared if name in variables), None):
            found[known] = None
    return tuple(found)


def alternatives(text: str, variables: Mapping[str, Variable]) -> tuple[Alternative, ...]:
    """Where the condition is true, at least one of these is true in all its demands; () where it never is."""
    return tuple(_either(list(_tokens(text)), variables))


def merged(demands: Alternative) -> Alternative | None:
    """The same with one range a name, or None where the demands contradict each other."""
    ranges: dict[str, Range] = {}
    words: dict[str, str] = {}
    kept: set[Demand] = set()
    for one in demands:
        if isinstance(one, Range):
            ranges[one.name] = _both(ranges.get(one.name, one), one)
            continue
        if isinstance(one, Word) and one.equal and words.setdefault(one.name, one.text) != one.text:
            return None
        kept.add(one)
    if any(isinstance(one, Word) and not one.equal and words.get(one.name) == one.text for one in kept):
        return None
    if any(one.low is not None and one.high is not None and one.low > one.high for one in ranges.values()):
        return None
    return frozenset(kept | set(ranges.values()))


def implies(demands: Alternative, other: Alternative) -> bool:
    """Whether everything that `other` demands is demanded here, as it is written or more strictly."""
    return all(any(_implies(one, wanted) for one in demands) for wanted in other)


def _implies(one: Demand, wanted: Demand) -> bool:
    if one == wanted:
        return True
    if isinstance(one, Range) and isinstance(wanted, Range):
        return one.name == wanted.name and one.inside(wanted)
    return (
        isinstance(one, Word)
        and isinstance(wanted, Word)
        and (one.name, one.equal, wanted.equal) == (wanted.name, True, False)
        and one.text != wanted.text
    )


def _both(one: Range, other: Range) -> Range:
    lows = [each.low for each in (one, other) if each.low is not None]
    highs = [each.high for each in (one, other) if each.high is not None]
    return Range(one.name, max(lows, default=None), min(highs, default=None))


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "name":
            yield re.sub(r"\s+", "", match[0])
        elif match.lastgroup != "space":
            yield match[0]


def _either(tokens: Sequence[str], variables: Mapping[str, Variable]) -> list[Alternative]:
    """One entry an alternative of `a || b`, each with all demands of `c && d`."""
    if "?" in _outside(tokens):
        return [frozenset({" ".join(tokens)})]
    found: list[Alternative] = []
    for part in _split(tokens, "||"):
        factors = [_factor(factor, variables) for factor in _split(part, "&&")]
        size = 1
        for factor in factors:
            size *= len(factor)
        if size + len(found) > _MOST:
            return [frozenset({" ".join(tokens)})]
        found += [frozenset().union(*choice) for choice in product(*factors)]
    return found


def _factor(tokens: Sequence[str], variables: Mapping[str, Variable]) -> list[Alternative]:
    if len(tokens) > 2 and tokens[0] == "(" and not _outside(tokens[:-1])[1:]:
        return _either(tokens[1:-1], variables)
    if list(tokens) in (["true"], ["false"]):
        return [frozenset()] if tokens[0] == "true" else []
    return _choice(tokens, variables) or [frozenset({_demand(tokens, variables)})]


def _choice(tokens: Sequence[str], variables: Mapping[str, Variable]) -> list[Alternative]:
    """`args.currency in ["EUR", "USD"]` as its alternatives; [] for anything else."""
    if len(tokens) < 5 or tokens[1:3] != ["in", "["] or tokens[-1] != "]":
        return []
    words = [_word(tokens[0], "==", each, variables) for each in tokens[3:-1:2]][: _MOST + 1]
    commas = set(tokens[4:-1:2]) <= {","} and len(tokens) % 2 == 1
    return [frozenset({word}) for word in words if word] if commas and all(words) else []


def _demand(tokens: Sequence[str], variables: Mapping[str, Variable]) -> Demand:
    words = list(tokens)
    if (known := variables.get(words[-1])) and known.scalar == "bool" and not known.lists:
        if len(words) == 1:
            return Range(words[0], 1, 1)
        if words[:-1] == ["!"]:
            return Range(words[1], 0, 0)
    for place, sign in enumerate(words):
        if sign not in _MIRRORED:
            continue
        left, right = "".join(words[:place]), "".join(words[place + 1 :])
        if right in variables and left not in variables:
            left, sign, right = right, _MIRRORED[sign], left
        return _range(left, sign, right, variables) or _word(left, sign, right, variables) or " ".join(words)
    return " ".join(words)


def _range(name: str, sign: str, number: str, variables: Mapping[str, Variable]) -> Range | None:
    known = variables.get(name)
    if known is None or known.scalar != "int" or known.lists or not re.fullmatch(r"-?[0-9]{1,18}", number):
        return None
    value = int(number)
    ends: dict[str, tuple[int | None, int | None]] = {
        "<": (None, value - 1),
        "<=": (None, value),
        "==": (value, value),
        ">=": (value, None),
        ">": (value + 1, None),
    }
    return Range(name, *ends[sign]) if sign in ends else None


def _word(name: str, sign: str, quoted: str, variables: Mapping[str, Variable]) -> Word | None:
    known, literal = variables.get(name), _QUOTED.fullmatch(quoted)
    if known is None or known.scalar != "str" or known.lists or not literal or sign not in ("==", "!="):
        return None
    return Word(name, literal[2], sign == "==")


def _outside(tokens: Sequence[str]) -> list[str]:
    """The tokens that stand in no brackets; of brackets, the opening one."""
    depth, found = 0, []
    for token in tokens:
        if token in _CLOSE:
            depth -= 1
        elif depth == 0:
            found.append(token)
        if token in _OPEN:
            depth += 1
    return found


def _split(tokens: Sequence[str], sign: str) -> list[Sequence[str]]:
    depth, parts, begin = 0, [], 0
    for place, token in enumerate(tokens):
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth == 0 and token == sign:
            parts.append(tokens[begin:place])
            begin = place + 1
    return [*parts, tokens[begin:]]
