"""Rules that can never decide: seen from their text, as far as that can be decided honestly.

Found: a condition that is never true; one whose every alternative (`||`) demands at least what an earlier rule
demands (the same words and more, a narrower range of a whole number, a text out of those it takes); and one whose
range earlier rules cover together. Not found: anything that would need arithmetic, or knowledge of what values occur.
"""

from collections.abc import Iterable, Mapping

from .expressions import Alternative, Range, alternatives, implies, merged
from .signature import Variable


class Reach:
    """What the rules so far take, asked of one rule after the other."""

    def __init__(self, variables: Mapping[str, Variable]) -> None:
        self._variables = variables
        self._taken: list[tuple[str, Alternative]] = []

    def before(self, when: str) -> tuple[str, ...] | None:
        """The earlier rules that take all that this condition lets through; None where something is left.

        () says that the condition is never true.
        """
        possible = [one for one in map(merged, alternatives(when, self._variables)) if one is not None]
        takers: dict[str, None] = {}
        for one in possible:
            found = self._takers(one)
            if not found:
                return None
            takers |= dict.fromkeys(found)
        return tuple(takers)

    def add(self, name: str, when: str) -> None:
        possible = map(merged, alternatives(when, self._variables))
        self._taken += [(name, one) for one in possible if one is not None]

    def _takers(self, wanted: Alternative) -> tuple[str, ...]:
        """Earlier rules that are met wherever `wanted` is; () where none is known.

        An earlier rule that cannot be worked out asks a human, so behind it nothing is reached either.
        """
        for name, taken in self._taken:
            if implies(wanted, taken):
                return (name,)
        alone: dict[str, list[tuple[Range, str]]] = {}
        for name, taken in self._taken:
            match tuple(taken):
                case (Range() as only,):
                    alone.setdefault(only.name, []).append((only, name))
        for variable, ranges in alone.items():
            if found := _covering(self._range(variable, wanted), ranges):
                return found
        return ()

    def _range(self, variable: str, wanted: Alternative) -> Range:
        """Which values of the variable `wanted` lets through."""
        whole = Range(variable, 0, 1) if self._variables[variable].scalar == "bool" else None
        own = (one for one in wanted if isinstance(one, Range) and one.name == variable)
        return next(own, whole or Range(variable, None, None))


def _covering(wanted: Range, ranges: Iterable[tuple[Range, str]]) -> tuple[str, ...]:
    """Rules whose ranges together leave nothing of the wanted one; () where something is left."""
    names: dict[str, None] = {}
    reached = wanted.low
    for one, name in sorted(ranges, key=lambda pair: (pair[0].low is not None, pair[0].low or 0)):
        if one.low is not None and (reached is None or one.low > reached):
            return ()
        if one.high is None or (wanted.high is not None and one.high >= wanted.high):
            return (*names, name)
        if reached is None or one.high >= reached:
            reached = one.high + 1
            names[name] = None
    return ()
