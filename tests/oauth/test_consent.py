"""The consent page: what a person reads before they let a program ask, and what their answer does."""

import json
import re
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client

from approvals.identity.models import Agent, Grant
from tests.oauth.programs import Program, came_back, outsider, told
from tests.views.conftest import SignIn, add_role
from tests.world import World

ELSEWHERE = "https://desk.example/oauth/callback"


def agents(program: Program) -> list[Agent]:
    return list(Agent.objects.filter(application__client_id=program.client_id))


def test_the_page_says_who_asks_for_what_and_where_the_answer_goes(
    web: World, program: Program, sign_in: SignIn
) -> None:
    page = sign_in("lena").get(program.asks(scope="mcp:read mcp:request:refund_payment")).content.decode()
    assert "Desk helper" in page
    assert "127.0.0.1:8123" in page
    assert "Look up orders" in page
    assert "File requests of one kind, and take them back: Refund a payment" in page
    assert "North" in page
    assert "This lets it ask, never approve." in page
    assert "File requests of every kind" not in page


def test_the_page_warns_where_the_answer_stays_on_this_machine(web: World, sign_in: SignIn) -> None:
    warning = "Your answer goes to a program on this computer"
    here = Program.registered(web)
    there = Program.registered(web, redirects=ELSEWHERE)
    assert warning in sign_in("lena").get(here.asks()).content.decode()
    page = sign_in("lena").get(there.asks()).content.decode()
    assert warning not in page
    assert "desk.example" in page


def test_a_name_with_hidden_characters_is_shown_with_them_named(web: World, sign_in: SignIn) -> None:
    """Attack: a name that reads as another one, or as words of ours."""
    liar = Program.registered(web, name="\u202erotcerid eht yb devorppA\u202c<b>Countersign</b>\u200b")
    page = sign_in("lena").get(liar.asks()).content.decode()
    assert "U+202E RIGHT-TO-LEFT OVERRIDE" in page
    assert "U+200B ZERO WIDTH SPACE" in page
    assert "\u202e" not in page
    assert "<b>Countersign</b>" not in page
    assert "Its name contains characters that you would not see" in page


def test_nobody_sees_the_page_without_signing_in(web: World, program: Program) -> None:
    answer = outsider().get(program.asks())
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=/o/authorize/")


def test_a_person_of_no_company_connects_nothing(web: World, program: Program, sign_in: SignIn) -> None:
    with web.processes.acting_as("migrator"):
        web.people["lena"].memberships.all().delete()
    browser = sign_in("lena")
    for answer in (
        browser.get(program.asks()),
        browser.post(program.asks(), {"answer": "allow"}),
    ):
        assert answer.status_code == 403
        assert "You belong to no company here" in answer.content.decode()
    assert browser.post(program.asks(), {"answer": "allow", "tenant": str(web.tenant.pk)}).status_code == 404
    assert agents(program) == []


