"""The device flow (RFC 8628): a terminal shows a code, a person answers it, and every way to get in between."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from approvals.errors import CodeUnknown, TokenRefused
from approvals.identity import agents, connect, device
from approvals.identity.credentials import requester_of_token
from approvals.identity.models import AccessToken, Agent, Application, DeviceGrant, RefreshToken
from tests.oauth.programs import Program, outsider, refusal, told
from tests.oauth.terminal import GRANT, Terminal
from tests.views.conftest import SignIn, add_role
from tests.world import World, break_the_trail


@pytest.fixture
def terminal(web: World) -> Terminal:
    with web.processes.acting_as("migrator"):
        return Terminal(agents.add_program("Terminal helper").client_id)


def answer(person: Client, user_code: str, tenant_id: Any = "", say: str = "allow") -> Any:
    form = {"user_code": user_code, "answer": say, "tenant": str(tenant_id)}
    return person.post("/device/answer/", form)


def allowed(web: World, terminal: Terminal, person: Client, **changes: Any) -> dict[str, Any]:
    """A code that a person has said yes to."""
    began = terminal.began(**changes)
    assert answer(person, began["user_code"], web.tenant.pk).status_code == 302
    return began


def row(began: dict[str, Any]) -> DeviceGrant:
    return DeviceGrant.objects.get(user_code=began["user_code"])


def enters(web: World, raw: str) -> Any:
    with web.processes.acting_as("door"):
        return requester_of_token(raw)


# --- as it should go ----------------------------------------------------------------------------------------


def test_a_terminal_is_connected_by_a_person_who_types_its_code(
    web: World, terminal: Terminal, sign_in: SignIn
) -> None:
    """RFC 8628, sections 3.1 to 3.5."""
    began = terminal.began()
    assert began["verification_uri"] == f"{settings.PUBLIC_URL}/device/"
    assert began["verification_uri_complete"].endswith(f"/device/?user_code={began['user_code']}")
    assert (began["expires_in"], began["interval"]) == (600, 5)
    assert refusal(terminal.poll(began["device_code"])) == (400, "authorization_pending")

    page = sign_in("lena").post("/device/", {"user_code": began["user_code"].lower().replace("-", " ")})
    shown = page.content.decode()
    for words in ("Terminal helper", began["user_code"], "This lets it ask, never approve", "mcp:request"):
        assert words in shown
    said = answer(sign_in("lena"), began["user_code"], web.tenant.pk)
    assert (said.status_code, said["Location"]) == (302, "/agents/")

    tokens = terminal.poll(began["device_code"])
    assert tokens.status_code == 200, tokens.content
    assert tokens["Cache-Control"] == "no-store"
    requester = enters(web, tokens.json()["access_token"])
    assert requester.tenant_id == web.tenant.pk
    assert requester.on_behalf_of_id == requester.owner_id == web.people["lena"].pk
    assert requester.scopes == {"mcp:read", "mcp:request"}
    assert [event.kind for event in told(web.tenant.pk, "agent.connected")] == ["agent.connected"]


def test_its_token_is_for_this_door_its_agent_and_its_person(
    web: World, terminal: Terminal, sign_in: SignIn
) -> None:
    tokens = terminal.poll(allowed(web, terminal, sign_in("lena"))["device_code"]).json()
    access = AccessToken.objects.get(application__client_id=terminal.client_id)
    refresh = RefreshToken.objects.get(application__client_id=terminal.client_id)
    agent = Agent.objects.get(application__client_id=terminal.client_id)
    assert access.resource == refresh.resource == [settings.DOOR_URL]
    assert access.agent_id == refresh.agent_id == agent.pk
    assert access.user_id == agent.on_behalf_of_id == web.people["lena"].pk
    assert access.token == refresh.token == ""
    program = Program(terminal.client_id)
    renewed = program.refresh(tokens["refresh_token"])
    assert renewed.status_code == 200, renewed.content
    assert enters(web, renewed.json()["access_token"]).agent_id == agent.pk


def test_a_program_that_registered_itself_for_it_can_use_it(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DYNAMIC_REGISTRATION", True)
    registered = outsider().post(
        "/o/register/", {"client_name": "Shell", "grant_types": [GRANT]}, content_type="application/json"
    )
    assert registered.status_code == 201, registered.content
    shell = Terminal(registered.json()["client_id"])
    assert shell.poll(allowed(web, shell, sign_in("lena"))["device_code"]).status_code == 200


def test_the_metadata_says_where_codes_are_given(web: World) -> None:
    """RFC 8628, section 4."""
    metadata = outsider().get("/.well-known/oauth-authorization-server").json()
    assert metadata["device_authorization_endpoint"] == f"{settings.PUBLIC_URL}/o/device-authorization/"
    assert GRANT in metadata["grant_types_supported"]


def test_a_terminal_that_asks_for_nothing_may_read(web: World, terminal: Terminal, sign_in: SignIn) -> None:
    began = allowed(web, terminal, sign_in("lena"), scope=None)
    assert terminal.poll(began["device_code"]).json()["scope"] == "mcp:read"


def test_the_question_promises_no_more_than_the_scopes_do(
    web: World, terminal: Terminal, sign_in: SignIn
) -> None:
    began = terminal.began(scope="mcp:read")
    asked = sign_in("lena").post("/device/", {"user_code": began["user_code"]}).content.decode()
    assert "mcp:read" in asked
    assert "file requests" not in asked


def test_a_person_of_two_companies_says_in_which_one(web: World, terminal: Terminal, sign_in: SignIn) -> None:
    add_role(web, "lena", web.other, "support_lead")
    began, lena = terminal.began(), sign_in("lena")
    nothing_chosen = answer(lena, began["user_code"])
    assert nothing_chosen.status_code == 422
    assert "Choose the company" in nothing_chosen.content.decode()
    assert answer(lena, began["user_code"], web.other.pk).status_code == 302
    token = terminal.poll(began["device_code"]).json()["access_token"]
    assert enters(web, token).tenant_id == web.other.pk


# --- polling ------------------------------------------------------------------------------------------------


def test_a_terminal_that_does_not_wait_is_told_to_slow_down_more_each_time(
    web: World, terminal: Terminal
) -> None:
    """RFC 8628, section 3.5: 5 seconds more for this and every further request."""
    began = terminal.began()
    assert refusal(terminal.poll(began["device_code"])) == (400, "authorization_pending")
    assert refusal(terminal.poll(began["device_code"])) == (400, "slow_down")
    assert refusal(terminal.poll(began["device_code"])) == (400, "slow_down")
    assert row(began).interval == 15
    DeviceGrant.objects.filter(pk=row(began).pk).update(
        last_checked=F("last_checked") - timedelta(seconds=16)
    )
    assert refusal(terminal.poll(began["device_code"])) == (400, "authorization_pending")


def test_one_that_hurried_gets_its_token_all_the_same(
    web: World, terminal: Terminal, sign_in: SignIn
) -> None:
    began = terminal.began()
    for _ in range(4):
        terminal.poll(began["device_code"])
    answer(sign_in("lena"), began["user_code"], web.tenant.pk)
    assert terminal.poll(began["device_code"]).status_code == 200


def test_a_code_expires_and_says_so(web: World, terminal: Terminal, sign_in: SignIn) -> None:
    began = terminal.began()
    DeviceGrant.objects.filter(pk=row(began).pk).update(expires=timezone.now() - timedelta(seconds=1))
    assert refusal(terminal.poll(began["device_code"])) == (400, "expired_token")
    assert answer(sign_in("lena"), began["user_code"], web.tenant.pk).status_code == 422
    assert not Agent.objects.filter(application__client_id=terminal.client_id).exists()


def test_a_yes_that_nobody_fetched_in_time_is_worth_nothing(
    web: World, terminal: Terminal, sign_in: SignIn
) -> None:
    began = allowed(web, terminal, sign_in("lena"))
    DeviceGrant.objects.filter(pk=row(began).pk).update(expires=timezone.now() - timedelta(seconds=1))
    assert refusal(terminal.poll(began["device_code"])) == (400, "expired_token")


def test_old_codes_are_forgotten_when_a_new_one_is_given(web: World, terminal: Terminal) -> None:
    old = row(terminal.began())
    DeviceGrant.objects.filter(pk=old.pk).update(expires=timezone.now() - timedelta(hours=2))
    terminal.began()
    assert not DeviceGrant.objects.filter(pk=old.pk).exists()


def test_a_no_is_heard_and_recorded(web: World, terminal: Terminal, sign_in: SignIn) -> None:
    began = terminal.began()
    said = answer(sign_in("lena"), began["user_code"], web.tenant.pk, say="deny")
    assert said.status_code == 302
    assert refusal(terminal.poll(began["device_code"])) == (400, "access_denied")
    assert not Agent.objects.filter(application__client_id=terminal.client_id).exists()
    assert [event.kind for event in told(web.tenant.pk, "consent.refused")] == ["consent.refused"]


# --- attacks ------------------------------------------------------------------------------------------------


def test_a_code_is_good_once_and_its_replay_ends_what_came_of_it(
    web: World, terminal: Terminal, sign_in: SignIn
) -> None:
    began = allowed(web, terminal, sign_in("lena"))
    token = terminal.poll(began["device_code"]).json()["access_token"]
    assert enters(web, token).tenant_id == web.tenant.pk
    assert refusal(terminal.poll(began["device_code"])) == (400, "invalid_grant")
    with pytest.raises(TokenRefused):
        enters(web, token)
    assert [event.kind for event in told(web.tenant.pk, "token.replayed")] == ["token.replayed"]
    assert refusal(terminal.poll(began["device_code"])) == (400, "invalid_grant")
    assert len(told(web.tenant.pk, "token.replayed")) == 1


def test_a_code_is_worth_nothing_in_another_programs_hands(
    web: World, terminal: Terminal, sign_in: SignIn
) -> None:
    with web.processes.acting_as("migrator"):
        thief = Terminal(agents.add_program("Thief").client_id)
    began = terminal.began()
    assert refusal(thief.poll(began["device_code"])) == (400, "invalid_grant")
    answer(sign_in("lena"), began["user_code"], web.tenant.pk)
    assert refusal(thief.poll(began["device_code"])) == (400, "invalid_grant")
    assert terminal.poll(began["device_code"]).status_code == 200


@pytest.mark.parametrize("code", ["", "x", "x" * 5000, "é", "1'; DROP TABLE identity_devicegrant; --"])
def test_a_code_that_was_never_given_is_refused_in_words(web: World, terminal: Terminal, code: str) -> None:
    polled = terminal.poll(code)
    assert polled.status_code == 400
    assert polled.json()["error"] in ("invalid_grant", "invalid_request")


def test_a_request_without_a_code_is_refused_in_words(web: World, terminal: Terminal) -> None:
    """The library would answer 500."""
    assert refusal(terminal.poll("x", device_code=None)) == (400, "invalid_request")


@pytest.mark.parametrize("field", ["client_id", "scope", "resource", "device_code"])
def test_a_nul_character_is_refused_in_words(web: World, terminal: Terminal, field: str) -> None:
    assert refusal(terminal.begin(**{field: "x\0"})) == (400, "invalid_request")
    assert refusal(terminal.poll("x", **{field: "x\0"})) == (400, "invalid_request")


def test_the_code_is_kept_as_a_hash(web: World, terminal: Terminal) -> None:
    began = terminal.began()
    stored = DeviceGrant.objects.filter(user_code=began["user_code"]).values().get()
    assert began["device_code"] not in str(stored)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "nobody"}, "invalid_request"),
        ({"client_id": None}, "invalid_request"),
        ({"scope": "mcp:approve"}, "invalid_scope"),
        ({"scope": "mcp:read offline_access"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"resource": f"{settings.DOOR_URL}/"}, "invalid_target"),
    ],
)
def test_no_code_is_given_for_what_no_token_would_be(
    web: World, terminal: Terminal, changes: dict[str, Any], error: str
) -> None:
    began = terminal.begin(**changes)
    assert began.status_code in (400, 401)
    assert (began.json()["error"], began["Cache-Control"]) == (error, "no-store")
    assert not DeviceGrant.objects.filter(client_id=terminal.client_id).exists()


def test_only_programs_that_were_registered_for_it_get_a_code(web: World, program: Program) -> None:
    assert refusal(Terminal(program.client_id).begin()) == (400, "unauthorized_client")
    headless = Terminal(web.agent.client_id)
    assert headless.begin().status_code in (400, 401)
    assert not DeviceGrant.objects.filter(client_id__in=[program.client_id, headless.client_id]).exists()


def test_a_program_of_another_grant_can_not_fetch_with_a_code(web: World, program: Program) -> None:
    assert refusal(Terminal(program.client_id).poll("x")) == (400, "unauthorized_client")


def test_looking_at_a_code_binds_it_to_nobody(web: World, terminal: Terminal, sign_in: SignIn) -> None:
    """The library would bind it to whoever looked last, and take it from who is reading the page."""
    began = terminal.began()
    for name in ("lena", "gus"):
        assert sign_in(name).post("/device/", {"user_code": began["user_code"]}).status_code == 200
        assert sign_in(name).get(f"/device/?user_code={began['user_code']}").status_code == 200
    assert row(began).user_id is None
    assert row(began).status == DeviceGrant.AUTHORIZATION_PENDING
    assert answer(sign_in("lena"), began["user_code"], web.tenant.pk).status_code == 302


def test_a_code_is_answered_once(web: World, terminal: Terminal, sign_in: SignIn) -> None:
    began = terminal.began()
    assert answer(sign_in("lena"), began["user_code"], web.tenant.pk).status_code == 302
    for name, tenant, say in (
        ("mara", web.tenant, "allow"),
        ("gus", web.other, "allow"),
        ("lena", web.tenant, "deny"),
    ):
        assert answer(sign_in(name), began["user_code"], tenant.pk, say).status_code == 422
    token = terminal.poll(began["device_code"]).json()["access_token"]
    assert enters(web, token).owner_id == web.people["lena"].pk
    assert len(told(web.tenant.pk, "agent.connected")) == 1
    assert told(web.other.pk, "agent.connected") == told(web.tenant.pk, "consent.refused") == []


def test_two_answers_at_once_are_one(web: World, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second has looked before the first was given."""
    began = terminal.began()
    both_saw = device.waiting(began["user_code"])
    device.allow(began["user_code"], by=web.people["lena"], tenant_id=web.tenant.pk)
    monkeypatch.setattr(device, "waiting", lambda _: both_saw)
    with pytest.raises(CodeUnknown):
        device.allow(began["user_code"], by=web.people["mara"], tenant_id=web.tenant.pk)
    assert row(began).user_id == web.people["lena"].pk
    assert len(told(web.tenant.pk, "agent.connected")) == 1
    assert not Agent.objects.filter(on_behalf_of=web.people["mara"]).exists()


