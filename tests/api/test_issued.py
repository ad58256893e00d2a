"""How a program gets a token for the API: by its scope, which is never given together with one of the door's."""

from typing import Any

import pytest
from django.conf import settings

from approvals.errors import TokenRefused
from approvals.identity import agents
from approvals.identity.credentials import requester_of_token
from approvals.identity.models import AccessToken, RefreshToken
from approvals.identity.scopes import EVERY, are_for_one_audience, audience_of
from approvals.views.oauth.scopes import Scopes
from tests.api.calling import Bearer
from tests.oauth.programs import Program, refusal, would_go
from tests.oauth.terminal import Terminal
from tests.oauth.test_device import allowed
from tests.oauth.test_headless import added, ask
from tests.views.conftest import SignIn
from tests.world import World

READ = {"scope": "approvals:read", "resource": settings.API_URL}


def at_the_door(web: World, raw: str) -> bool:
    with web.processes.acting_as("door"):
        try:
            return requester_of_token(raw).tenant_id == web.tenant.pk
        except TokenRefused:
            return False


def at_the_api(raw: str) -> bool:
    return bool(Bearer(raw).get("/me/").status_code == 200)


@pytest.mark.parametrize("resource", [settings.API_URL, None])
def test_an_agent_that_comes_by_itself_gets_one_by_its_secret(web: World, resource: str | None) -> None:
    wanted = {"scope": "approvals:read"} | ({"resource": resource} if resource else {})
    raw = ask(added(web), **wanted).json()["access_token"]
    assert at_the_api(raw) and not at_the_door(web, raw)


def test_a_token_for_the_door_is_none_for_the_api(web: World) -> None:
    raw = ask(added(web)).json()["access_token"]
    assert at_the_door(web, raw) and not at_the_api(raw)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"scope": "approvals:read mcp:read"}, "invalid_scope"),
        ({"scope": "approvals:read mcp:request:refund_payment"}, "invalid_scope"),
        ({"scope": "approvals:read approvals:read"}, "invalid_scope"),
        ({"scope": "approvals:write"}, "invalid_scope"),
        ({"scope": "approvals:read", "resource": settings.DOOR_URL}, "invalid_target"),
        ({"scope": "mcp:read", "resource": settings.API_URL}, "invalid_target"),
        ({"scope": "approvals:read", "resource": f"{settings.API_URL}/"}, "invalid_target"),
        ({"scope": "approvals:read", "resource": [settings.API_URL, settings.DOOR_URL]}, "invalid_target"),
        ({"scope": "approvals:read", "resource": settings.PUBLIC_URL}, "invalid_target"),
    ],
    ids=range(9),
)
def test_no_token_is_for_both_or_for_another_place(web: World, asked: dict[str, Any], error: str) -> None:
    agent = added(web)
    assert refusal(ask(agent, **asked)) == (400, error)
    assert not AccessToken.objects.filter(application__client_id=agent.client_id).exists()


@pytest.mark.parametrize(
    ("given", "gets"), [(("mcp:read",), False), (("approvals:read",), True), (EVERY, True), ((), True)]
)
def test_a_narrowed_agent_gets_it_where_it_was_given(web: World, given: tuple[str, ...], gets: bool) -> None:
    answer = ask(added(web, scopes=given), **READ)
    assert (answer.status_code == 200) is gets
    assert gets or answer.json()["error"] == "invalid_scope"


def test_a_program_reads_in_the_name_of_who_said_yes(web: World, sign_in: SignIn) -> None:
    program, lena = Program.registered(web), sign_in("lena")
    page = lena.get(program.asks(**READ)).content.decode()
    assert "approvals:read" in page and "Read over the REST API all that you may read here" in page
    issued = program.connected(lena, web.tenant.pk, **READ)
    assert issued["scope"] == "approvals:read"
    assert at_the_api(issued["access_token"]) and not at_the_door(web, issued["access_token"])
    me = Bearer(issued["access_token"]).get("/me/").json()
    assert (me["kind"], me["id"]) == ("person", str(web.people["lena"].pk))
    for model in (AccessToken, RefreshToken):
        (row,) = model.objects.filter(application__client_id=program.client_id)
        assert row.resource == [settings.API_URL]


def test_a_refresh_leads_to_the_same_place_and_never_to_the_other(web: World, sign_in: SignIn) -> None:
    lena = sign_in("lena")
    reader, asker = Program.registered(web), Program.registered(web)
    of_api = reader.connected(lena, web.tenant.pk, **READ)["refresh_token"]
    of_door = asker.connected(lena, web.tenant.pk)["refresh_token"]
    for program, token, other in (
        (reader, of_api, {"scope": "mcp:read"}),
        (reader, of_api, {"scope": "approvals:read mcp:read"}),
        (asker, of_door, {"scope": "approvals:read"}),
    ):
        assert refusal(program.refresh(token, **other)) == (400, "invalid_scope")
    assert refusal(asker.refresh(of_door, resource=settings.API_URL)) == (400, "invalid_target")
    assert refusal(reader.refresh(of_api, resource=settings.DOOR_URL)) == (400, "invalid_target")
    assert at_the_api(reader.refresh(of_api).json()["access_token"])
    assert at_the_door(web, asker.refresh(of_door).json()["access_token"])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "approvals:read"}, "invalid_target"),  # the resource is the door's
        ({"scope": "approvals:read mcp:read", "resource": settings.API_URL}, "invalid_scope"),
        ({"resource": settings.API_URL}, "invalid_target"),
    ],
)
def test_nobody_is_even_asked_about_a_token_for_both(
    web: World, sign_in: SignIn, changes: dict[str, Any], error: str
) -> None:
    answer = sign_in("lena").get(Program.registered(web).asks(**changes))
    assert would_go(answer)["error"] == error


def test_a_program_on_a_terminal_gets_one_too(web: World, sign_in: SignIn) -> None:
    with web.processes.acting_as("migrator"):
        terminal = Terminal(agents.add_program("Reporting tool").client_id)
    began = allowed(web, terminal, sign_in("lena"), scope="approvals:read", resource=settings.API_URL)
    raw = terminal.poll(began["device_code"]).json()["access_token"]
    assert at_the_api(raw) and not at_the_door(web, raw)


def test_the_page_of_programs_says_what_it_reads(web: World, sign_in: SignIn) -> None:
    lena = sign_in("lena")
    Program.registered(web).connected(lena, web.tenant.pk, **READ)
    page = lena.get("/agents/").content.decode()
    assert "Read over the REST API" in page and 'href="/api/"' in page
    assert "Read its own requests over the REST API" in sign_in("otto").get("/agents/").content.decode()


def test_scopes_belong_to_one_place_each() -> None:
    every = Scopes().get_all_scopes()
    assert [scope for scope in every if audience_of({scope}) == settings.API_URL] == ["approvals:read"]
    assert all(are_for_one_audience({scope}) for scope in every)
    assert not are_for_one_audience({"approvals:read", "mcp:read"})
    assert "approvals:read" not in Scopes().get_available_scopes()
