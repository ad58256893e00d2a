"""Connected programs: what a person has let ask in their name, and how they take it back."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.errors import NotFound, TokenRefused
from approvals.identity import agents, connect
from approvals.identity.credentials import requester_of_token
from approvals.identity.models import AccessToken, Agent, Application, RefreshToken
from approvals.identity.scopes import EVERY as EVERY_SCOPE
from approvals.queries import agents_in, answered_for_by
from approvals.queries.connected import LATEST
from tests.oauth.programs import Program
from tests.oauth.test_headless import added, ask
from tests.views.conftest import SignIn, add_role
from tests.views.test_access import page
from tests.world import World, break_the_trail

EVERY = "/operations/agents/"
HIDDEN = "Desk\u202ehelper"


@pytest.fixture
def program(web: World) -> Program:
    return Program.registered(web)


def agent_of(program: Program) -> Agent:
    return Agent.objects.get(application__client_id=program.client_id)


def shown(browser: Client, path: str = "/agents/") -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def disconnect(browser: Client, agent_id: Any) -> Any:
    return browser.post(f"/agents/{agent_id}/disconnect/")


def enters(web: World, token: str) -> bool:
    with web.processes.acting_as("door"):
        try:
            return requester_of_token(token).tenant_id == web.tenant.pk
        except TokenRefused:
            return False


def test_a_person_sees_what_they_connected_and_what_it_may_do(
    web: World, program: Program, sign_in: SignIn
) -> None:
    lena = sign_in("lena")
    program.connected(lena, web.tenant.pk, scope="mcp:read mcp:request:refund_payment")
    seen = shown(lena)
    for words in ("Desk helper", "Connected", "mcp:request:refund_payment", "Last got a token", "Disconnect"):
        assert words in seen
    assert "nobody has checked it" in seen
    assert 'href="/agents/" aria-current="page"' in seen


def test_disconnecting_ends_everything_that_the_program_holds(
    web: World, program: Program, sign_in: SignIn
) -> None:
    lena = sign_in("lena")
    tokens = program.connected(lena, web.tenant.pk)
    assert enters(web, tokens["access_token"])
    answer = disconnect(lena, agent_of(program).pk)
    assert (answer.status_code, answer["Location"]) == (302, "/agents/")
    assert not enters(web, tokens["access_token"])
    assert program.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    seen = shown(lena)
    assert "Not connected: it has to ask again" in seen
    assert "Yes, disconnect it" not in seen
    assert "agent.disconnected" in web.events()


def test_a_program_that_was_disconnected_can_ask_again(web: World, program: Program, sign_in: SignIn) -> None:
    lena = sign_in("lena")
    program.connected(lena, web.tenant.pk)
    disconnect(lena, agent_of(program).pk)
    tokens = program.another_time().connected(lena, web.tenant.pk)
    assert enters(web, tokens["access_token"])
    assert "Yes, disconnect it" in shown(lena)


def test_one_whose_tokens_have_all_ended_is_not_called_connected(
    web: World, program: Program, sign_in: SignIn
) -> None:
    lena = sign_in("lena")
    program.connected(lena, web.tenant.pk)
    mine = AccessToken.objects.filter(application__client_id=program.client_id)
    mine.update(expires=timezone.now() - timedelta(days=13))
    assert "Yes, disconnect it" in shown(lena)  # it can still be renewed
    mine.update(expires=timezone.now() - timedelta(days=15))
    assert "Not connected: it has to ask again" in shown(lena)


def test_one_that_an_operator_switched_off_says_so(web: World, program: Program, sign_in: SignIn) -> None:
    lena = sign_in("lena")
    program.connected(lena, web.tenant.pk)
    with web.processes.acting_as("migrator"):
        agents.remove_agent(agent_of(program))
    assert "Switched off by an operator" in shown(lena)


def test_nobody_sees_what_others_connected(web: World, program: Program, sign_in: SignIn) -> None:
    program.connected(sign_in("lena"), web.tenant.pk)
    for name in ("mara", "gus"):
        seen = shown(sign_in(name))
        assert "Desk helper" not in seen
        assert "You have connected no program" in seen


def test_what_was_connected_in_one_company_is_not_shown_in_another(
    web: World, program: Program, sign_in: SignIn
) -> None:
    add_role(web, "lena", web.other, "support_lead")
    lena = sign_in("lena")
    program.connected(lena, web.tenant.pk)
    lena.post("/tenant/", {"tenant": web.other.pk})
    assert "Desk helper" not in shown(lena)
    assert disconnect(lena, agent_of(program).pk).status_code == 404
    lena.post("/tenant/", {"tenant": web.tenant.pk})
    assert disconnect(lena, agent_of(program).pk).status_code == 302


@pytest.mark.parametrize("who", ["mara", "gus", "opal"])
def test_nobody_disconnects_what_is_not_theirs(
    web: World, program: Program, sign_in: SignIn, who: str
) -> None:
    """A colleague, somebody of another company, and an operator; it reads like an id that does not exist."""
    if who == "opal":
        add_role(web, "mara", web.tenant, "operator")
    browser = sign_in("mara" if who == "opal" else who)
    tokens = program.connected(sign_in("lena"), web.tenant.pk)
    agent, missing = agent_of(program).pk, uuid4()
    theirs, nobodys = disconnect(browser, agent), disconnect(browser, missing)
    assert theirs.status_code == nobodys.status_code == 404
    assert page(theirs).replace(str(agent), "ID") == page(nobodys).replace(str(missing), "ID")
    assert enters(web, tokens["access_token"])
    if who != "gus":
        assert "access.denied" in web.events()


def test_a_headless_agent_is_not_its_owners_to_disconnect(web: World, sign_in: SignIn) -> None:
    assert disconnect(sign_in("otto"), web.agent.id).status_code == 404
    with web.processes.acting_as("migrator"):
        assert Agent.objects.get(pk=web.agent.id).is_active


def test_a_get_disconnects_nothing(web: World, program: Program, sign_in: SignIn) -> None:
    lena = sign_in("lena")
    tokens = program.connected(lena, web.tenant.pk)
    assert lena.get(f"/agents/{agent_of(program).pk}/disconnect/").status_code == 302
    assert enters(web, tokens["access_token"])


def test_disconnecting_needs_our_own_form(web: World, program: Program, sign_in: SignIn) -> None:
    tokens = program.connected(sign_in("lena"), web.tenant.pk)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(web.people["lena"])
    assert disconnect(browser, agent_of(program).pk).status_code == 403
    assert enters(web, tokens["access_token"])


def test_a_disconnection_without_its_event_does_not_happen(
    web: World, program: Program, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = program.connected(sign_in("lena"), web.tenant.pk)
    break_the_trail(monkeypatch, connect)
    with pytest.raises(RuntimeError, match="the trail is full"):
        connect.disconnect(agent_of(program).pk, by=web.people["lena"], tenant_id=web.tenant.pk)
    assert enters(web, tokens["access_token"])
    assert RefreshToken.objects.filter(application__client_id=program.client_id, revoked=None).exists()


def test_a_name_that_hides_something_shows_it(web: World, sign_in: SignIn) -> None:
    program, lena = Program.registered(web, name=HIDDEN), sign_in("lena")
    program.connected(lena, web.tenant.pk)
    seen = shown(lena)
    assert "\u202e" not in seen
    assert "RIGHT-TO-LEFT OVERRIDE" in seen


def test_operators_see_every_agent_of_their_company_and_nobody_elses(
    web: World, program: Program, sign_in: SignIn
) -> None:
    add_role(web, "mara", web.tenant, "operator")
    program.connected(sign_in("lena"), web.tenant.pk)
    with web.processes.acting_as("migrator"):
        theirs = agents.add_agent(web.other, owner=web.people["gus"], name="Their night bot")
    seen = shown(sign_in("mara"), EVERY)
    for words in ("Every agent of North", "Support bot", "Otto answers for it", "in the name of Lena"):
        assert words in seen
    assert theirs.agent.name not in seen
    assert "Yes, disconnect it" not in seen
    assert "Not connected" not in seen
    disconnect(sign_in("lena"), agent_of(program).pk)
    with web.processes.acting_as("migrator"):
        agents.remove_agent(Agent.objects.get(pk=web.agent.id))
    later = shown(sign_in("mara"), EVERY)
    assert later.count("Not connected") == later.count("Removed") == 1


@pytest.mark.parametrize("who", ["lena", "otto", "ada"])
def test_who_is_no_operator_sees_no_agents_of_others(web: World, sign_in: SignIn, who: str) -> None:
    seen = shown(sign_in(who))
    assert "Every agent of" not in seen
    assert sign_in(who).get(EVERY).status_code == 403
    with tenant_scope(web.tenant.pk):
        assert '"wanted":"agents"' in Event.objects.get(kind="access.denied").text
    assert "Support bot" not in seen.replace(answered_for(seen), "")


def test_operators_see_what_an_agent_may_do_and_did_last(
    web: World, program: Program, sign_in: SignIn
) -> None:
    narrow = added(web, scopes=("mcp:read", "mcp:request:refund_payment"))
    assert ask(narrow).status_code == 200
    filed = [web.submit(amount_minor=100 + number) for number in range(LATEST + 1)]
    found = {one.name: one for one in agents_in(web.reviewer("opal")).rows}
    assert found["Night bot"].scopes == ("mcp:read", "mcp:request:refund_payment")
    assert found["Night bot"].last_token_at and not found["Night bot"].latest
    assert found["Support bot"].scopes == EVERY_SCOPE and found["Support bot"].last_token_at is None
    assert [one.id for one in found["Support bot"].latest] == [one.pk for one in filed[:0:-1]]
    seen = shown(sign_in("opal"), EVERY)
    assert narrow.client_id in seen and "Filed nothing yet" in seen and "Holds no token of ours" in seen
    assert f'href="/requests/{filed[-1].pk}/"' in seen and f'href="/requests/{filed[0].pk}/"' not in seen


@pytest.mark.parametrize("external", [True, False])
def test_what_comes_of_another_issuer_gets_nothing_of_the_api(
    web: World, monkeypatch: pytest.MonkeyPatch, external: bool
) -> None:
    """No token of it opens the API; nor does any, where another issuer's tokens open the door."""
    if external:
        added(web, external_subject="night-bot")
    else:
        added(web)
        monkeypatch.setattr(settings, "TOKEN_ISSUER", "https://sso.example.com")
    mine = {one.name: one.scopes for one in answered_for_by(web.reviewer("otto"))}
    every = {one.name: one.scopes for one in agents_in(web.reviewer("opal")).rows}
    for found in (mine, every):
        assert found["Night bot"] == ("mcp:read", "mcp:request")
        assert ("approvals:read" in found["Support bot"]) is external