def test_of_polls_at_the_same_time_one_gets_the_token(
    web: World, terminal: Terminal, sign_in: SignIn
) -> None:
    began = allowed(web, terminal, sign_in("lena"))

    def poll(_: int) -> tuple[int, str]:
        try:
            polled = terminal.poll(began["device_code"])
            return polled.status_code, polled.json().get("error", "")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(poll, range(4)))
    assert set(answers) <= {(200, ""), (400, "invalid_grant")}
    assert answers.count((200, "")) == 1


@pytest.mark.parametrize("tenant", ["foreign", "missing", "nonsense"])
def test_nobody_connects_a_terminal_in_a_company_that_is_not_theirs(
    web: World, terminal: Terminal, sign_in: SignIn, tenant: str
) -> None:
    named = {"foreign": str(web.other.pk), "missing": str(uuid4()), "nonsense": "'--"}[tenant]
    began = terminal.began()
    assert answer(sign_in("lena"), began["user_code"], named).status_code == 404
    assert row(began).status == DeviceGrant.AUTHORIZATION_PENDING
    assert not Agent.objects.filter(application__client_id=terminal.client_id).exists()
    assert "access.denied" in web.events()


def test_a_program_of_one_company_is_connected_by_nobody_of_another(
    web: World, terminal: Terminal, sign_in: SignIn
) -> None:
    with web.processes.acting_as("migrator"):
        Application.objects.filter(client_id=terminal.client_id).update(tenant=web.other)
    began = terminal.began()
    assert sign_in("lena").post("/device/", {"user_code": began["user_code"]}).status_code == 422
    assert answer(sign_in("lena"), began["user_code"], web.tenant.pk).status_code == 404


