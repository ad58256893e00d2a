"""Who gets in: a member's session, or a token that was made for the API. Nobody else, and never both at once."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from approvals import switches
from approvals.errors import TokenRefused
from approvals.identity.credentials import requester_of_api_token, requester_of_token
from approvals.identity.models import Agent, Application, Membership
from approvals.models import Switch
from tests.api.calling import V1, Bearer, Browser, agent_token, person_token, refused, told
from tests.views.conftest import SignIn
from tests.views.test_access import all_addresses
from tests.world import World

EVERY = [path for path in all_addresses() if path.startswith(f"{V1}/") and not path.endswith("/schema/")]
# The last one is whatever else begins like an address of the API.
KNOWN = [path for path in EVERY if path != f"{V1}/"]


def test_there_are_addresses_to_be_tested() -> None:
    assert len(KNOWN) == 14


@pytest.mark.parametrize("path", KNOWN, ids=range(len(KNOWN)))
def test_a_stranger_is_told_where_to_get_a_token_and_nothing_else(web: World, path: str) -> None:
    client = Client(raise_request_exception=False)
    answers = [answer for answer in (client.get(path), client.post(path)) if answer.status_code != 405]
    assert answers
    for answer in answers:
        assert refused(answer) == (401, "not_authenticated")
        assert answer["WWW-Authenticate"] == (
            'Bearer realm="countersign", resource_metadata="'
            f'{settings.PUBLIC_URL}/.well-known/oauth-protected-resource/api", scope="approvals:read"'
        )


def test_the_metadata_names_the_api_its_scope_and_who_gives_tokens(web: World) -> None:
    told = Client().get("/.well-known/oauth-protected-resource/api").json()
    assert told["resource"] == settings.API_URL == f"{settings.PUBLIC_URL}/api"
    assert told["authorization_servers"] == [settings.PUBLIC_URL]
    assert told["scopes_supported"] == ["approvals:read"]


def test_a_session_reads_and_so_does_a_token(web: World) -> None:
    for caller in (Browser(web, "lena"), Bearer(person_token(web, "lena")), Bearer(agent_token(web))):
        answer = caller.get("/requests/")
        assert answer.status_code == 200, answer.content
        assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/json", "no-store")
        assert "Access-Control-Allow-Origin" not in answer


def test_who_a_caller_is(web: World) -> None:
    browser = Browser(web, "felix").get("/me/").json()
    assert browser == {
        "kind": "person",
        "id": str(web.people["felix"].pk),
        "name": "Felix",
        "company": "North",
        "roles": ["finance"],
        "by_token_of": None,
    }
    program = Bearer(person_token(web, "felix")).get("/me/").json()
    assert program["by_token_of"] and program | {"by_token_of": None} == browser
    agent = Bearer(agent_token(web)).get("/me/").json()
    assert (agent["kind"], agent["id"], agent["roles"]) == ("agent", str(web.agent.id), [])


@pytest.mark.parametrize(
    "changes",
    [
        {"resource": [settings.DOOR_URL]},
        {"resource": []},
        {"resource": [settings.API_URL, settings.DOOR_URL]},
        {"resource": [f"{settings.API_URL}/"]},
        {"resource": [settings.PUBLIC_URL]},
        {"scope": "mcp:read mcp:request"},
        {"expires": timezone.now() - timedelta(days=1)},
        {"agent": None},
    ],
    ids=["door", "none", "both", "slash", "pages", "scope", "expired", "nobody"],
)
def test_a_token_that_was_not_made_for_the_api_opens_nothing(web: World, changes: dict[str, Any]) -> None:
    answer = Bearer(agent_token(web, **changes)).get("/requests/")
    assert refused(answer) == (401, "token_refused")
    assert 'error="invalid_token"' in answer["WWW-Authenticate"]


def test_a_token_of_the_api_opens_no_door(web: World) -> None:
    raw = agent_token(web)
    with web.processes.acting_as("door"), pytest.raises(TokenRefused):
        requester_of_token(raw)
    assert requester_of_api_token(raw).agent_id == web.agent.agent_id


def test_a_token_of_the_door_opens_no_api_even_with_its_scope(web: World) -> None:
    raw = agent_token(web, resource=[settings.DOOR_URL], scope="mcp:read mcp:request approvals:read")
    with web.processes.acting_as("door"):
        assert requester_of_token(raw).agent_id == web.agent.agent_id
    assert refused(Bearer(raw).get("/me/")) == (401, "token_refused")


def test_a_refused_token_of_a_known_agent_is_on_the_trail_once_a_minute(web: World) -> None:
    raw = agent_token(web, resource=[settings.DOOR_URL])
    for _ in range(3):
        Bearer(raw).get("/me/")
    (event,) = told(web.tenant, "access.turned_away")
    assert event["actor"] == {"kind": "system", "id": "web"}
    assert event["data"] == {"401 audience": 1, "agent": str(web.agent.id), "wanted": "api me"}


def test_an_agent_that_was_switched_off_reads_nothing(web: World) -> None:
    raw = agent_token(web)
    assert Bearer(raw).get("/me/").status_code == 200
    with web.processes.acting_as("migrator"):
        Agent.objects.filter(pk=web.agent.id).update(is_active=False)
    assert refused(Bearer(raw).get("/me/")) == (401, "token_refused")


def test_an_agent_that_an_operator_has_stopped_altogether_reads_nothing(
    web: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("approvals.switches.reach.FRESH_SECONDS", 0)
    raw = agent_token(web)
    for stops, status in ((Switch.REQUESTS, 200), (Switch.EVERYTHING, 403)):
        switch = switches.turn_on(
            tenant_id=web.tenant.pk, stops=stops, reason="It loops.", by=web.reviewer("opal")
        )
        answer = Bearer(raw).get("/me/")
        assert answer.status_code == status, answer.content
        switches.turn_off(switch.pk, by=web.reviewer("opal"))
    assert answer.json()["code"] == "switched_off" and "It loops." in answer.json()["detail"]


def test_a_program_reads_nothing_in_the_name_of_somebody_who_has_left(web: World) -> None:
    raw = person_token(web, "lena")
    assert Bearer(raw).get("/me/").status_code == 200
    with web.processes.acting_as("migrator"):
        Membership.objects.filter(person=web.people["lena"]).delete()
    assert refused(Bearer(raw).get("/me/")) == (401, "token_refused")


def test_a_program_reads_by_the_roles_that_its_person_holds_now(web: World) -> None:
    raw = person_token(web, "ada")
    assert Bearer(raw).get("/trail/").status_code == 200
    with web.processes.acting_as("migrator"):
        Membership.objects.filter(person=web.people["ada"]).update(role="support_lead")
    assert refused(Bearer(raw).get("/trail/")) == (403, "auditors_only")


def test_a_narrowed_application_has_no_scope_that_it_was_not_given(web: World) -> None:
    raw = agent_token(web)
    with web.processes.acting_as("migrator"):
        Application.objects.filter(client_id=web.agent.client_id).update(scope="mcp:read")
    assert refused(Bearer(raw).get("/me/")) == (401, "token_refused")


@pytest.mark.parametrize(
    "header", ["Basic bGVuYTpsZW5h", "Bearer", "Bearer ", "Bearer a b", "bearer ä", "Token abc", ""]
)
def test_a_header_that_is_no_token_is_refused_though_there_is_a_session(
    web: World, sign_in: SignIn, header: str
) -> None:
    answer = sign_in("lena").get(f"{V1}/me/", headers={"Authorization": header})
    assert refused(answer) == (401, "token_refused")


def test_where_a_token_is_sent_no_cookie_counts(web: World) -> None:
    browser = Browser(web, "ada")
    headers = {"Authorization": f"Bearer {agent_token(web)}"}
    assert browser.client.get(f"{V1}/me/", headers=headers).json()["kind"] == "agent"
    assert refused(browser.client.get(f"{V1}/trail/", headers=headers)) == (403, "people_only")


def test_a_token_in_the_address_is_refused(web: World) -> None:
    answer = Client(raise_request_exception=False).get(f"{V1}/me/?access_token={agent_token(web)}")
    assert refused(answer) == (401, "not_authenticated")


def test_no_cookie_is_set_for_who_sends_a_token(web: World) -> None:
    caller = Bearer(agent_token(web))
    for answer in (caller.get("/requests/"), caller.post("/switches/", {}), caller.get("/nonsense/")):
        assert not answer.cookies


def test_a_person_without_a_company_is_told_so(web: World, sign_in: SignIn) -> None:
    with web.processes.acting_as("migrator"):
        Membership.objects.filter(person=web.people["lena"]).delete()
    assert refused(sign_in("lena").get(f"{V1}/me/")) == (403, "no_company")


def test_with_another_issuer_no_token_opens_the_api(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = agent_token(web)
    monkeypatch.setattr(settings, "TOKEN_ISSUER", "https://sso.example.com")
    answer = Bearer(raw).get("/me/")
    assert refused(answer) == (401, "token_refused")
    assert "resource_metadata" not in answer["WWW-Authenticate"]


def test_calls_are_counted_for_each_caller(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LIMIT_API_CALLS_A_MINUTE", 3)
    one, other = Bearer(agent_token(web)), Bearer(person_token(web, "lena"))
    assert [one.get("/me/").status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = one.get("/me/")
    assert refused(answer) == (429, "limit_reached")
    assert 0 < int(answer["Retry-After"]) == answer.json()["seconds"] <= 60
    assert other.get("/me/").status_code == 200
    (event,) = told(web.tenant, "limit.reached")
    assert event["data"]["agent"] == str(web.agent.id) and event["data"]["refused"] == 1


def test_while_nobody_can_count_calls_go_on(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LIMIT_API_CALLS_A_MINUTE", 1)
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    # And back to what it was: the next test need not wait for a Redis that was there all the time.
    monkeypatch.setattr("approvals.quick_redis._silent_until", 0.0)
    caller = Bearer(agent_token(web))
    assert [caller.get("/me/").status_code for _ in range(3)] == [200, 200, 200]