def test_an_agent_is_stopped_from_there(web: World, sign_in: SignIn) -> None:
    opal = sign_in("opal")
    (form,) = re.findall(r"<form[^>]*action=\"/switches/on/\".*?</form>", shown(opal, EVERY), re.S)
    sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
    assert sent["agent"] == str(web.agent.agent_id)
    sent.pop("csrfmiddlewaretoken", None)
    assert (
        opal.post("/switches/on/", {**sent, "reason": "It asks for the same again and again."}).status_code
        == 302
    )
    assert "Stopped by a switch" in shown(opal, EVERY)


def test_the_statements_of_all_agents_do_not_grow_with_them(web: World) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            agents_in(web.reviewer("opal"))
        return len(queries)

    before = asked()
    with web.processes.acting_as("migrator"):
        for number in range(10):
            agents.add_agent(web.tenant, owner=web.people["otto"], name=f"Bot {number:02}")
    assert asked() == before


def test_a_long_list_of_agents_comes_in_pages(web: World, sign_in: SignIn) -> None:
    add_role(web, "mara", web.tenant, "operator")
    with web.processes.acting_as("migrator"):
        for number in range(26):
            agents.add_agent(web.tenant, owner=web.people["otto"], name=f"Bot {number:02}")
    first = sign_in("mara").get(EVERY)
    following = first.context["page"].next
    second = sign_in("mara").get(EVERY, {"after": following})
    names = [row.name for row in (*first.context["page"].rows, *second.context["page"].rows)]
    assert names == [*(f"Bot {number:02}" for number in reversed(range(26))), "Support bot"]


