"""What looks at pages in the other tests sees what is wrong with one."""

import pytest
from playwright.sync_api import Browser

from tests.journeys.in_the_way import in_the_way

PAGE = """<!doctype html><html lang="en"><head><title>A page</title><style>{style}</style></head>
<body><main><h1>A page</h1><p>Words that are read.</p><button>Press it</button></main></body></html>"""
WELL = "button { height: 44px; } "


def found(browser: Browser, style: str) -> list[str]:
    page = browser.new_page(viewport={"width": 360, "height": 900}, color_scheme="light")
    try:
        page.set_content(PAGE.format(style=WELL + style))
        return in_the_way(page)
    finally:
        page.close()


def test_on_a_page_that_is_well_nothing_is_found(browser: Browser) -> None:
    assert found(browser, "") == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_that_are_hard_to_read_in_one_theme_are_found_in_that_one(browser: Browser, theme: str) -> None:
    hard = "p { color: #777; background: #888; }"
    (problem,) = found(browser, f"@media (prefers-color-scheme: {theme}) {{ {hard} }}")
    assert problem.startswith(f"axe, {theme}, color-contrast: <p>")


@pytest.mark.parametrize(
    ("style", "problem"),
    [
        ("p { width: 400px; }", "scrolls sideways"),
        ("button { height: 20px; }", "small target: Press it 20"),
    ],
)
def test_what_does_not_fit_a_screen_or_a_finger_is_found(browser: Browser, style: str, problem: str) -> None:
    assert problem in found(browser, style)
