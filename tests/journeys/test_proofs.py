"""Second factors in a real browser, whose authenticator is a virtual one (WebAuthn, by the browser's own protocol)."""

import pytest
from playwright.sync_api import Page, expect

from tests.breaking import REASON, give
from tests.journeys.factors import with_authenticator
from tests.journeys.in_the_way import problems
from tests.journeys.site import PASSWORD, Site
from tests.proving import rule_asks_for_proof
from tests.test_decide import BIG


def add_a_passkey(page: Page) -> None:
    page.goto("/accounts/security/")
    page.get_by_role("link", name="Add a passkey").click()
    if page.get_by_label("Password").is_visible():
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Go on").click()
    page.get_by_label("Name").fill("The laptop")
    page.get_by_role("button", name="Add the passkey").click()
    page.get_by_role("button", name="Show them now").click()
    expect(page.get_by_role("listitem")).to_have_count(10)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("The laptop", exact=True).first).to_be_visible()


def test_a_passkey_is_added_proves_and_signs_in(site: Site) -> None:
    rule_asks_for_proof(site.world)
    request = site.world.submit()
    with site.signed_in("lena") as page:
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        with_authenticator(page)
        add_a_passkey(page)

        session = page.context.cookies()
        page.goto(f"/requests/{request.pk}/")
        page.get_by_label("Comment").fill("Checked with the warehouse.")
        expect(page.get_by_text("This rule asks who you are, and you proved it")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        assert session

        # The password alone opens nothing any more.
        page.goto("/accounts/login/")
        page.get_by_label("E-mail address").fill(site.world.people["lena"].email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", name="Your second factor")).to_be_visible()
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_url(f"{site.url}/")
        page.goto(f"/requests/{request.pk}/")
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("status").first).to_contain_text("You approved this request.")
        assert problems == []  # nothing was against the content security policy
    assert site.world.status(request) == "approved"


def test_a_passkey_that_says_no_is_said_on_the_page(site: Site) -> None:
    with site.signed_in("mara") as page:
        page.goto("/accounts/security/passkey/")
        # No authenticator is there, so the browser refuses at once or the person goes away.
        page.evaluate("() => { navigator.credentials.create = () => Promise.reject(new Error('no')) }")
        page.get_by_role("button", name="Add the passkey").click()
        expect(page.get_by_role("alert")).to_contain_text("That did not work, and nothing was changed.")


def test_breaking_the_glass_from_the_request_to_the_review(site: Site) -> None:
    give(site.world, "opal", "break_glass")
    give(site.world, "mara", "security")
    request = site.world.submit(**BIG)
    with site.signed_in("opal") as page:
        with_authenticator(page)
        add_a_passkey(page)
        page.goto(f"/requests/{request.pk}/")
        page.get_by_role("link", name="Push it through alone").click()
        page.get_by_label("Reason").fill(REASON)
        page.get_by_label("To confirm").fill(request.resource_id)
        page.get_by_label("To confirm").press("Enter")
        page.wait_for_timeout(500)
        assert site.world.status(request) == "pending"
        page.get_by_role("button", name="Push it through alone").click()
        expect(page.get_by_role("status").first).to_contain_text("You pushed this through alone.")
        expect(page.get_by_role("region", name="Break-glass")).to_contain_text("Nobody has reviewed it yet.")
    assert site.world.status(request) == "approved"
    with site.signed_in("mara") as page:
        page.goto("/")
        expect(page.get_by_role("complementary", name="Break-glass")).to_contain_text(
            "nobody has reviewed it"
        )
        page.get_by_role("link", name="See what happened").click()
        page.get_by_label("Not justified").check()
        page.get_by_label("What you found").fill("Finance was at their desks.")
        page.get_by_label("Not justified").press("Enter")
        page.wait_for_timeout(500)
        expect(page.get_by_text("Not reviewed", exact=True)).to_be_visible()
        page.get_by_role("button", name="Record the review").click()
        expect(page.get_by_role("status").first).to_contain_text("Reviewed.")
        expect(page.get_by_role("complementary", name="Break-glass")).to_have_count(0)


@pytest.mark.parametrize("width", [360, 1440])
def test_the_pages_are_for_everybody(site: Site, width: int) -> None:
    give(site.world, "opal", "break_glass")
    give(site.world, "mara", "security")
    request = site.world.submit(**BIG)
    for name, path in (
        ("opal", "/accounts/security/"),
        ("opal", "/accounts/security/passkey/"),
        ("opal", "/accounts/security/app/"),
        ("opal", f"/requests/{request.pk}/break-glass/"),
        ("mara", "/break-glass/"),
    ):
        with site.signed_in(name, width=width) as page:
            assert problems(page, path) == [], path
