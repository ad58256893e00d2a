"""No character of an agent's text escapes the reader's eye."""

import re
import unicodedata
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.characters import describe, misleads, shown, written
from approvals.templatetags.countersign import hides, reveal
from policies.hidden import is_hidden


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


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("p\u0430ypal", "\u0430 U+0430 CYRILLIC SMALL LETTER A"),
        ("\u0391cme", "\u0391 U+0391 GREEK CAPITAL LETTER ALPHA"),
        ("\uff26ull", "\uff26 U+FF26 FULLWIDTH LATIN CAPITAL LETTER F"),
        ("\U0001d5d4cme", "\U0001d5d4 U+1D5D4 MATHEMATICAL SANS-SERIF BOLD CAPITAL A"),
        ("\u24b6cme", "\u24b6 U+24B6 CIRCLED LATIN CAPITAL LETTER A"),
        ("10\u0665 USD", "\u0665 U+0665 ARABIC-INDIC DIGIT FIVE"),
        ("\u0440ound", "\u0440 U+0440 CYRILLIC SMALL LETTER ER"),
        ("\u041c\u0391\u041c", "\u0391 U+0391 GREEK CAPITAL LETTER ALPHA"),
    ],
)
def test_a_look_alike_stands_with_its_name(text: str, marked: str) -> None:
    assert f'<mark class="unseen alike">{marked}</mark>' in reveal(text)
    assert f"[{marked}]" in shown(text)
    assert f"{marked[0]}[{marked.split()[1]}]" in written(text)
    assert hides(text)


def test_a_latin_looking_word_among_latin_words_is_marked_letter_by_letter() -> None:
    assert written("Refund \u0441\u043e\u0440") == "Refund \u0441[U+0441]\u043e[U+043E]\u0440[U+0440]"


@pytest.mark.parametrize(
    "text",
    [
        "\u0420\u043e\u0441\u0441\u0438\u044f and Paris",  # a Russian name in an English sentence
        "\u0441\u043e\u0440",  # a text of that script
        "\u0395\u03bb\u03bb\u03ac\u03b4\u03b1",
        "caf\u00e9 na\u00efve \u0141\u00f3d\u017a",
        "\u30ab\u30bf\u30ab\u30caA",
        "25 m\u00b2, 1\u00ba",
        "\u0665\u0660",  # a number of other digits alone
    ],
)
def test_ordinary_text_of_another_script_is_left_alone(text: str) -> None:
    assert not misleads(text)
    assert shown(text) == written(text) == text


@pytest.mark.parametrize("text", ["l1O0 rn", "\u2024com", "\u05d0\u05d1c"])
def test_what_is_not_found_is_known(text: str) -> None:
    """As `approvals.characters` says: one script's own doubles, punctuation, scripts that are not alike."""
    assert not misleads(text)


@given(st.text())
def test_a_page_and_its_digest_show_the_same(text: str) -> None:
    """`judge.seen` digests what `shown` gives, the page shows what `reveal` gives."""
    page = re.sub(r'<mark class="[a-z ]+">(.*?)</mark>', r"[\1]", reveal(text), flags=re.S)
    assert unescape(page) == shown(text)
