"""What no address shows: pages as they answer to what somebody did, wrongly, too late, or for the first time."""

from collections.abc import Callable
from typing import TypeAlias

from django.utils import timezone
from playwright.sync_api import Page, expect

from approvals import switches
from approvals.identity.models import Tenant
from approvals.models import ApprovalRequest, Verification
from tests import courses
from tests.world import World

Act: TypeAlias = Callable[[World, Page], None]
SOON = 15_000  # milliseconds; a page asks every four seconds what is new
CREDIT = {"customer_id": "cus_1001", "currency": "USD", "reason": "The parcel came two days late, sorry."}


def keys(_: World, page: Page) -> None:
    page.goto("/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="By keyboard")).to_be_visible()


def approved(world: World, page: Page) -> None:
    page.goto(address(world.submit(amount_minor=400)))  # six times within a budget of 100.00
    page.get_by_label("Comment").fill("The parcel is back.")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status").first).to_contain_text("You approved this request.")


def denied_without_a_reason(world: World, page: Page) -> None:
    page.goto(address(world.submit(amount_minor=901)))
    page.get_by_role("button", name="Deny").click()
    expect(page.locator("#comment-error")).to_contain_text("A denial needs a reason")


def decided_by_somebody_else(world: World, page: Page) -> None:
    """Somebody was quicker: the open page says so before anything is pressed."""
    request = world.submit(amount_minor=902)
    page.goto(address(request))
    world.vote(request, "deny", "mara", comment="The parcel never came back.")
    expect(page.locator("#fresh")).to_contain_text("This has moved on since you opened it.", timeout=SOON)


def pressed_too_late(world: World, page: Page) -> None:
    request = world.submit(amount_minor=903)
    page.goto(address(request))
    world.vote(request, "deny", "mara", comment="The parcel never came back.")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert").first).to_contain_text("Your decision was not taken.")


def pressed_on_another_revision(world: World, page: Page) -> None:
    request = world.submit(amount_minor=904)
    page.goto(address(request))
    sent_back = courses.ask_for_changes(world, request, message="Half of it is fair.")
    courses.revise(world, sent_back, amount_minor=452)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert").first).to_contain_text("Your decision was not taken.")


def asked_for_changes_in_no_words(world: World, page: Page) -> None:
    page.goto(address(world.submit(amount_minor=905)))
    page.get_by_text("Ask the agent for changes").click()
    page.get_by_role("button", name="Ask for changes").click()
    expect(page.locator("#message-error")).to_be_visible()


def read_together(world: World, page: Page) -> None:
    ids = [world.submit("issue_store_credit", amount_minor=minor, **CREDIT).pk for minor in (2100, 2200)]
    page.goto("/?risk=medium")
    for request_id in ids:
        page.locator(f"#tick-{request_id}").check()
    page.get_by_role("button", name="Read those that are ticked").click()
    expect(page.get_by_role("heading", name="Decide together")).to_be_visible()


def decided_together(world: World, page: Page) -> None:
    read_together(world, page)
    page.get_by_label("Comment, for each of them").fill("Both came late.")
    page.get_by_role("button", name="Approve those that are ticked").click()
    expect(page).to_have_url("/together/decide/")


def nothing_ticked(world: World, page: Page) -> None:
    world.submit("issue_store_credit", amount_minor=2300, **CREDIT)
    page.goto("/together/")
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was decided.")


def opened_in_the_company_before(world: World, page: Page) -> None:
    """Who went to another company in a second tab is told so, and what they were writing stays."""
    page.goto(address(world.submit(amount_minor=906)))
    page.get_by_label("Comment").fill("I am still writing.")
    second = page.context.new_page()
    second.goto("/")
    _go_to(world.other, second)
    expect(page.locator("#fresh")).to_contain_text("in another tab", timeout=SOON)
    expect(page.get_by_label("Comment")).to_have_value("I am still writing.")
    _go_to(world.tenant, second)
    second.close()


def _go_to(company: Tenant, page: Page) -> None:
    page.get_by_label("Company").select_option(str(company.pk))
    page.get_by_role("button", name="Switch").click()
    expect(page.get_by_label("Company")).to_have_value(str(company.pk))


def told_that_all_is_stopped(world: World, page: Page) -> None:
    """Every page of the company says it, for as long as it is so."""
    with world.processes.acting_as("web"):
        opal = world.reviewer("opal")
        stop = switches.turn_on(tenant_id=world.tenant.pk, reason="Refunds look wrong this morning.", by=opal)
    page.goto("/")
    with world.processes.acting_as("web"):
        switches.turn_off(stop.pk, by=opal)


def receiver_refused(_: World, page: Page) -> None:
    page.goto("/receivers/")
    page.get_by_label("Name").fill("Metadata of the cloud")
    page.get_by_label("Its address (URL)").fill("https://169.254.169.254/latest")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was added.")


def receiver_secret(_: World, page: Page) -> None:
    """Shown this once."""
    page.goto("/receivers/")
    page.get_by_label("Name").fill(f"Tickets {timezone.now():%H%M%S%f}")
    page.get_by_label("Its address (URL)").fill("https://tickets.example.com/hooks/countersign")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("whsec_")).to_be_visible()


