"""A terminal is connected and disconnected again in a real browser, by keyboard alone."""

import pytest
from playwright.sync_api import expect

from approvals.identity import agents
from approvals.identity.models import AccessToken, Agent
from tests.journeys.in_the_way import heard, seen
from tests.journeys.site import Site
from tests.journeys.test_pages import tab_to
from tests.oauth.terminal import Terminal


def terminal_of(site: Site, name: str = "Terminal helper") -> Terminal:
    with site.world.processes.acting_as("migrator"):
        return Terminal(agents.add_program(name).client_id)


def test_a_person_types_a_code_allows_and_disconnects_by_keyboard_alone(site: Site) -> None:
    terminal = terminal_of(site)
    with site.world.processes.acting_as("web"):
        began = terminal.began()
    with site.signed_in("lena") as page:
        page.goto("/device/")
        tab_to(page, "Code")
        page.keyboard.type(began["user_code"].lower())
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Let this program ask in your name?")).to_be_visible()
        expect(page.get_by_text(began["user_code"])).to_be_visible()
        expect(page.get_by_role("region", name="Who asks")).to_contain_text("Terminal helper")
        tab_to(page, "Allow")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Go back to your terminal.")
        with site.world.processes.acting_as("web"):
            assert terminal.poll(began["device_code"]).status_code == 200
        page.reload()
        expect(page.get_by_text("Connected", exact=True)).to_be_visible()
        tab_to(page, "Disconnect")
        page.keyboard.press("Enter")
        tab_to(page, "Yes, disconnect it")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Disconnected.")
        expect(page.get_by_text("Not connected: it has to ask again")).to_be_visible()
    with site.world.processes.acting_as("web"):
        agent = Agent.objects.get(application__client_id=terminal.client_id)
        assert not AccessToken.objects.filter(agent=agent).exists()


def test_enter_in_a_typed_code_allows_nothing(site: Site) -> None:
    terminal = terminal_of(site)
    with site.world.processes.acting_as("web"):
        began = terminal.began()
    with site.signed_in("lena") as page:
        page.goto(f"/device/?user_code={began['user_code']}")
        page.get_by_label("Code").press("Enter")
        expect(page.get_by_role("heading", name="Let this program ask in your name?")).to_be_visible()
    with site.world.processes.acting_as("web"):
        assert not Agent.objects.filter(application__client_id=terminal.client_id).exists()


@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_on_the_question_is_in_anybodys_way(site: Site, width: int) -> None:
    """The page that answers a typed code; it has no address of its own."""
    terminal = terminal_of(site, "Terminal\u202e repleh of a program with quite a long name")
    with site.world.processes.acting_as("web"):
        began = terminal.began(scope="mcp:read mcp:request:refund_payment")
    with site.signed_in("lena", width=width) as page:
        complaints = heard(page)
        page.goto(f"/device/?user_code={began['user_code']}")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("heading", name="Let this program ask in your name?")).to_be_visible()
        assert seen(page, complaints) == []
