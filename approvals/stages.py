"""How votes fill the places that a rule asks for: step after step, in the order in which they were cast.

Pure: who fits a place, and who counts as one with whom, the caller says (`quorum`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, TypeVar

from policies.verdicts import Stage

Ballot = TypeVar("Ballot")


@dataclass(frozen=True)
class Tally(Generic[Ballot]):
    """Who was counted, and the stages that still have open places, with how many of them, in order of their steps."""

    counted: tuple[Ballot, ...]
    open: tuple[Stage, ...]

    @property
    def now(self) -> tuple[Stage, ...]:
        """The open places of the step that is asked now."""
        return tuple(stage for stage in self.open if stage.step == self.open[0].step)


def tally(
    stages: Iterable[Stage],
    ballots: Iterable[Ballot],
    fits: Callable[[Ballot, str], bool],
    tied: Callable[[Ballot, Ballot], bool],
) -> Tally[Ballot]:
    """Each ballot, in its order, fills one place of the first step that is not full by then, or none.

    None where one that is `tied` to it has counted already. Whoever has counted goes on to: as places of a step are
    given anew when another comes (a maximum bipartite matching), somebody with two roles never blocks the other.
    """
    counted: list[Ballot] = []
    still_open: list[Stage] = []
    coming = iter(ballots)
    for _, step in groupby(sorted(stages, key=lambda stage: stage.step), key=lambda stage: stage.step):
        places = _Places(tuple(step), fits)
        while not places.full and (ballot := next(coming, None)) is not None:
            if not any(tied(earlier, ballot) for earlier in counted) and places.take(ballot):
                counted.append(ballot)
        still_open += places.open
    return Tally(tuple(counted), tuple(still_open))


class _Places(Generic[Ballot]):
    """The places of one step."""

    def __init__(self, stages: tuple[Stage, ...], fits: Callable[[Ballot, str], bool]) -> None:
        self._stages = stages
        self._roles = [stage.role for stage in stages for _ in range(stage.count)]
        self._fits = fits
        self._holder: dict[int, Ballot] = {}

    @property
    def full(self) -> bool:
        return len(self._holder) == len(self._roles)

    @property
    def open(self) -> list[Stage]:
        empty = [role for index, role in enumerate(self._roles) if index not in self._holder]
        return [
            Stage(stage.role, empty.count(stage.role), stage.step)
            for stage in self._stages
            if stage.role in empty
        ]

    def take(self, ballot: Ballot) -> bool:
        return self._place(ballot, set())

    def _place(self, ballot: Ballot, tried: set[int]) -> bool:
        for index, role in enumerate(self._roles):
            if index not in tried and self._fits(ballot, role):
                tried.add(index)
                if index not in self._holder or self._place(self._holder[index], tried):
                    self._holder[index] = ballot
                    return True
        return False
