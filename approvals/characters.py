"""Which characters a reader would not see or would be misled by, and what they are called. Pure.

Three kinds: hidden ones, ones that reorder their neighbours, and look-alikes: a letter of another script inside a
Latin word, a Latin-looking word of another script among Latin words, full-width, mathematical and other styled letters
and digits. Not found: letters of one script that look alike (l and I, O and 0, rn and m), accents, look-alike
punctuation, and a whole text in another script.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from policies.hidden import is_hidden

# Control characters have no name of their own in Unicode, only aliases, which Python can look up but not list.
_ALIASES = (
    "BACKSPACE",
    "CARRIAGE RETURN",
    "CHARACTER TABULATION",
    "DELETE",
    "ESCAPE",
    "FORM FEED",
    "NEXT LINE",
    "NULL",
)
_NAMES = {unicodedata.lookup(alias): alias for alias in _ALIASES}


def describe(character: str) -> str:
    """`U+202E RIGHT-TO-LEFT OVERRIDE`"""
    name = _NAMES.get(character) or unicodedata.name(character, "CHARACTER WITHOUT A NAME")
    return f"U+{ord(character):04X} {name}"


class Piece(NamedTuple):
    """A stretch of a text. `mark` is "" for what may stand as it is; otherwise it names what is there `times` over."""

    text: str
    mark: str = ""
    times: int = 1
    is_hidden: bool = False


def pieces(text: str) -> Iterator[Piece]:
    """The whole text in order: what a page, a digest or a message shows of it, nothing left out."""
    if text.isascii() and text.isprintable():  # as nearly all of it is
        yield from [Piece(text)] if text else []
        return
    alike = _lookalikes(text)
    marked = ((one if is_hidden(one) or at in alike else "", one) for at, one in enumerate(text))
    for character, run in groupby(marked, key=lambda pair: pair[0]):
        found = "".join(one for _, one in run)
        if character:
            yield Piece(found, describe(character), len(found), is_hidden(character))
        else:
            yield Piece(found)


def misleads(text: str) -> bool:
    """Whether anything in it is marked."""
    return any(piece.mark for piece in pieces(text))


def shown(text: str) -> str:
    """The text as a page shows it, in plain characters: each mark as `[U+202E RIGHT-TO-LEFT OVERRIDE]`."""
    return "".join(f"[{in_a_mark(piece)}]" if piece.mark else piece.text for piece in pieces(text))


def in_a_mark(piece: Piece) -> str:
    """What stands in a mark: a look-alike itself, then its name, and how often it comes."""
    times = f" ×{piece.times}" if piece.times > 1 else ""  # noqa: RUF001 - the multiplication sign is meant
    return f"{piece.mark}{times}" if piece.is_hidden else f"{piece.text[0]} {piece.mark}{times}"


def written(text: str) -> str:
    """The text for where there is no room for names, as in a message or a terminal; see `with_number`."""
    return "".join(with_number(piece) if piece.mark else piece.text for piece in pieces(text))


def with_number(piece: Piece) -> str:
    """`[U+202E]` for what hides, `а[U+0430]` for a look-alike."""  # noqa: RUF002 - the Cyrillic letter is meant
    return "".join(f"{'' if piece.is_hidden else one}[U+{ord(one):04X}]" for one in piece.text)


CUT = "… (shortened)"


def cut(text: str, longest: int) -> str:
    """At most `longest` characters; whoever reads a shorter text reads that it is."""
    return text if len(text) <= longest else f"{text[: longest - len(CUT)]}{CUT}"


# --- look-alikes ------------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W_]+")
# Scripts with letters that pass for Latin ones or for each other's; the first word of a character's name says which.
_ALIKE = frozenset(
    {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "GEORGIAN", "GOTHIC", "LISU", "TIFINAGH"}
)
# Letters of other scripts that nobody can tell from Latin ones (Unicode, confusables.txt; the common ones).
_AS_LATIN = frozenset(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u04cf"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405\u04c0\u04ae\u051a\u051c"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03bd\u03c1\u03b9\u03ba\u03c5"
)


def _lookalikes(text: str) -> frozenset[int]:
    """Where they stand in the text."""
    words = [(found.start(), found.group()) for found in _WORD.finditer(text)]
    is_latin = any("LATIN" in _scripts(word) for _, word in words)
    # A word of other letters is ordinary in a text of that script, which has others that look like no Latin word.
    is_foreign = any(_passes_for_latin(word) is False for _, word in words)
    found = {at for at, one in enumerate(text) if _is_styled(one)}
    for start, word in words:
        if is_latin and not is_foreign and _passes_for_latin(word):
            found.update(range(start, start + len(word)))
        found.update(start + at for at in _odd_ones(word))
    return frozenset(found)


def _passes_for_latin(word: str) -> bool | None:
    """Whether a word of another script looks Latin; None for a word that is Latin, or of none of these scripts."""
    scripts = _scripts(word)
    if not scripts or "LATIN" in scripts:
        return None
    return all(one in _AS_LATIN for one in word)


def _odd_ones(word: str) -> Iterator[int]:
    """Letters of another script than the word's own, and digits of another one among ours."""
    if word.isascii():
        return
    scripts = _scripts(word)
    own = "LATIN" if "LATIN" in scripts else next((name for name, _ in scripts.most_common(1)), "")
    has_plain = any(one.isascii() for one in word)
    for at, one in enumerate(word):
        script = _script(one)
        is_odd_digit = has_plain and unicodedata.category(one) == "Nd" and not one.isascii()
        if (script in _ALIKE and script != own) or is_odd_digit:
            yield at


def _scripts(word: str) -> Counter[str]:
    return Counter(script for one in word if (script := _script(one)) in _ALIKE)


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


def _is_styled(character: str) -> bool:
    """A letter or digit in other clothes: full-width, mathematical, circled. Not Latin-1's own, such as m²."""
    if ord(character) <= 0xFF:
        return False
    plain = unicodedata.normalize("NFKC", character)
    return len(plain) == 1 and plain.isascii() and plain.isalnum()
