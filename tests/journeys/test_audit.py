"""An auditor in a real browser: from one search to who let it happen, what ran, and a verified trail."""

import base64

from django.test import override_settings
from playwright.sync_api import expect

from tests import courses
from tests.journeys.site import Site
from tests.test_verifications import swept
from tests.views.test_trail_outside import SIGNS, sealed

WAIT = 20_000  # milliseconds; the page comes again every two seconds


def test_an_auditor_finds_who_let_it_happen_and_has_the_trail_verified(site: Site) -> None:
    request = courses.succeeded(site.world)
    sealed(site.world)
    key = base64.b64encode(SIGNS.public_key().public_bytes_raw()).decode()
    with site.signed_in("ada") as page, override_settings(AUDIT_PUBLIC_KEYS=[key]):
        page.goto("/")
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Trail").click()
        room = page.get_by_role("navigation", name="Auditor’s room")  # noqa: RUF001
        room.get_by_role("link", name="Search").click()
        page.get_by_label("Anything", exact=True).first.fill("pay_10001")
        page.keyboard.press("Enter")
        answer = page.get_by_role("region", name="Who let it happen")
        expect(answer).to_contain_text("Lena (by vote)")

        answer.get_by_role("link", name=request.headline).click()
        expect(page.get_by_role("region", name="Who let this happen?")).to_contain_text("Lena")
        page.get_by_role("link", name="Compare what was seen with what ran").click()
        expect(page.get_by_role("status")).to_contain_text("All of it is the same.")

        page.goto("/trail/verification/")
        page.get_by_role("button", name="Verify it now").click()
        expect(page.get_by_role("heading", name="About to begin")).to_be_visible()
        swept(site.world)
        expect(page.get_by_role("heading", name="Intact", exact=True)).to_be_visible(timeout=WAIT)
        expect(page.get_by_role("button", name="Verify it again, now")).to_be_visible()


def test_what_a_trace_id_is_one_press_selects(site: Site) -> None:
    request = site.world.submit()
    with site.signed_in("ada", width=360) as page:
        page.goto(f"/requests/{request.pk}/trail/")
        page.locator(".take").first.click()
        selected = page.evaluate("getSelection().toString().trim()")
        assert selected == request.trace_id