def test_who_guesses_codes_is_stopped_after_a_few(web: World, terminal: Terminal, sign_in: SignIn) -> None:
    """RFC 8628, section 5.1. Pages and answers count together, and another person is not affected."""
    began, mallory = terminal.began(), sign_in("mara")
    for guess in range(10):
        assert mallory.post("/device/", {"user_code": f"BBBB-BBB{device.ALPHABET[guess]}"}).status_code == 422
        assert answer(mallory, "CCCC-CCCC", web.tenant.pk).status_code == 422
    stopped = mallory.post("/device/", {"user_code": began["user_code"]})
    assert (stopped.status_code, "too many codes" in stopped.content.decode()) == (429, True)
    assert answer(mallory, began["user_code"], web.tenant.pk).status_code == 429
    assert row(began).status == DeviceGrant.AUTHORIZATION_PENDING
    assert answer(sign_in("lena"), began["user_code"], web.tenant.pk).status_code == 302


def test_one_address_begins_no_end_of_codes(web: World, terminal: Terminal) -> None:
    answers = [terminal.begin().status_code for _ in range(302)]
    assert answers == [200] * 300 + [429] * 2


def test_codes_are_hard_to_guess_and_easy_to_type() -> None:
    codes = {device.new_user_code() for _ in range(500)}
    assert len(codes) == 500
    assert all(len(code) == 9 and code[4] == "-" for code in codes)
    assert all(set(code) <= {*device.ALPHABET, "-"} for code in codes)
    assert len(device.ALPHABET) ** 8 > 2**34


