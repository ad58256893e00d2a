"""The one refusal of this package that a policy's author meets."""

from collections.abc import Iterable

MOST_OTHERS = 20


class PolicyError(Exception):
    """The policy document cannot be used. The message says where and what to change.

    `line` and `column` count from 1, in characters, as editors show them. `others` are what else is wrong with the
    document, as far as it was looked through, in the order of its lines; they have no others of their own.
    """

    others: tuple["PolicyError", ...] = ()

    def __init__(self, message: str, line: int, column: int, source: str = "policy") -> None:
        super().__init__(f"{source}:{line}:{column}: {message}")
        self.message = message
        self.line = line
        self.column = column
        self.source = source


def together(found: Iterable[PolicyError]) -> PolicyError:
    """The first of these, with the others behind it: one for each line, and at most MOST_OTHERS. Needs one at least."""
    every = [one for error in found for one in (error, *error.others)]
    first, by_line = every[0], {one.line: one for one in reversed(every)}
    by_line.pop(first.line)
    first.others = tuple(by_line[line] for line in sorted(by_line))[:MOST_OTHERS]
    for other in first.others:
        other.others = ()
    return first