def test_a_yes_leads_back_with_a_code_the_state_and_the_issuer(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """RFC 9207, section 2: every authorization response names its issuer."""
    answer = sign_in("lena").post(program.asks(), {"answer": "allow", "tenant": str(web.tenant.pk)})
    assert answer.status_code == 303
    assert answer["Location"].startswith(f"{program.redirect_uri}?")
    back = came_back(answer)
    assert set(back) == {"code", "state", "iss"}
    assert (back["state"], back["iss"]) == ("what-the-program-remembers", settings.PUBLIC_URL)
    assert answer["Cache-Control"].startswith("max-age=0, no-cache, no-store")


def test_a_no_leads_back_without_a_code_and_is_on_the_trail(
    web: World, program: Program, sign_in: SignIn
) -> None:
    answer = sign_in("lena").post(program.asks(), {"answer": "deny"})
    assert answer.status_code == 303
    back = came_back(answer)
    assert (back["error"], back["iss"]) == ("access_denied", settings.PUBLIC_URL)
    assert back["state"] == "what-the-program-remembers"
    (event,) = told(web.tenant.pk, "consent.refused")
    assert json.loads(event.text)["actor"]["id"] == str(web.people["lena"].pk)
    assert agents(program) == []
    assert not Grant.objects.filter(application__client_id=program.client_id).exists()


def test_every_connection_is_asked_for(web: World, program: Program, sign_in: SignIn) -> None:
    browser = sign_in("lena")
    program.connected(browser, web.tenant.pk)
    again = browser.get(program.another_time().asks(approval_prompt="auto", prompt="none"))
    assert again.status_code == 200
    assert "Let this program ask in your name?" in again.content.decode()


def test_a_person_of_several_companies_has_to_choose_one(
    web: World, program: Program, sign_in: SignIn
) -> None:
    add_role(web, "lena", web.other, "auditor")
    browser = sign_in("lena")
    page = browser.get(program.asks()).content.decode()
    assert page.count('type="radio"') == 2
    assert not re.search(r"<input[^>]* checked", page)
    forgot = browser.post(program.asks(), {"answer": "allow"})
    assert forgot.status_code == 422
    assert "Choose the company in which it may ask." in forgot.content.decode()
    assert agents(program) == []
    program.connected(browser, web.other.pk)
    assert [agent.tenant_id for agent in agents(program)] == [web.other.pk]


def test_a_company_of_others_reads_like_one_that_does_not_exist(
    web: World, program: Program, sign_in: SignIn
) -> None:
    browser, nowhere = sign_in("lena"), "00000000-0000-4000-8000-000000000000"
    foreign = browser.post(program.asks(), {"answer": "allow", "tenant": str(web.other.pk)})
    missing = browser.post(program.asks(), {"answer": "allow", "tenant": nowhere})
    assert foreign.status_code == missing.status_code == 404
    read = [
        re.sub('name="csrfmiddlewaretoken" value="[^"]+"', "", each.content.decode())
        for each in (foreign, missing)
    ]
    assert read[0].replace(str(web.other.pk), nowhere) == read[1]
    assert agents(program) == []
    assert len(told(web.tenant.pk, "access.denied")) == 2


def test_somebody_elses_agent_in_the_form_changes_nothing(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """Attack: the form names an agent. The agent follows from the session, the program and the company alone."""
    program.connected(sign_in("mara"), web.tenant.pk)
    (hers,) = agents(program)
    form = {"answer": "allow", "tenant": str(web.tenant.pk), "agent": str(hers.pk), "agent_id": str(hers.pk)}
    code = came_back(sign_in("lena").post(program.another_time().asks(), form))["code"]
    grant = Grant.objects.get(code=code)
    assert grant.agent_id != hers.pk
    assert (grant.user, grant.agent and grant.agent.on_behalf_of) == (web.people["lena"], web.people["lena"])


def test_an_answer_without_the_forms_token_is_refused(web: World, program: Program) -> None:
    """Attack: another site posts the form with the person's cookies (CSRF)."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(web.people["lena"])
    answer = browser.post(program.asks(), {"answer": "allow", "tenant": str(web.tenant.pk)})
    assert answer.status_code == 403
    assert agents(program) == []


def test_nobody_frames_the_page_and_its_form_leads_to_the_program_alone(
    web: World, program: Program, sign_in: SignIn
) -> None:
    """Attack: clickjacking (RFC 9700, section 4.16), and a form that was made to send elsewhere."""
    page = sign_in("lena").get(program.asks())
    assert page["X-Frame-Options"] == "DENY"
    policy = dict(part.strip().split(" ", 1) for part in page["Content-Security-Policy"].split(";"))
    assert policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == "'self' http://127.0.0.1:8123"
    assert policy["default-src"] == "'none'"


def test_a_get_of_any_kind_connects_nothing(web: World, program: Program, sign_in: SignIn) -> None:
    url = f"{program.asks()}&answer=allow&tenant={web.tenant.pk}&allow=true"
    assert sign_in("lena").get(url).status_code == 200
    assert agents(program) == []


def test_what_an_operator_switched_off_is_said_and_goes_nowhere(
    web: World, program: Program, sign_in: SignIn
) -> None:
    browser = sign_in("lena")
    program.connected(browser, web.tenant.pk)
    with web.processes.acting_as("migrator"):
        Agent.objects.filter(application__client_id=program.client_id).update(is_active=False)
    answer = browser.post(program.asks(), {"answer": "allow", "tenant": str(web.tenant.pk)})
    assert answer.status_code == 403
    assert "was switched off by an operator" in answer.content.decode()


@pytest.mark.parametrize("host", ["[::1]:8123", "localhost:8123", "127.0.0.1:40123"])
def test_a_native_program_may_listen_on_any_port(web: World, sign_in: SignIn, host: str) -> None:
    """RFC 8252, section 7.3."""
    registered = f"http://{host.rpartition(':')[0]}/callback"
    native = Program.registered(web, redirects=registered)
    asked = native.asks(redirect_uri=f"http://{host}/callback")
    answer = sign_in("lena").post(asked, {"answer": "allow", "tenant": str(web.tenant.pk)})
    assert urlsplit(answer["Location"]).netloc == host
