"""The OAuth server's token endpoint, for agents that come by themselves."""

import base64
import hashlib
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from approvals.identity.models import AccessToken, Agent, Application
from tests.world import SECRET, World

SCOPE = "mcp:read mcp:request"


def ask(world: World, *, secret: str = SECRET, client_id: str = "", **form: Any) -> Any:
    """A client-credentials request, authenticated as RFC 6749, section 2.3.1 says."""
    who = f"{client_id or world.agent.client_id}:{secret}"
    headers = {"Authorization": "Basic " + base64.b64encode(who.encode()).decode()}
    body = {"grant_type": "client_credentials", "scope": SCOPE, **form}
    return Client(raise_request_exception=False).post("/o/token/", body, headers=headers)


def tokens(world: World) -> list[AccessToken]:
    return list(AccessToken.objects.filter(application__client_id=world.agent.client_id))


def test_a_token_is_bound_to_the_door_and_to_the_agent(web: World) -> None:
    answer = ask(web)
    assert answer.status_code == 200
    (token,) = tokens(web)
    assert token.resource == [settings.DOOR_URL]
    assert token.agent_id == web.agent.agent_id
    assert set(answer.json()["scope"].split()) == set(SCOPE.split())
    assert answer.json()["expires_in"] == 900


def test_naming_the_door_is_the_same_as_naming_nothing(web: World) -> None:
    assert ask(web, resource=settings.DOOR_URL).status_code == 200
    assert tokens(web)[0].resource == [settings.DOOR_URL]


@pytest.mark.parametrize(
    "resource", ["https://elsewhere.example/mcp", f"{settings.DOOR_URL}/", f"{settings.DOOR_URL}/../other"]
)
def test_a_token_for_another_place_is_not_given(web: World, resource: str) -> None:
    answer = ask(web, resource=resource)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
    assert tokens(web) == []


def test_a_token_for_the_door_and_another_place_is_not_given(web: World) -> None:
    answer = ask(web, resource=[settings.DOOR_URL, "https://elsewhere.example/mcp"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
    assert tokens(web) == []


def test_every_answer_is_json_that_nobody_caches(web: World) -> None:
    for answer in (ask(web), ask(web, resource="https://elsewhere.example/mcp"), ask(web, scope="admin")):
        assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/json", "no-store")


def test_an_agent_that_was_switched_off_gets_no_token(web: World) -> None:
    with web.processes.acting_as("migrator"):
        Agent.objects.filter(pk=web.agent.id).update(is_active=False)
    answer = ask(web)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert tokens(web) == []


def test_a_wrong_secret_gets_no_token(web: World) -> None:
    answer = ask(web, secret="demo-wrong")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert tokens(web) == []


@pytest.mark.parametrize("scope", ["admin", "mcp:read mcp:approve"])
def test_a_scope_that_does_not_exist_is_refused(web: World, scope: str) -> None:
    answer = ask(web, scope=scope)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    assert tokens(web) == []


def test_only_the_hash_of_a_token_is_kept(web: World) -> None:
    raw = ask(web).json()["access_token"]
    (row,) = AccessToken.objects.filter(application__client_id=web.agent.client_id).values()
    assert raw not in str(row)
    assert row["token_checksum"] == hashlib.sha256(raw.encode()).hexdigest()


def test_a_revoked_token_is_gone(web: World) -> None:
    raw = ask(web).json()["access_token"]
    who = base64.b64encode(f"{web.agent.client_id}:{SECRET}".encode()).decode()
    answer = Client().post("/o/revoke_token/", {"token": raw}, headers={"Authorization": f"Basic {who}"})
    assert answer.status_code == 200
    assert tokens(web) == []


@pytest.mark.parametrize(
    "grant", ["password", "implicit", "urn:ietf:params:oauth:grant-type:saml2-bearer", ""]
)
def test_a_grant_that_is_not_offered_is_refused(web: World, grant: str) -> None:
    """RFC 9700, sections 2.1.2 and 2.4: no implicit grant, no password grant."""
    form = {"username": web.people["lena"].email, "password": "x"}
    answer = ask(web, grant_type=grant, **form)
    assert (answer.status_code, answer.json()) == (400, {"error": "unsupported_grant_type"})
    assert tokens(web) == []


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "authorization_code", "code": "x"}, "unauthorized_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ],
)
def test_a_headless_program_has_no_grant_of_a_person(web: World, form: dict[str, str], error: str) -> None:
    answer = ask(web, **form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert tokens(web) == []


@pytest.mark.parametrize("path", ["/o/token/", "/o/revoke_token/"])
@pytest.mark.parametrize(
    ("credentials", "form", "query"),
    [
        (b"pro\0gram:secret", {}, ""),
        (b"program:sec\0ret", {}, ""),
        (b"pro%00gram:secret", {}, ""),
        (b"program:secret", {"scope": "mcp:\0read"}, ""),
        (b"program:secret", {"resource": ["https://a.example", "\0"]}, ""),
        (b"program:secret", {"token": "x\0"}, ""),
        (b"program:secret", {"\0": "x"}, ""),
        (b"program:secret", {}, "?token=%00"),
        (b"", {"client_id": "pro\0gram", "client_secret": "secret"}, ""),
    ],
)
def test_a_nul_character_is_refused_in_words_wherever_it_stands(
    web: World, path: str, credentials: bytes, form: dict[str, Any], query: str
) -> None:
    headers = {"Authorization": "Basic " + base64.b64encode(credentials).decode()} if credentials else {}
    body = {"grant_type": "client_credentials", "token": "x", **form}
    answer = Client(raise_request_exception=False).post(path + query, body, headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})
    assert answer["Content-Type"] == "application/json"


def test_an_application_without_an_agent_gets_no_token(web: World) -> None:
    with web.processes.acting_as("migrator"):
        lone = Application.objects.create(
            client_id="lone-program",
            client_secret=SECRET,
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
            tenant=web.tenant,
            owner=web.people["otto"],
        )
    answer = ask(web, client_id=lone.client_id)
    assert answer.status_code == 401
    assert not AccessToken.objects.filter(application=lone).exists()
