"""The consent page in a real browser: the answer reaches the program, and nothing is in the way."""

import pytest
from playwright.sync_api import expect

from tests.journeys.callback import callback
from tests.journeys.site import PASSWORD, Site
from tests.journeys.test_pages import tab_to
from tests.oauth.programs import Program
from tests.views.conftest import add_role


@pytest.mark.parametrize("answer", ["Allow", "Do not allow"])
def test_a_person_signs_in_reads_and_answers_by_keyboard_alone(site: Site, answer: str) -> None:
    with callback() as program, site.visitor() as page:
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        asking = Program.registered(site.world, redirects=program.url)
        page.goto(asking.asks(resource=None))
        tab_to(page, "E-mail address")
        page.keyboard.type(site.world.people["lena"].email)
        tab_to(page, "Password")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Let this program ask in your name?")).to_be_visible()
        expect(page.get_by_role("region", name="Who asks")).to_contain_text("Desk helper")
        expect(page.get_by_text("This lets it ask, never approve.")).to_be_visible()
        tab_to(page, answer)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{program.url}?*")
        assert ("code" in program.came[0]) is (answer == "Allow")
        assert program.came[0].get("error", ["access_denied"]) == ["access_denied"]
        assert program.came[0]["iss"] == [site.url]
        assert complaints == []


def test_enter_in_the_choice_of_a_company_does_not_allow(site: Site) -> None:
    """A form sends with its first button: that one is the no."""
    add_role(site.world, "lena", site.world.other, "auditor")
    with callback() as program, site.signed_in("lena") as page:
        page.goto(Program.registered(site.world, redirects=program.url).asks(resource=None))
        page.get_by_role("radio", name="South").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"{program.url}?*")
        assert program.came[0]["error"] == ["access_denied"]


def test_a_yes_needs_a_company_and_a_no_does_not(site: Site) -> None:
    add_role(site.world, "lena", site.world.other, "auditor")
    with callback() as program, site.signed_in("lena") as page:
        asked = Program.registered(site.world, redirects=program.url).asks(resource=None)
        page.goto(asked)
        page.get_by_role("button", name="Allow", exact=True).click()
        expect(page.get_by_role("heading", name="Let this program ask in your name?")).to_be_visible()
        page.get_by_role("radio", name="South").check()
        page.get_by_role("button", name="Allow", exact=True).click()
        page.wait_for_url(f"{program.url}?*")
        assert "code" in program.came[0]


@pytest.mark.parametrize("host", ["localhost", "[::1]"])
def test_the_answer_reaches_every_name_of_this_machine(site: Site, host: str) -> None:
    """The page's form may lead to the program's address alone, and browsers ask that of the redirect, too."""
    with callback(host) as program, site.signed_in("lena") as page:
        page.goto(Program.registered(site.world, redirects=program.url).asks(resource=None))
        page.get_by_role("button", name="Allow", exact=True).click()
        page.wait_for_url(f"{program.url}?*")
        assert "code" in program.came[0]
