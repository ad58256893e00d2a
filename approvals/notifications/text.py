"""Text by strangers, made safe to show: what can not be seen is written out."""

import re
import unicodedata

# Control, format (bidirectional overrides, zero-width), private, surrogate, unassigned, line and paragraph ends.
HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
# Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties.txt) in other categories, and the blank Braille cell.
BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def visible(text: str, longest: int) -> str:
    """One line of at most `longest` characters; a hidden character is written as `[U+202E]`."""
    line = " ".join(re.split(r"[ \t\r\n]+", text)).strip()
    shown = "".join(_shown(character) for character in line)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in HIDDEN or BLANK.match(character)
    return f"[U+{ord(character):04X}]" if hidden else character
