"""The pages in a real browser: a decision by keyboard alone, and nothing in anybody's way."""

import pytest
from playwright.sync_api import Page, expect

from tests.journeys import factors
from tests.journeys.in_the_way import heard, in_the_way, problems, seen
from tests.journeys.moments import MOMENTS
from tests.journeys.scenes import OUTSIDE, at_work
from tests.journeys.site import PASSWORD, Site


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control of this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()"
        )
        if str(focused).startswith(name):
            return
    raise AssertionError(f"Nothing named {name!r} can be reached with the Tab key.")


def test_a_reviewer_signs_in_reads_and_approves_by_keyboard_alone(site: Site) -> None:
    request = site.world.submit()
    with site.visitor() as page:
        page.goto("/")
        tab_to(page, "E-mail address")
        page.keyboard.type(site.world.people["lena"].email)
        tab_to(page, "Password")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Waiting for a decision")).to_be_visible()

        tab_to(page, request.headline)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=request.headline)).to_be_visible()
        expect(page.get_by_role("region", name="Claimed")).to_contain_text("returned the parcel unopened")
        expect(page.get_by_role("region", name="Looked up")).to_contain_text("129.00 USD")
        assert site.world.ledger(request) == []

        tab_to(page, "Comment")
        page.keyboard.type("Checked with the warehouse.")
        tab_to(page, "Approve 129.00 USD")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").first).to_contain_text("You approved this request.")
        expect(page.get_by_role("region", name="Approved.")).to_be_visible()
    assert site.world.status(request) == "approved"


def test_what_was_typed_survives_a_refusal(site: Site) -> None:
    request = site.world.submit()
    with site.signed_in("lena") as page:
        page.goto(f"/requests/{request.pk}/")
        page.get_by_label("Comment").fill("no")
        page.get_by_role("button", name="Deny").click()
        expect(page.get_by_role("alert")).to_contain_text("A denial needs a reason")
        expect(page.get_by_label("Comment")).to_have_value("no")
        page.get_by_label("Comment").fill("Ask the carrier first.")
        page.get_by_role("button", name="Deny").click()
        expect(page.get_by_role("status").first).to_contain_text("You denied this request.")
    assert site.world.status(request) == "denied"


def test_the_skip_link_leads_past_the_header(site: Site) -> None:
    with site.signed_in("lena") as page:
        page.goto("/")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_on_any_page_is_in_anybodys_way(site: Site, width: int) -> None:
    """No finding of axe, no sideways scrolling, no small target, and the browser has nothing to complain about."""
    pages, found = at_work(site.world).pages, []
    with site.visitor(width=width) as page:
        for name, path in OUTSIDE.items():
            found += [f"{name}: {problem}" for problem in problems(page, path)]
    for who in sorted({who for who, _ in pages.values()}):
        with site.signed_in(who, width=width) as page:
            for name, (viewer, path) in pages.items():
                if viewer == who:
                    found += [f"{name}: {problem}" for problem in problems(page, path)]
    assert found == []


@pytest.mark.timeout(600)
def test_nothing_is_in_anybodys_way_when_a_page_answers(site: Site) -> None:
    """What the same checks find of refusals, conflicts, and pages that are shown once."""
    at_work(site.world)
    found = []
    for name, (who, act) in MOMENTS.items():
        with site.signed_in(who, width=360) as page:
            complaints = heard(page)
            act(site.world, page)
            found += [f"{name}: {problem}" for problem in at_both_widths(page, complaints)]
    with site.signed_in(factors.WHO, width=360) as page:
        complaints = heard(page)
        for name in factors.walk(site.world, page):
            found += [f"{name}: {problem}" for problem in at_both_widths(page, complaints)]
    assert found == []


def at_both_widths(page: Page, complaints: list[str]) -> list[str]:
    """Of a page that cannot be loaded a second time: as it came to a phone, then on a wide screen."""
    found = seen(page, complaints)
    page.set_viewport_size({"width": 1440, "height": 900})
    found += [f"1440: {problem}" for problem in in_the_way(page)]
    page.set_viewport_size({"width": 360, "height": 900})
    return found
