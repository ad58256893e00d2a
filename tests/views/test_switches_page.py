"""The operators' page: who sees it, what it stops, and what it refuses."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from django.http import HttpResponse
from django.test import Client

from approvals import switches
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.identity.models import Agent, Tenant
from approvals.models import Switch
from approvals.queries import stopped, went_on
from tests.views.conftest import SignIn, add_role
from tests.world import World

WHY = "The refunds of this morning look wrong."
FORM = {"where": "here", "agent": "", "tool": "", "stops": "requests", "reason": WHY}


@pytest.fixture(autouse=True)
def all_goes_on(web: World) -> Iterator[None]:
    """At the end nothing is stopped: a switch for everybody would reach the next test."""
    yield
    with web.processes.acting_as("migrator"):
        for switch in Switch.objects.filter(turned_off_at=None):
            switches.turn_off(switch.pk, by=None)


def stop(client: Client, **changes: str) -> HttpResponse:
    return client.post("/switches/on/", FORM | changes, follow=True)  # type: ignore[return-value]


def on(web: World, tenant: Tenant | None = None) -> list[Switch]:
    with tenant_scope((tenant or web.tenant).pk):
        return switches.on()


def denials(web: World) -> list[str]:
    with tenant_scope(web.tenant.pk):
        found = Event.objects.filter(tenant_id=web.tenant.pk, kind="access.denied").order_by("at")
        return [event.text for event in found]


def test_an_operator_stops_the_company_in_one_step_and_lets_it_go_on(web: World, sign_in: SignIn) -> None:
    client = sign_in("opal")
    shown = stop(client).content.decode()
    (switch,) = on(web)
    assert (switch.tenant_id, switch.agent_id, switch.tool, switch.stops) == (
        web.tenant.pk,
        None,
        "",
        "requests",
    )
    assert "Stopped. Every process follows within two seconds." in shown
    assert "of every agent of North" in shown
    assert "by Opal" in shown
    shown = client.post(f"/switches/{switch.pk}/off/", follow=True).content.decode()
    assert on(web) == []
    assert "It goes on" in shown
    assert "Nothing is stopped." in shown
    assert WHY in shown  # among what was stopped before


def test_an_agent_that_a_switch_stops_does_not_read_as_active(web: World, sign_in: SignIn) -> None:
    opal, otto = sign_in("opal"), sign_in("otto")
    stop(opal, tool="request_refund")
    # Every agent, and those that somebody answers for.
    pages = ((opal, "/operations/agents/"), (otto, "/agents/"))
    assert all("Stopped by a switch" not in one.get(path).content.decode() for one, path in pages)
    stop(opal, agent=str(web.agent.agent_id))
    for one, path in pages:
        shown = one.get(path).content.decode()
        assert "Stopped by a switch" in shown
        assert "Active</span>" not in shown
    elsewhere = sign_in("gus").get("/agents/").content.decode()
    assert "Stopped by a switch" not in elsewhere
    assert "Active</span>" in elsewhere


def test_the_owner_of_an_agent_is_named_once_in_the_list(web: World, sign_in: SignIn) -> None:
    with web.processes.acting_as("migrator"):
        Agent.objects.filter(pk=web.agent.id).update(on_behalf_of=web.people["otto"])
    shown = sign_in("opal").get("/switches/").content.decode()
    assert "Support bot for Otto</option>" in shown


def test_one_tool_of_one_agent_can_be_stopped(web: World, sign_in: SignIn) -> None:
    stop(sign_in("opal"), agent=str(web.agent.agent_id), tool="request_refund")
    (switch,) = on(web)
    assert (switch.agent_id, switch.tool) == (web.agent.agent_id, "request_refund")


@pytest.mark.parametrize("path", ["/switches/", "/switches/on/", f"/switches/{UUID(int=1)}/off/"])
@pytest.mark.parametrize("who", ["lena", "ada"])
def test_who_is_no_operator_is_told_so_and_leaves_an_event(
    web: World, sign_in: SignIn, who: str, path: str
) -> None:
    client = sign_in(who)
    answer = client.get(path) if path == "/switches/" else client.post(path, FORM)
    assert answer.status_code == 403
    assert "Switches are for operators." in answer.content.decode()
    assert len(denials(web)) == 1
    assert on(web) == []
    assert 'href="/switches/"' not in client.get("/").content.decode()


def test_what_others_stopped_and_their_agents_are_not_seen(web: World, sign_in: SignIn) -> None:
    add_role(web, "gus", web.other, "operator")
    stop(sign_in("gus"), reason="A reason of the other company.")
    (theirs,) = on(web, web.other)
    client = sign_in("opal")
    shown = client.get("/switches/").content.decode()
    assert "A reason of the other company." not in shown
    assert str(web.other_agent.agent_id) not in shown
    assert str(web.agent.agent_id) in shown
    foreign = client.post(f"/switches/{theirs.pk}/off/")
    missing = client.post(f"/switches/{uuid4()}/off/")
    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert on(web, web.other) == [theirs]
    assert stop(client, agent=str(web.other_agent.agent_id)).status_code == 404
    assert len(denials(web)) == 3


def test_everybody_is_stopped_only_by_an_operator_of_the_installation(web: World, sign_in: SignIn) -> None:
    client = sign_in("opal")
    assert 'value="everywhere"' not in client.get("/switches/").content.decode()
    answer = stop(client, where="everywhere")
    assert answer.status_code == 403
    assert "Only platform operators" in answer.content.decode()
    assert (on(web), len(denials(web))) == ([], 1)
    add_role(web, "opal", web.tenant, "platform_operator")
    assert 'value="everywhere"' in client.get("/switches/").content.decode()
    stop(client, where="everywhere")
    assert [switch.tenant_id for switch in on(web, web.other)] == [None]


def test_of_a_stop_for_everybody_a_company_learns_why_and_not_who(web: World, sign_in: SignIn) -> None:
    add_role(web, "opal", web.tenant, "platform_operator")
    add_role(web, "gus", web.other, "operator")
    stop(sign_in("opal"), where="everywhere")
    client = sign_in("gus")
    shown = client.get("/switches/").content.decode()
    assert WHY in shown
    assert "by an operator of the installation" in shown
    assert "Opal" not in shown
    assert "Yes, let it go on" not in shown
    (switch,) = on(web)
    assert client.post(f"/switches/{switch.pk}/off/").status_code == 403
    assert on(web) == [switch]


@pytest.mark.parametrize(
    ("wrong", "status", "said"),
    [
        ({"reason": " "}, 422, "A stop needs a reason"),
        ({"reason": "x" * 301}, 422, "at most 300 characters"),
        ({"reason": "nul\0byte"}, 422, "Null characters"),
        ({"tool": "request_anything"}, 404, "There is no tool request_anything"),
        ({"agent": "not-an-id"}, 400, ""),
        ({"stops": "nothing"}, 400, ""),
        ({"where": "elsewhere"}, 400, ""),
    ],
)
def test_what_can_not_be_stopped_is_said_and_what_was_typed_is_kept(
    web: World, sign_in: SignIn, wrong: dict[str, str], status: int, said: str
) -> None:
    answer = stop(sign_in("opal"), **wrong)
    assert answer.status_code == status
    assert said in answer.content.decode()
    if status == 422 and "reason" in wrong:
        assert f'value="{wrong["reason"]}"'.replace("\0", "") in answer.content.decode()
    assert on(web) == []


def test_an_agent_and_every_company_do_not_go_together(web: World, sign_in: SignIn) -> None:
    add_role(web, "opal", web.tenant, "platform_operator")
    answer = stop(sign_in("opal"), where="everywhere", agent=str(web.agent.agent_id))
    assert answer.status_code == 422
    assert "An agent belongs to one company." in answer.content.decode()
    assert on(web) == []


def test_what_is_stopped_already_and_what_went_on_already_is_said(web: World, sign_in: SignIn) -> None:
    client = sign_in("opal")
    stop(client)
    again = stop(client)
    assert again.status_code == 409
    assert "Exactly this is stopped already." in again.content.decode()
    (switch,) = on(web)
    client.post(f"/switches/{switch.pk}/off/")
    late = client.post(f"/switches/{switch.pk}/off/")
    assert late.status_code == 409
    assert "This was let go on already." in late.content.decode()


def test_reading_changes_nothing(web: World, sign_in: SignIn) -> None:
    client = sign_in("opal")
    stop(client)
    (switch,) = on(web)
    for path in ("/switches/on/", f"/switches/{switch.pk}/off/"):
        assert client.get(path).status_code == 302
    assert client.post("/switches/").status_code == 405
    assert on(web) == [switch]


def test_nothing_is_stopped_from_another_site(web: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(web.people["opal"])
    assert client.post("/switches/on/", FORM).status_code == 403
    assert on(web) == []


def test_nobody_gets_in_without_signing_in(web: World) -> None:
    for path in ("/switches/", "/switches/on/"):
        assert Client().post(path, FORM).status_code in {302, 405}
    assert on(web) == []


def test_everybody_in_the_company_is_told_in_the_frame(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    stop(sign_in("opal"), reason="Hidden\u202e words.")
    for who, path in (("lena", "/"), ("lena", f"/requests/{request.pk}/"), ("ada", "/trail/")):
        shown = sign_in(who).get(path).content.decode()
        assert "Stopped by an operator." in shown
        assert "U+202E RIGHT-TO-LEFT OVERRIDE" in shown
        assert "\u202e" not in shown
    assert "Stopped by an operator." not in sign_in("gus").get("/").content.decode()


def test_a_held_deadline_is_told_with_what_is_left_of_it(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    stop(sign_in("opal"))
    with web.processes.acting_as("sweeper"):
        for due in switches.Clocks().due():
            switches.tend(due)
    with web.processes.cursor("admin") as shell:  # ten days pass
        shell.execute(
            "UPDATE approval_request SET expires_at = expires_at - interval '10 days', "
            "frozen_at = frozen_at - interval '10 days' WHERE id = %s",
            (request.pk,),
        )
    client = sign_in("lena")
    queue = client.get("/").content.decode()
    assert f"/requests/{request.pk}/" in queue
    assert "2\xa0days, 23\xa0hours left" in queue
    shown = client.get(f"/requests/{request.pk}/").content.decode()
    assert "with 2\xa0days, 23\xa0hours left; its deadline is held since" in shown
    assert "Approve 129.00 USD" in shown
    web.vote(request, "approve", "lena")
    shown = client.get(f"/requests/{request.pk}/").content.decode()
    assert "Approved. An operator has stopped it" in shown


def test_what_was_stopped_before_is_paged_without_gaps(web: World) -> None:
    by, turned = web.reviewer("opal"), []
    for _ in range(5):
        switch = switches.turn_on(tenant_id=web.tenant.pk, reason=WHY, by=by)
        switches.turn_off(switch.pk, by=by)
        turned.append(switch.pk)
    assert stopped(by) == ()
    page = went_on(by, rows=2)
    seen = [one.id for one in page.rows]
    while page.next:
        page = went_on(by, after=page.next, rows=2)
        seen += [one.id for one in page.rows]
    assert len(set(seen)) == len(seen)
    assert seen[:5] == turned[::-1]  # behind them, what other tests had stopped for everybody
