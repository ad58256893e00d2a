"""Characters that show nothing, or overlay their neighbours: refused in a policy, and named wherever text is shown."""

import unicodedata

# Controls, format characters (bidirectional overrides, zero width, tags), surrogates, private use, unassigned,
# and every separator that is not the plain space.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_PLAIN = frozenset(" \n")  # a line break shows itself

# Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties.txt) outside those categories, blanks that are symbols
# by category, and the combining marks that strike through or enclose what they stand on: a 1 can be made to look
# like a crossed-out digit, a name like another one.
_HIDDEN_RANGES = (
    (0x0334, 0x0338),
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x20D0, 0x20EB),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xFFFC, 0xFFFC),
    (0x1D159, 0x1D159),
    (0xE0100, 0xE01EF),
)


def is_hidden(character: str) -> bool:
    """True for a character that shows nothing, reorders or overlays its neighbours, or passes for a plain space."""
    if character in _PLAIN:
        return False
    code = ord(character)
    return unicodedata.category(character) in _HIDDEN_CATEGORIES or any(
        first <= code <= last for first, last in _HIDDEN_RANGES
    )
