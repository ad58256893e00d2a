"""What I decided, and the trail."""

import re
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest

from approvals import execute, outbox, rejudge, submit
from approvals.audit.events import Actor, record
from approvals.database import tenant_scope
from approvals.errors import MoveRefused
from approvals.queries import decided, tenant_trail
from approvals.queries.paging import mark, parsed
from tests.switches.conftest import operators
from tests.switches.stops import Operators
from tests.switches.test_holding import CREDIT
from tests.views.conftest import SignIn
from tests.world import REFUND, TRACE, World

__all__ = ["operators"]

THEIRS = {**REFUND, "payment_id": "pay_20001", "amount_minor": 100}
FIRST, SECOND = "The <b>provider</b> has an outage.", "We are under attack."


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


def test_a_refusal_on_the_trail_names_the_agent_and_what_was_wanted(web: World, sign_in: SignIn) -> None:
    with web.processes.acting_as("door"), tenant_scope(web.tenant.pk, agent_id=web.agent.agent_id):
        told = {"agent": str(web.agent.agent_id), "code": "limit_reached", "wanted": "request_refund"}
        record("limit.reached", tenant_id=web.tenant.pk, actor=Actor("system", "door"), data=told)
        denied = {"code": "not_found", "wanted": "read", "id": str(web.tenant.pk)}
        by = Actor("agent", str(web.agent.agent_id))
        record("access.denied", tenant_id=web.tenant.pk, actor=by, data=denied)
    rows = [row.split("<details>")[0] for row in sign_in("ada").get("/trail/").content.decode().split("<li")]
    (limited,) = (row for row in rows if "An agent reached a limit" in row)
    (refused,) = (row for row in rows if "An access was denied" in row)
    assert "Support bot · told by door" in limited
    assert "<code>request_refund</code>" in limited
    assert f"<code>read</code> <code>{web.tenant.pk}</code>" in refused


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


