"""What I decided, and the trail."""

import re

from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.queries import decided, tenant_trail
from tests.views.conftest import SignIn
from tests.world import TRACE, World


def test_my_decisions_are_listed_newest_first_with_their_outcome(web: World, sign_in: SignIn) -> None:
    first, second = web.submit(), web.submit(payment_id="pay_10012", amount_minor=1600, currency="JPY")
    web.vote(first, "approve", "lena", comment="Checked.")
    web.vote(second, "deny", "lena", comment="Ask the carrier first.")
    shown = sign_in("lena").get("/decided/").content.decode()
    assert shown.index(str(second.pk)) < shown.index(str(first.pk))
    assert "Ask the carrier first." in shown
    assert "Checked." in shown


def test_other_peoples_decisions_are_not_mine(web: World, sign_in: SignIn) -> None:
    web.vote(web.submit(), "approve", "lena")
    assert "You have not decided anything yet" in sign_in("mara").get("/decided/").content.decode()


def test_my_decisions_are_paged_without_gaps(web: World) -> None:
    requests = [web.submit() for _ in range(5)]
    for request in requests:
        web.vote(request, "approve", "lena")
    by, seen, after = web.reviewer("lena"), [], ""
    for _ in range(3):
        page = decided(by, after=after, rows=2)
        seen += [row.request_id for row in page.rows]
        after = page.next
    assert after == ""
    assert seen == [request.pk for request in reversed(requests)]


def test_a_requests_trail_tells_it_in_order_and_names_people(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    web.vote(request, "approve", "lena", comment="Checked with the warehouse.")
    shown = sign_in("ada").get(f"/requests/{request.pk}/trail/").content.decode()
    told = re.findall(r'<h2 class="event-title">([^<]+)</h2>', shown)
    assert told == [
        "A request for approval was filed.",
        "A reviewer voted.",
        "The last approval that the policy asks for was given.",
    ]
    assert "Support bot · agent" in shown
    assert "Lena · person" in shown
    assert "Checked with the warehouse." in shown
    assert TRACE in shown
    assert shown.count("Not sealed yet") == 3


def test_the_tenants_trail_is_newest_first_and_leads_to_the_requests(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    web.vote(request, "approve", "lena")
    shown = sign_in("ada").get("/trail/").content.decode()
    told = re.findall(r'<h2 class="event-title">([^<]+)</h2>', shown)
    assert told[0] == "A person signed in."
    assert told[-1] == "A request for approval was filed."
    assert f'href="/requests/{request.pk}/"' in shown


def test_the_trail_is_paged_without_gaps(web: World) -> None:
    with tenant_scope(web.tenant.pk):
        written = [
            record("session.signed_in", tenant_id=web.tenant.pk, actor=Actor("person", "test"))
            for _ in range(5)
        ]
    by, seen, after = web.reviewer("ada"), [], ""
    for _ in range(3):
        page = tenant_trail(by, after=after, rows=2)
        seen += [line.entry.id for line in page.rows]
        after = page.next
    assert after == ""
    assert seen == written[::-1]


def test_hostile_text_is_text_on_the_trail_too(web: World, sign_in: SignIn) -> None:
    request = web.submit(reason="<script>alert(1)</script>\u202e is the reason.")
    shown = sign_in("ada").get(f"/requests/{request.pk}/trail/").content.decode()
    assert "<script" not in shown
    assert "U+202E RIGHT-TO-LEFT OVERRIDE" in shown
    assert "\u202e" not in shown
