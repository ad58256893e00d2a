"""The desk in a real browser: by keyboard, and up to date without a reload."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.site import PASSWORD, Site, serving
from tests.proving import rule_asks_for_proof

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


WRITING = {
    "a reason": "input[name=because] >> nth=-1",
    "the proof": "input[name=password]",
}


@pytest.mark.parametrize("field", WRITING)
def test_enter_in_a_field_decides_nothing(site: Site, field: str, tmp_path: Path) -> None:
    """A form's first button is pressed by it, and would be Approve."""
    with serving(site.world, tmp_path / "pages.log", STEP_UP_SECONDS="1") as url:
        _enter_decides_nothing(replace(site, url=url, sessions={}), WRITING[field])


def _enter_decides_nothing(site: Site, field: str) -> None:
    rule_asks_for_proof(site.world)
    request = site.world.submit()
    with site.signed_in("lena") as page:
        page.wait_for_timeout(1500)  # to sign in is a proof, and no longer a fresh one
        page.goto(f"/requests/{request.pk}/")
        page.get_by_label("Comment").fill("This is fraud: do not pay.")
        page.get_by_label("Password").fill(PASSWORD)
        page.locator(field).focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(500)
        expect(page).to_have_url(re.compile(f"/requests/{request.pk}/$"))
        expect(page.get_by_label("Password")).to_have_value(PASSWORD)
    assert site.world.status(request) == "pending"


def test_enter_on_a_tick_decides_nothing(site: Site) -> None:
    low = {"customer_id": "cus_1001", "currency": "USD", "reason": "A parcel came two days late, sorry."}
    requests = [site.world.submit("issue_store_credit", amount_minor=minor, **low) for minor in (2400, 2300)]
    with site.signed_in("lena") as page:
        page.goto("/together/?" + "&".join(f"id={one.pk}" for one in requests))
        page.get_by_label("Comment, for each of them").fill("Both are fraud.")
        page.get_by_role("checkbox", name="Decide this one too").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(500)
        expect(page.get_by_role("heading", name="Decide together")).to_be_visible()
    assert [site.world.status(one) for one in requests] == ["pending", "pending"]


def test_enter_asks_for_no_changes(site: Site) -> None:
    request = site.world.submit()
    with site.signed_in("lena") as page:
        page.goto(f"/requests/{request.pk}/")
        page.get_by_text("Ask the agent for changes").click()
        page.get_by_label("What should change").fill("Half of it is fair.")
        page.locator("input[name^=field-]").first.press("Enter")
        page.wait_for_timeout(500)
        expect(page).to_have_url(re.compile(f"/requests/{request.pk}/$"))
    assert site.world.status(request) == "pending"


def test_a_key_pressed_in_the_queue_is_soon_forgotten(site: Site) -> None:
    """The page that it was for did not come; another way to that page is no decision's beginning."""
    request = site.world.submit()
    address = f"**/requests/{request.pk}/"
    with site.signed_in("lena") as page:
        page.goto("/")
        page.locator(f"#open-{request.pk}").focus()
        page.route(address, lambda route: route.abort())
        page.keyboard.press("a")
        page.wait_for_timeout(300)
        page.unroute(address)
        page.clock.set_fixed_time(datetime.now(UTC) + timedelta(minutes=1))
        page.goto(f"/requests/{request.pk}/")
        expect(page.get_by_role("button", name="Approve")).to_be_visible()
        expect(page.get_by_role("button", name="Approve")).not_to_be_focused()


@pytest.mark.parametrize("fragment", ["approve", "deny", "reasons", "comment"])
@pytest.mark.parametrize("key", ["Space", "Enter"])
def test_no_link_puts_a_decision_under_the_next_key(site: Site, fragment: str, key: str) -> None:
    request = site.world.submit()
    with site.signed_in("lena") as page:
        page.goto(f"/requests/{request.pk}/#{fragment}")
        page.keyboard.press(key)
        page.wait_for_timeout(300)
        expect(page.get_by_role("button", name="Approve")).not_to_be_focused()
    assert site.world.status(request) == "pending"