def lines(shown: str) -> list[str]:
    """The events of a page, each as the words that a reader sees before opening what was written down."""
    events = re.findall(r'<li class="event">(.*?)<details>', shown, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", event).split()) for event in events]


def test_the_trail_names_what_was_stopped_and_why(web: World, sign_in: SignIn, operators: Operators) -> None:
    operators.go_on(operators.stop(agent_id=web.agent.agent_id, tool="request_refund", reason=FIRST))
    operators.go_on(operators.stop(stops="everything", reason=SECOND))
    told = lines(sign_in("ada").get("/trail/").content.decode())
    all_off, all_on, tool_off, tool_on = (line for line in told if "Opal" in line)
    for line, what in ((tool_on, "stopped something"), (tool_off, "let it go on again")):
        assert f"An operator {what}. Opal · person" in line
        assert "request_refund of Support bot" in line
        assert line.count("reason The &lt;b&gt;provider&lt;/b&gt; has an outage.") == 1
    for line in (all_on, all_off):
        assert "Every call of every agent of North" in line
        assert line.count(f"reason {SECOND}") == 1


def test_a_requests_trail_names_the_switch_that_holds_it(
    web: World, sign_in: SignIn, operators: Operators
) -> None:
    request = web.vote(web.submit(), "approve", "lena")
    operators.stop(by="mara", everybody=True, tool="request_refund", reason=SECOND)
    with web.processes.acting_as("worker"), pytest.raises(outbox.Postponed):
        execute.run(request.pk, request.tenant_id)
    client = sign_in("ada")
    for page in (f"/requests/{request.pk}/trail/", "/trail/"):
        (line,) = (line for line in lines(client.get(page).content.decode()) if "A switch is on" in line)
        assert "request_refund of every agent of every company" in line
        assert f"reason {SECOND}" in line
        assert "Mara" not in line


def test_the_trail_says_that_a_rule_approved_and_no_person(web: World, sign_in: SignIn) -> None:
    request = web.submit("issue_store_credit", **CREDIT)
    with web.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    by_people = web.vote(web.submit(), "approve", "lena")
    client = sign_in("ada")
    for page in (f"/requests/{request.pk}/trail/", "/trail/"):
        told = lines(client.get(page).content.decode())
        (line,) = (
            line for line in told if "A rule of the policy approved the request; no person did." in line
        )
        assert "worker · system" in line
        assert "Rule small-gesture" in line
    told = lines(client.get(f"/requests/{by_people.pk}/trail/").content.decode())
    assert "The last approval that the policy asks for was given. Lena · person" in told[-1]


def test_an_event_that_names_no_switch_of_ours_is_shown_as_it_is(web: World, sign_in: SignIn) -> None:
    named: tuple[object, ...] = ("not an id", ["a", "list"], str(uuid4()), None)
    with web.processes.acting_as("worker"), tenant_scope(web.tenant.pk):
        for switch in named:
            data = {"attempt": 1, "switch": switch}
            record("execution.held", tenant_id=web.tenant.pk, actor=Actor("system", "worker"), data=data)
    told = lines(sign_in("ada").get("/trail/").content.decode())
    assert sum("A switch is on" in line for line in told) == len(named)


def test_the_tenants_trail_is_newest_first_and_leads_to_the_requests(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    web.vote(request, "approve", "lena")
    shown = sign_in("ada").get("/trail/").content.decode()
    told = re.findall(r'<h2 class="event-title">([^<]+)</h2>', shown)
    assert told[0] == "A person signed in."
    assert told[-1] == "A request for approval was filed."
    assert f'href="/requests/{request.pk}/"' in shown


def refused_withdrawal(shown: str) -> str:
    events: list[str] = re.findall(r'<li class="event">(.*?)</li>', shown, re.DOTALL)
    return next(event for event in events if "<code>request.refused</code>" in event)


def test_a_withdrawal_that_came_too_late_is_told_as_one_and_leads_to_its_request(
    web: World, sign_in: SignIn
) -> None:
    request = web.submit()
    web.vote(request, "deny", "lena")
    with web.processes.acting_as("door"), pytest.raises(MoveRefused):
        submit.withdraw(request.pk, by=web.agent, trace_id=TRACE)
    shown = sign_in("ada").get("/trail/").content.decode()
    latest = refused_withdrawal(shown)
    assert "The requester wanted to take the request back and could not; it stays as it is." in latest
    assert f'href="/requests/{request.pk}/"' in latest and request.headline in latest
    assert "before anybody was asked" not in shown


@pytest.mark.parametrize("whose", ["another agent's", "another company's", "nobody's"])
def test_an_event_that_names_a_request_of_somebody_else_does_not_lead_there(
    web: World, sign_in: SignIn, whose: str
) -> None:
    by = web.another_agent() if whose == "another agent's" else web.other_agent
    named = web.submit() if whose == "another agent's" else None
    if whose == "another company's":
        with web.processes.acting_as("door"):
            named = submit.submit("refund_payment", THEIRS, by=by, key=None, trace_id=TRACE).request
    data = {"code": "move_refused", "wanted": "withdraw", "id": str(named.pk if named else uuid4())}
    who = Actor("agent", str(by.agent_id if whose == "another agent's" else web.agent.agent_id))
    with web.processes.acting_as("door"), tenant_scope(web.tenant.pk, agent_id=UUID(who.id)):
        record("request.refused", tenant_id=web.tenant.pk, actor=who, data=data)
    latest = refused_withdrawal(sign_in("ada").get("/trail/").content.decode())
    assert "could not; it stays as it is." in latest and "href=" not in latest


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
    assert "<script>" not in shown
    assert "U+202E RIGHT-TO-LEFT OVERRIDE" in shown
    assert "\u202e" not in shown


MADE_UP = (
    "0~2026-01-01T00:00:00+20:00~8e374318-c2b2-4f9a-92a9-0836c2bc4550",
    "0~0001-01-01T00:00:00+20:00~8e374318-c2b2-4f9a-92a9-0836c2bc4550",
    "0~9999-12-31T23:59:59-20:00~8e374318-c2b2-4f9a-92a9-0836c2bc4550",
    "99999999999999999999~2026-01-01T00:00:00+00:00~8e374318-c2b2-4f9a-92a9-0836c2bc4550",
)


@pytest.mark.parametrize("after", MADE_UP)
@pytest.mark.parametrize("path", ["/", "/decided/", "/trail/", "/trail/search/"])
def test_a_mark_that_somebody_made_up_breaks_no_page(
    web: World, sign_in: SignIn, path: str, after: str
) -> None:
    web.vote(web.submit(), "approve", "lena")
    web.submit()
    answer = sign_in("ada").get(path, {"after": after})
    assert answer.status_code in (200, 422)


def test_a_mark_keeps_its_moment() -> None:
    at, row_id = datetime(2026, 1, 1, tzinfo=UTC), uuid4()
    assert parsed(mark(at, row_id, 3)) == (3, at, row_id)
    elsewhere = at.astimezone(timezone(timedelta(hours=20)))
    assert parsed(mark(elsewhere, row_id)) == (0, at, row_id)
    assert all(parsed(made_up) is None for made_up in MADE_UP[1:3])
