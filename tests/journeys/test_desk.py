"""The desk in a real browser: by keyboard, and up to date without a reload."""

import re

from playwright.sync_api import Page, expect

from tests.journeys.site import Site

SOON = 15_000  # milliseconds; a page asks every four seconds, on a machine with other things to do


def complaints(page: Page) -> list[str]:
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def test_from_the_queue_to_an_approval_in_three_keys(site: Site) -> None:
    request = site.world.submit()
    with site.signed_in("lena") as page:
        found = complaints(page)
        page.goto(f"/?thing={request.resource_id}")
        while page.evaluate("document.activeElement?.getAttribute('href')") != f"/requests/{request.pk}/":
            page.keyboard.press("j")
        page.keyboard.press("a")
        expect(page.get_by_role("button", name="Approve 129.00 USD")).to_be_focused()
        assert site.world.status(request) == "pending"
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").first).to_contain_text("You approved this request.")
        assert found == []
    assert site.world.status(request) == "approved"


def test_a_denial_is_a_reason_and_a_button(site: Site) -> None:
    request = site.world.submit()
    with site.signed_in("lena") as page:
        page.goto(f"/requests/{request.pk}/")
        page.keyboard.press("d")
        expect(page.get_by_role("group", name="A reason to deny it")).to_be_focused()
        page.get_by_text("It was asked for before.").click()
        page.get_by_role("button", name="Deny").click()
        expect(page.get_by_role("status").first).to_contain_text("You denied this request.")
    assert site.world.reload_as("web", request).outcome == "It was asked for before."


def test_keys_are_letters_where_somebody_writes_and_can_be_switched_off(site: Site) -> None:
    request = site.world.submit()
    with site.signed_in("lena") as page:
        page.goto(f"/requests/{request.pk}/")
        page.get_by_label("Comment").fill("")
        page.keyboard.type("adjo?")
        expect(page.get_by_label("Comment")).to_have_value("adjo?")
        page.get_by_role("button", name="Keyboard").click()
        dialog = page.get_by_role("dialog", name="By keyboard")
        expect(dialog).to_be_visible()
        dialog.get_by_label("Single keys do this").uncheck()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        page.keyboard.press("q")
        expect(page).to_have_url(re.compile("/requests/"))
        page.reload()
        page.locator("body").press("?")
        page.get_by_role("dialog").get_by_label("Single keys do this").check()
        page.keyboard.press("Escape")
        page.locator("body").press("q")
        expect(page.get_by_role("heading", name="Waiting for a decision")).to_be_visible()


def test_the_queue_changes_where_it_stands_and_keeps_what_was_ticked_and_focused(site: Site) -> None:
    low = {"customer_id": "cus_1001", "currency": "USD", "reason": "A parcel came two days late, sorry."}
    first = site.world.submit("issue_store_credit", amount_minor=2400, **low)
    with site.signed_in("lena") as page:
        found = complaints(page)
        page.goto("/?thing=cus_1001")
        page.locator(f"#open-{first.pk}").focus()
        tick = page.locator(f"#tick-{first.pk}")
        tick.check()
        second = site.world.submit("issue_store_credit", amount_minor=2300, **low)
        expect(page.locator(f"#row-{second.pk}")).to_be_visible(timeout=SOON)
        expect(page.locator(f"#open-{first.pk}")).to_be_attached()
        expect(tick).to_be_checked()
        site.world.vote(second, "deny", "mara")
        expect(page.locator(f"#row-{second.pk}")).to_have_count(0, timeout=SOON)
        assert found == []
        page.context.clear_cookies()
        expect(page).to_have_url(re.compile("/accounts/login/"), timeout=SOON)


def test_a_requests_page_says_that_somebody_else_was_first(site: Site) -> None:
    request = site.world.submit()
    with site.signed_in("lena") as page:
        page.goto(f"/requests/{request.pk}/")
        page.get_by_label("Comment").fill("I am still writing.")
        site.world.vote(request, "deny", "mara")
        expect(page.get_by_text("This has moved on since you opened it.")).to_be_visible(timeout=SOON)
        expect(page.get_by_label("Comment")).to_have_value("I am still writing.")
        page.get_by_role("link", name="See it as it is now").click()
        expect(page.get_by_role("region", name="Denied. Nothing was done.")).to_be_visible()
