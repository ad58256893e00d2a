"""Every text of a page comes through gettext, so that another language is a file of messages and no change of pages.

Names, units and what is typed as an example stay as they are in every language.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.template.base import Lexer, Token, TokenType

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(str(file.relative_to(ROOT)) for file in (ROOT / "templates").rglob("*.html"))
SAID = frozenset(("title", "alt", "placeholder", "aria-label", "aria-description"))
IN_NO_LANGUAGE = re.compile(
    r"Countersign|UTC|XXXX-XXXX|pay_10001|narrow|wide"
)  # the last two are a page's shape
ENDS = {"blocktranslate": "endblocktranslate", "comment": "endcomment"}


class Texts(HTMLParser):
    """What a reader sees or hears of a page, but for code and keys."""

    NOT_READ = frozenset(("script", "style", "code", "kbd", "pre"))

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside += tag in self.NOT_READ
        self.found += [value for name, value in attrs if value and name in SAID]

    def handle_endtag(self, tag: str) -> None:
        self._inside -= tag in self.NOT_READ

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.found.append(data)


def bare(template: str) -> list[str]:
    """The words of a template that nobody could translate."""
    page = "".join(_untold(Lexer(template).tokenize()))
    return [said.strip() for said in Texts(page).found if re.search(r"\w\w", IN_NO_LANGUAGE.sub("", said))]


def _untold(tokens: list[Token]) -> Iterator[str]:
    """The text that stands outside of what gettext gets."""
    until = ""
    for token in tokens:
        word = token.contents.split()[0] if token.token_type == TokenType.BLOCK else ""
        if until:
            until = "" if word == until else until
        elif token.token_type == TokenType.TEXT:
            yield token.contents
        else:
            until = ENDS.get(word, "")


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_text_of_a_template_can_be_translated(name: str) -> None:
    assert bare((ROOT / name).read_text()) == []


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("<p>Left as it is</p>", ["Left as it is"]),
        ('<a title="Not told" href="/a/b/">{% translate "told" %}</a>', ["Not told"]),
        ("{% blocktranslate %}All of it{% endblocktranslate %} but this", ["but this"]),
        (
            "{% blocktranslate %}One{% plural %}More{% endblocktranslate %}<code>as typed</code> {{ value }}",
            [],
        ),
    ],
)
def test_a_text_that_cannot_is_found(template: str, found: list[str]) -> None:
    assert bare(template) == found


def test_scripts_say_nothing_of_their_own() -> None:
    """They show what a page has brought: a sentence in a script would have no other language."""
    for script in (ROOT / "static").glob("*.js"):
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", script.read_text(), flags=re.DOTALL)
        assert re.findall(r"[\"'`][A-Z][a-z]+ [a-z]+", code) == [], script.name