@pytest.mark.parametrize("typed", ["", "x", "\0", "A" * 100_000, "<script>", "\u202eWDJB-MJHT"])
def test_whatever_is_typed_gets_an_answer(web: World, sign_in: SignIn, typed: str) -> None:
    browser = sign_in("lena")
    for page in (
        browser.get("/device/", {"user_code": typed[:2000]}),
        browser.post("/device/", {"user_code": typed}),
        answer(browser, typed, web.tenant.pk),
    ):
        assert page.status_code in (200, 422)
        assert "<script>" not in page.content.decode()


def test_an_answer_comes_from_our_own_form(web: World, terminal: Terminal) -> None:
    began, browser = terminal.began(), Client(enforce_csrf_checks=True)
    browser.force_login(web.people["lena"])
    for path in ("/device/", "/device/answer/"):
        form = {"user_code": began["user_code"], "answer": "allow", "tenant": str(web.tenant.pk)}
        assert browser.post(path, form).status_code == 403
    assert row(began).status == DeviceGrant.AUTHORIZATION_PENDING


def test_a_get_answers_nothing(web: World, terminal: Terminal, sign_in: SignIn) -> None:
    began = terminal.began()
    query = f"?user_code={began['user_code']}&answer=allow&tenant={web.tenant.pk}"
    for path in ("/device/", "/device/answer/"):
        assert sign_in("lena").get(path + query).status_code in (200, 302)
    assert row(began).status == DeviceGrant.AUTHORIZATION_PENDING