def policy_that_says_nothing(_: World, page: Page) -> None:
    page.goto("/policy/propose/")
    page.get_by_label("The whole policy").fill(
        "policy: 1\nrules:\n  refund_payment:\n    - wen: args.amount > 5\n"
    )
    page.get_by_label("Why").fill("Large refunds need finance.")
    page.get_by_role("button", name="Check and store it").click()
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was stored.")


def policy_tried_on_the_past(_: World, page: Page) -> None:
    page.goto("/policy/simulation/")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("heading", name="What the draft would change")).to_be_visible()
    expect(page.get_by_role("contentinfo")).to_be_visible()  # it comes in pieces


def verification_on_its_way(world: World, page: Page) -> None:
    with world.processes.acting_as("sweeper"):
        Verification.objects.filter(tenant=world.tenant, finished_at=None).update(
            started_at=timezone.now(), finished_at=timezone.now(), result="interrupted"
        )
    page.goto("/trail/verification/")
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("heading", name="About to begin")).to_be_visible()


def taken_of_no_time(_: World, page: Page) -> None:
    page.goto("/trail/take-away/")
    page.locator("#since").fill("2024-03-02T00:00")
    page.locator("#until").fill("2024-03-01T00:00")
    page.get_by_role("button", name="Take it away").click()
    expect(page.get_by_text("This is not after the time from which on you take it.")).to_be_visible()


def wrong_password(_: World, page: Page) -> None:
    page.context.clear_cookies()
    page.goto("/accounts/login/")
    page.get_by_label("E-mail address").fill("nobody@acme.example")
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()


def form_of_another_session(_: World, page: Page) -> None:
    page.goto("/away/")
    page.context.clear_cookies(name="csrftoken")
    page.locator("form[method=post]").last.evaluate("form => form.submit()")
    expect(page).to_have_title("This form is too old · Countersign")


def address(request: ApprovalRequest) -> str:
    return f"/requests/{request.pk}/"


# name: (who looks, what they do)
MOMENTS: dict[str, tuple[str, Act]] = {
    "queue-keys": ("lena", keys),
    "request-approved-now": ("lena", approved),
    "decide-without-a-reason": ("lena", denied_without_a_reason),
    "decided-meanwhile": ("lena", decided_by_somebody_else),
    "decide-conflict": ("lena", pressed_too_late),
    "decide-another-revision": ("lena", pressed_on_another_revision),
    "changes-in-no-words": ("lena", asked_for_changes_in_no_words),
    "opened-elsewhere": ("mara", opened_in_the_company_before),
    "together": ("lena", read_together),
    "together-done": ("lena", decided_together),
    "together-nothing-ticked": ("lena", nothing_ticked),
    "stopped": ("lena", told_that_all_is_stopped),
    "receiver-refused": ("opal", receiver_refused),
    "receiver-secret": ("opal", receiver_secret),
    "policy-unreadable": ("paul", policy_that_says_nothing),
    "simulation-result": ("opal", policy_tried_on_the_past),
    "verification-on-its-way": ("ada", verification_on_its_way),
    "take-away-refused": ("ada", taken_of_no_time),
    "sign-in-refused": ("gus", wrong_password),
    "form-too-old": ("gus", form_of_another_session),
}
