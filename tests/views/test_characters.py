"""No character of an agent's text escapes the reader's eye."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.characters import describe, is_hidden
from approvals.templatetags.countersign import hides, reveal


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\u202e", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("\u2066", "U+2066 LEFT-TO-RIGHT ISOLATE"),
        ("\u200b", "U+200B ZERO WIDTH SPACE"),
        ("\u200d", "U+200D ZERO WIDTH JOINER"),
        ("\ufeff", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
        ("\u00ad", "U+00AD SOFT HYPHEN"),
        ("\u00a0", "U+00A0 NO-BREAK SPACE"),
        ("\u2028", "U+2028 LINE SEPARATOR"),
        ("\r", "U+000D CARRIAGE RETURN"),
        ("\t", "U+0009 CHARACTER TABULATION"),
        ("\x1b", "U+001B ESCAPE"),
        ("\x7f", "U+007F DELETE"),
        ("\x01", "U+0001 CHARACTER WITHOUT A NAME"),
        ("\ue000", "U+E000 CHARACTER WITHOUT A NAME"),
        ("\u3164", "U+3164 HANGUL FILLER"),
        ("\u115f", "U+115F HANGUL CHOSEONG FILLER"),
        ("\u2800", "U+2800 BRAILLE PATTERN BLANK"),
        ("\ufe0f", "U+FE0F VARIATION SELECTOR-16"),
        ("\U0001d159", "U+1D159 MUSICAL SYMBOL NULL NOTEHEAD"),
        ("\u0334", "U+0334 COMBINING TILDE OVERLAY"),
        ("\u0336", "U+0336 COMBINING LONG STROKE OVERLAY"),
        ("\u0338", "U+0338 COMBINING LONG SOLIDUS OVERLAY"),
        ("\u20d2", "U+20D2 COMBINING LONG VERTICAL LINE OVERLAY"),
        ("\u20dd", "U+20DD COMBINING ENCLOSING CIRCLE"),
        ("\u20e0", "U+20E0 COMBINING ENCLOSING CIRCLE BACKSLASH"),
        ("\u20ea", "U+20EA COMBINING LEFTWARDS ARROW OVERLAY"),
        ("\U000e0041", "U+E0041 TAG LATIN CAPITAL LETTER A"),
        ("\U000e0100", "U+E0100 VARIATION SELECTOR-17"),
    ],
)
def test_a_hidden_character_is_named(character: str, name: str) -> None:
    assert is_hidden(character)
    assert describe(character) == name
    assert reveal(f"a{character}b") == f'a<mark class="unseen">{name}</mark>b'


@pytest.mark.parametrize(
    "text", ["plain words", "naïve \u2013 “quoted” …", "注文です", "שלום", "two\nlines", "5 € 👍"]
)
def test_what_shows_itself_is_left_alone(text: str) -> None:
    assert not hides(text)
    assert reveal(text) == text


def test_markup_is_escaped() -> None:
    assert reveal("<b>&\"'") == "&lt;b&gt;&amp;&quot;&#x27;"


def test_a_run_of_one_character_is_one_mark_with_its_count() -> None:
    assert reveal("\u200b" * 500) == '<mark class="unseen">U+200B ZERO WIDTH SPACE \u00d7500</mark>'


@given(st.text())
def test_no_format_or_control_character_is_ever_shown_raw(text: str) -> None:
    left = {unicodedata.category(character) for character in reveal(text) if character != "\n"}
    assert not left & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"], exclude_characters="&<>\"'")))
def test_nothing_is_silently_cut(text: str) -> None:
    visible = [character for character in text if not is_hidden(character)]
    shown = iter(reveal(text))
    assert all(character in shown for character in visible)