def test_an_agent_of_another_company_can_not_be_disconnected_by_the_verb_either(web: World) -> None:
    with pytest.raises(NotFound):
        connect.disconnect(web.other_agent.id, by=web.people["lena"], tenant_id=web.tenant.pk)
    assert Application.objects.filter(client_id=web.other_agent.client_id).exists()


def answered_for(seen: str) -> str:
    """The part of the page about the agents that a person answers for; "" for none."""
    _, _, after = seen.partition('aria-labelledby="answered-for"')
    return after.partition("</section>")[0]


def test_an_owner_sees_the_agents_they_answer_for_and_what_they_did_last(web: World, sign_in: SignIn) -> None:
    narrow = added(web, scopes=("mcp:read", "mcp:request:refund_payment"))
    assert ask(narrow).status_code == 200
    seen = answered_for(shown(sign_in("otto")))
    assert "Night bot" in seen and narrow.client_id in seen
    assert "mcp:request:refund_payment" in seen and "Last got a token" in seen
    assert "tell whoever runs Countersign its client id" in seen
    assert "Last filed a request" not in seen
    assert "Got no token of ours and filed nothing yet" in seen  # the agent of the world
    web.submit()
    assert "Last filed a request" in answered_for(shown(sign_in("otto")))


def test_an_agent_that_was_removed_is_said_to_be(web: World, sign_in: SignIn) -> None:
    agent = added(web)
    with web.processes.acting_as("migrator"):
        agents.remove_agent(agent.agent)
    seen = answered_for(shown(sign_in("otto")))
    assert "Removed" in seen
    assert seen.index("Support bot") < seen.index("Night bot")  # what works comes first


def test_nobody_else_and_no_other_company_answers_for_an_agent(web: World, sign_in: SignIn) -> None:
    """Wrong tenant: an owner who works in two companies sees in each the agents of that one."""
    for name in ("lena", "gus", "opal"):
        assert web.agent.client_id not in answered_for(shown(sign_in(name)))
    assert answered_for(shown(sign_in("lena"))) == ""
    assert web.other_agent.client_id in answered_for(shown(sign_in("gus")))
    add_role(web, "otto", web.other, "auditor")
    otto = sign_in("otto")
    otto.post("/tenant/", {"tenant": str(web.other.pk)})
    assert answered_for(shown(otto)) == ""
