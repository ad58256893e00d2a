"""Text by strangers, made safe to show: what cannot be seen is written out."""

import re

from approvals.characters import is_hidden


def visible(text: str, longest: int) -> str:
    """One line of at most `longest` characters; a hidden character is written as `[U+202E]`."""
    line = re.sub(r"[ \t\r\n]+", " ", text).strip(" ")
    shown = "".join(f"[U+{ord(one):04X}]" if is_hidden(one) else one for one in line)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
