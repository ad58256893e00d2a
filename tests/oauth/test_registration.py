"""Dynamic registration (RFC 7591): off unless an operator says so, and then for harmless programs in small numbers."""

import json
from typing import Any

import pytest
from django.conf import settings

from approvals.identity import models as verbs
from approvals.identity.models import AccessToken, Application
from tests.oauth.programs import CALLBACK, Program, outsider, told
from tests.views.conftest import SignIn
from tests.world import World, break_the_trail

METADATA = {"client_name": "Desk helper", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}


@pytest.fixture
def is_open(web: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(settings, "DYNAMIC_REGISTRATION", True)
    return web


def register(body: object = METADATA, **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body)
    return outsider().post("/o/register/", content, content_type="application/json", headers=headers)


def count() -> int:
    return Application.objects.filter(registration_source="dcr").count()


def test_it_is_off(web: World) -> None:
    before = count()
    assert register().status_code == 404
    assert count() == before


def test_a_program_registers_and_gets_no_secret(is_open: World) -> None:
    answer = register()
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    told_it = answer.json()
    assert told_it["token_endpoint_auth_method"] == "none"
    assert told_it["redirect_uris"] == [CALLBACK]
    assert not {"client_secret", "registration_access_token"} & set(told_it)
    (event,) = [
        json.loads(event.text)
        for event in told(kind="client.registered")
        if told_it["client_id"] in event.text
    ]
    assert event["actor"] == {"kind": "system", "id": "web"}
    assert (event["data"]["source"], event["data"]["program"]) == ("dcr", "Desk helper")


def test_a_registration_opens_nothing(is_open: World) -> None:
    """It is not a credential: a person has to consent, and no token was issued."""
    client_id = register().json()["client_id"]
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": ""}
    for secret in ("", "guess"):
        answer = outsider().post("/o/token/", form | {"client_secret": secret})
        assert answer.status_code in (400, 401)
    assert not AccessToken.objects.filter(application__client_id=client_id).exists()


def test_a_registered_program_is_connected(is_open: World, sign_in: SignIn) -> None:
    program = Program(register().json()["client_id"])
    assert program.connected(sign_in("lena"), is_open.tenant.pk)["token_type"] == "Bearer"


@pytest.mark.parametrize(
    "asked",
    [
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"grant_types": ["authorization_code", "refresh_token", "client_credentials", "implicit"]},
        {"scope": "admin offline_access"},
        {
            "tenant": "north",
            "owner": "x",
            "skip_authorization": True,
            "client_secret": "mine",
            "client_id": "mine",
        },
    ],
)
def test_what_hosts_ask_by_habit_is_replaced_and_the_answer_says_so(
    is_open: World, asked: dict[str, Any]
) -> None:
    """RFC 7591, section 3.2.1."""
    answer = register({**METADATA, **asked}).json()
    assert answer["token_endpoint_auth_method"] == "none"
    assert answer["grant_types"] == ["authorization_code"]
    row = Application.objects.get(client_id=answer["client_id"])
    assert (row.client_type, row.skip_authorization, row.tenant_id, row.owner_id) == (
        "public",
        False,
        None,
        None,
    )
    assert row.client_id != "mine"
    assert row.scope == ""


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"not json", "invalid_client_metadata"),
        (b"[" * 10_000, "invalid_client_metadata"),
        (b"\xff\xfe\x00", "invalid_client_metadata"),
        (b"{" + b" " * 20_000 + b"}", "invalid_client_metadata"),
        ([], "invalid_client_metadata"),
        (None, "invalid_client_metadata"),
        ({}, "invalid_redirect_uri"),
        ({**METADATA, "redirect_uris": ["http://evil.example/cb"]}, "invalid_redirect_uri"),
        ({**METADATA, "redirect_uris": ["https://desk.example/cb#x"]}, "invalid_redirect_uri"),
        ({**METADATA, "redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({**METADATA, "redirect_uris": "x"}, "invalid_redirect_uri"),
        (
            {**METADATA, "redirect_uris": [f"https://d.example/{n}" for n in range(11)]},
            "invalid_redirect_uri",
        ),
        ({**METADATA, "grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({**METADATA, "grant_types": ["password"]}, "invalid_client_metadata"),
        ({**METADATA, "client_name": "x" * 101}, "invalid_client_metadata"),
        ({**METADATA, "client_name": "nul\0"}, "invalid_client_metadata"),
        ({**METADATA, "client_name": "\ud83d"}, "invalid_client_metadata"),
        ({**METADATA, "client_name": ["x"]}, "invalid_client_metadata"),
    ],
)
def test_what_no_program_may_say_registers_nothing(is_open: World, body: Any, error: str) -> None:
    before = count()
    answer = register(body)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert count() == before


def test_only_a_post_is_served(is_open: World) -> None:
    before = count()
    assert outsider().get("/o/register/").status_code == 405
    assert outsider().get(f"/o/register/{Program.registered(is_open).client_id}/").status_code == 404
    assert count() == before + 1


def test_an_address_registers_a_limited_number_and_others_go_on(is_open: World) -> None:
    """Attack: filling the table."""
    assert [register().status_code for _ in range(20)] == [201] * 20
    refused = register()
    assert (refused.status_code, refused.json()["error"]) == (429, "slow_down")
    assert 0 < int(refused["Retry-After"]) <= 3600
    other = outsider().post(
        "/o/register/", json.dumps(METADATA), content_type="application/json", REMOTE_ADDR="203.0.114.9"
    )
    assert other.status_code == 201


def test_a_registration_without_its_audit_row_does_not_happen(
    is_open: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = count()
    break_the_trail(monkeypatch, verbs)
    assert register().status_code == 500
    assert count() == before
