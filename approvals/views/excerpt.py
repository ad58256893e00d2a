"""The part of a policy's text around a line that is wrong."""

from policies.changes import lines

AROUND = 2  # lines that are shown before and after it


def near(text: str, wrong: int) -> list[tuple[int, str, bool]]:
    """The line and some around it: number, text, whether it is the one."""
    every = list(enumerate(lines(text), 1))
    return [
        (number, line, number == wrong) for number, line in every[max(wrong - 1 - AROUND, 0) : wrong + AROUND]
    ]
