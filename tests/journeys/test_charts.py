"""The dashboard in a real browser: each chart draws its table, and is read by keys, without colour, without script."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.site import THEMES, Site, Theme
from tests.views.days import filled

LAST = date(2024, 3, 31)
PAGE = "/operations/?first=2024-03-18&last=2024-03-31"
# Of each chart: what is drawn, series by series from the bottom up, and the drawn columns of its table.
DRAWN = """
const number = (said) => (said === undefined ? null : Number(said));
[...document.querySelectorAll("figure.chart:has(.plot)")].map((figure) => {
    const heads = [...figure.querySelectorAll("thead th")], rows = [...figure.querySelectorAll("tbody tr")];
    const columns = heads.flatMap((head, place) => (head.dataset.tone ? [place] : []));
    const [, ...series] = figure.querySelector(".plot").chart.data;
    return {
        kind: figure.dataset.kind,
        series: series.map((one) => [...one]),
        table: columns.map((at) => rows.map((row) => number(row.cells[at].dataset.value))),
    };
})
"""


@pytest.fixture
def past(site: Site) -> Iterator[Site]:
    with filled(site.world, [LAST - timedelta(days=back) for back in range(12)]):
        yield site


def apart(series: list[list[float | None]]) -> list[list[float]]:
    """The parts of a stack, from its sums: the tallest sum is drawn first."""
    sums = [[each or 0.0 for each in one] for one in series[::-1]]
    below = [[0.0] * len(sums[0]), *sums[:-1]]
    return [
        [top - foot for top, foot in zip(one, under, strict=True)]
        for one, under in zip(sums, below, strict=True)
    ]


def test_each_chart_draws_the_numbers_of_its_table(past: Site) -> None:
    with past.signed_in("opal") as page:
        page.goto(PAGE)
        found: list[dict[str, Any]] = page.evaluate(DRAWN)
    assert [one["kind"] for one in found] == ["stack", "lines", "lines", "stack", "stack"]
    for one in found:
        drawn = apart(one["series"]) if one["kind"] == "stack" else one["series"]
        assert drawn == one["table"]
        assert any(value for numbers in drawn for value in numbers)


def ink(page: Page) -> list[str]:
    """Each canvas as it looks."""
    return list(
        page.evaluate("[...document.querySelectorAll('.plot canvas, .swatch')].map(one => one.toDataURL())")
    )


def test_charts_follow_the_theme_and_tell_series_apart_without_colour(past: Site) -> None:
    with past.signed_in("opal") as page:
        page.goto(PAGE)
        light = ink(page)
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(300)  # drawn with the next frame
        dark = ink(page)
        assert [
            place for place, (one, other) in enumerate(zip(light, dark, strict=True)) if one == other
        ] == []
        # In one colour, the five swatches of a stack are still five.
        page.add_init_script(
            "document.addEventListener('DOMContentLoaded', () => { for (const tone of ['good', 'bad', 'warn', 'blue', "
            "'ink-soft']) document.documentElement.style.setProperty('--' + tone, '#777'); })"
        )
        page.goto(PAGE)
        swatches = page.evaluate(
            "[...document.querySelector('figure.chart').querySelectorAll('.swatch')].map(one => one.toDataURL())"
        )
        assert len(set(swatches)) == 5


def test_a_chart_is_read_with_the_arrow_keys(past: Site) -> None:
    with past.signed_in("opal") as page:
        page.goto(PAGE)
        chart = page.get_by_role("slider", name="Filed, by how it stands now")
        expect(chart).to_have_attribute("aria-valuetext", re.compile("^31 Mar 2024: "))
        chart.focus()
        page.keyboard.press("ArrowLeft")
        expect(chart).to_have_attribute("aria-valuetext", re.compile("^30 Mar 2024: "))
        page.keyboard.press("Home")
        expect(chart).to_have_attribute("aria-valuetext", re.compile("^18 Mar 2024: "))
        page.keyboard.press("ArrowLeft")
        expect(chart).to_have_attribute("aria-valuenow", "0")
        expect(page.locator("figure.chart .readout").first).to_contain_text(
            "18 Mar 2024: Carried out 0, Denied 0"
        )


def test_without_script_there_are_the_tables(past: Site) -> None:
    with past.signed_in("opal"):
        pass  # so that the session is kept
    context = past.browser.new_context(
        base_url=past.url, java_script_enabled=False, storage_state=past.sessions["opal"]
    )
    try:
        page = context.new_page()
        page.goto(PAGE)
        expect(page.locator(".plot").first).to_be_hidden()
        page.get_by_text("The numbers").first.click()
        expect(page.get_by_role("row", name="31 Mar 2024").first).to_be_visible()
    finally:
        context.close()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [360, 768])
def test_charts_fit_their_page_and_the_policy_of_its_content(past: Site, width: int, theme: Theme) -> None:
    complaints: list[str] = []
    with past.signed_in("opal", width=width, theme=theme) as page:
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(PAGE)
        page.set_viewport_size({"width": 480, "height": 900})
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        wider = page.evaluate(
            "[...document.querySelectorAll('.plot')].some(one => one.firstChild.offsetWidth > one.clientWidth + 1)"
        )
        assert not wider
    assert complaints == []
