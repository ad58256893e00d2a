"""Text by strangers, made safe to show: what cannot be seen, or passes for something else, is written out."""

import re

from approvals.characters import cut, written


def visible(text: str, longest: int) -> str:
    """One line of at most `longest` characters; what hides is written as `[U+202E]`, and a cut is said."""
    return cut(written(re.sub(r"[ \t\r\n]+", " ", text).strip(" ")), longest)