def test_an_agent_that_an_operator_removed_is_not_connected_again(
    web: World, terminal: Terminal, sign_in: SignIn
) -> None:
    began = allowed(web, terminal, sign_in("lena"))
    agent = Agent.objects.get(application__client_id=terminal.client_id)
    with web.processes.acting_as("migrator"):
        agents.remove_agent(agent)
    assert refusal(terminal.poll(began["device_code"])) == (400, "invalid_grant")
    refused = answer(sign_in("lena"), terminal.began()["user_code"], web.tenant.pk)
    assert (refused.status_code, "switched off by an operator" in refused.content.decode()) == (403, True)


def test_a_yes_without_its_event_connects_nothing(
    web: World, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = terminal.began()
    break_the_trail(monkeypatch, connect)
    for verb in (device.allow, device.deny):
        with pytest.raises(RuntimeError, match="the trail is full"):
            verb(began["user_code"], by=web.people["lena"], tenant_id=web.tenant.pk)
    assert row(began).status == DeviceGrant.AUTHORIZATION_PENDING
    assert not Agent.objects.filter(application__client_id=terminal.client_id).exists()


def test_a_disconnected_terminal_gets_no_token_for_an_old_yes(
    web: World, terminal: Terminal, sign_in: SignIn
) -> None:
    began = allowed(web, terminal, sign_in("lena"))
    agent = Agent.objects.get(application__client_id=terminal.client_id)
    connect.disconnect(agent.pk, by=web.people["lena"], tenant_id=web.tenant.pk)
    assert refusal(terminal.poll(began["device_code"])) == (400, "invalid_grant")
