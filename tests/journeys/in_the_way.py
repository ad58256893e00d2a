"""What is in somebody's way on a page: found by axe, by scrolling sideways, by a finger, or told by the browser."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.journeys.site import THEMES

AXE = Axe()


def problems(page: Page, path: str) -> list[str]:
    """What is wrong with the page at this path, at the window's width and in both themes."""
    complaints = heard(page)
    page.goto(path)
    return seen(page, complaints)


def heard(page: Page) -> list[str]:
    """What the browser complains of from now on."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
    return complaints


def seen(page: Page, complaints: list[str]) -> list[str]:
    """These, and what is wrong with the page as it has just been loaded."""
    # An error page is one of the pages.
    found = [text for text in complaints if "status of 4" not in text]
    if (shift := page.evaluate(LAYOUT_SHIFT)) > MOST_SHIFT:
        found.append(f"moves while it loads: {shift}")
    return found + in_the_way(page)


def in_the_way(page: Page) -> list[str]:
    """What is wrong with the page as it stands, at the window's width and in both themes."""
    found: list[str] = []
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
        found.append("scrolls sideways")
    found += [f"small target: {name}" for name in page.evaluate(SMALL_TARGETS)]
    for theme in THEMES:
        # Without motion, a colour is there at once.
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        found += [
            f"axe, {theme}, {finding['id']}: {node['html']}"
            for finding in AXE.run(page).response["violations"]
            for node in finding["nodes"]
        ]
    page.emulate_media(color_scheme="null", reduced_motion="null")  # the next page moves as it would
    return found


# Web Vitals call a cumulative layout shift of 0.1 good.
MOST_SHIFT = 0.01
LAYOUT_SHIFT = """
new Promise(done => {
    let sum = 0
    new PerformanceObserver(list => list.getEntries().forEach(each => { sum += each.value }))
        .observe({ type: "layout-shift", buffered: true })
    setTimeout(() => done(sum), 50)
})
"""
# What can be pressed and is less than 44 px high. A queue's row is one target as a whole, by its ::after; a radio
# button's is its label. What is not displayed cannot be pressed.
SMALL_TARGETS = """
[...document.querySelectorAll(
    "a, button, input:not([type=hidden], [hidden]), select, textarea, summary, .choice, .pick, .together"
)]
    .filter(each => !each.matches(".skip, .ticket a, .choice input, .pick input, .together input"))
    .filter(each => each.checkVisibility({visibilityProperty: true}))
    .filter(each => each.getBoundingClientRect().height < 43.5)
    .map(each => each.textContent.trim() + " " + each.getBoundingClientRect().height)
"""
