"""Durations as a policy's author writes them, and as its readers are told them."""

import re
from datetime import timedelta

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_DAY, _HOUR, _MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def written(text: object) -> timedelta:
    """`30m`, `24h` or `7d`. Raises ValueError, in words for the author, for anything else."""
    match = re.fullmatch(r"([1-9][0-9]{0,3})([mhd])", str(text))
    if match is None:
        raise ValueError("Write a duration as a number and a unit: 30m, 24h or 7d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def in_words(duration: timedelta) -> str:
    """`7 days`, `24 hours`, `90 minutes`: in the largest unit that leaves nothing over, days from two on."""
    for unit, word in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        number, over = divmod(duration, unit)
        if not over and (number > 1 or unit is not _DAY):
            return f"{number} {word}" if number == 1 else f"{number} {word}s"
    return f"{int(duration.total_seconds())} seconds"
