"""Who is told, in a real browser."""

from django.utils import timezone
from playwright.sync_api import expect

from approvals import notifications
from approvals.database import tenant_scope
from approvals.models import Outbox
from tests.journeys.site import Site

SOON = 15_000  # milliseconds; the page asks every two seconds


def test_what_came_of_a_test_is_said_without_a_reload(site: Site) -> None:
    with site.world.processes.acting_as("migrator"):
        secret = notifications.new_secret()
        tickets = notifications.add_receiver(
            site.world.tenant, "webhook", "Tickets", "https://tickets.example.com/hooks", secret
        )
    with site.signed_in("opal") as page:
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(f"/receivers/{tickets.pk}/")
        page.get_by_role("button", name="Send a test").click()
        expect(page.get_by_text("The test is on its way")).to_be_visible()
        page.evaluate("window.isTheSamePage = true")
        with site.world.processes.acting_as("worker"), tenant_scope(site.world.tenant.pk):
            sent = Outbox.objects.filter(tenant=site.world.tenant, kind="receiver.test")
            assert sent.update(done_at=timezone.now(), attempts=1) == 1
        expect(page.get_by_text("It took the test")).to_be_visible(timeout=SOON)
        assert page.evaluate("window.isTheSamePage")
        assert page.locator("#tested").get_attribute("hx-get") is None  # and it asks no more
        assert complaints == []
