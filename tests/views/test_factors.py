"""Second factors: enrolled after a proof, sealed at rest, shown once, on the trail or not at all."""

import re
from io import StringIO
from pathlib import Path

import pytest
from allauth.core import context
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory

from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.management.commands import remove_factors
from approvals.views import factors
from approvals.views.passkeys import ProveForm, SignInForm
from tests.proving import add_app, code_of, session_proves
from tests.views.conftest import SignIn, add_role
from tests.world import World, break_the_trail

HOME = "/accounts/security/"
APP = "/accounts/security/app/"
CODES = "/accounts/security/codes/"


@pytest.fixture
def lena(web: World, sign_in: SignIn) -> Client:
    """Lena's browser, in which she has just proved who she is."""
    client = sign_in("lena")
    session_proves(client, web, "lena")
    return client


def enrol(client: Client) -> str:
    """Adds an app through the pages; returns its secret."""
    shown = client.get(APP).content.decode()
    found = re.search(r'id="totp-key">([A-Z2-7]+)<', shown)
    assert found
    added = client.post(APP, {"code": code_of(found[1])})
    assert (added.status_code, added["Location"]) == (302, CODES)
    return found[1]


def kinds(world: World, prefix: str = "factor.") -> list[str]:
    return [kind for kind in world.events() if kind.startswith(prefix)]


def stored(world: World, name: str) -> dict[str, dict[str, object]]:
    return {one.type: one.data for one in Authenticator.objects.filter(user=world.people[name])}


def test_an_app_is_added_with_recovery_codes_and_both_are_sealed(web: World, lena: Client) -> None:
    secret = enrol(lena)
    found = stored(web, "lena")
    assert set(found) == {"totp", "recovery_codes"}
    assert secret not in str(found["totp"]["secret"])
    assert str(found["totp"]["secret"]).startswith("gAAAA")  # Fernet
    assert str(found["recovery_codes"]["seed"]).startswith("gAAAA")
    assert kinds(web) == ["factor.added", "factor.added"]


def test_recovery_codes_are_shown_once_and_by_a_post(web: World, lena: Client) -> None:
    enrol(lena)
    for _ in range(2):
        assert "Show them now" in lena.get(CODES).content.decode()
    shown = re.findall(r'<code class="code">(\d{8})</code>', lena.post(CODES).content.decode())
    assert len(shown) == 10
    again = lena.post(CODES).content.decode()
    assert "They were shown before" in again
    assert not any(code in again for code in shown)


def test_a_recovery_code_signs_in_once_in_place_of_the_app(web: World, lena: Client) -> None:
    enrol(lena)
    (code, *_) = re.findall(r'<code class="code">(\d{8})</code>', lena.post(CODES).content.decode())
    with web.processes.acting_as("migrator"):
        web.people["lena"].set_password("demo-orchard-tandem")
        web.people["lena"].save()

    def signed_in() -> bool:
        client = Client()
        body = {"login": web.people["lena"].email, "password": "demo-orchard-tandem"}
        first = client.post("/accounts/login/", body)
        assert first["Location"] == "/accounts/security/sign-in/"
        assert client.get("/").status_code == 302  # the password alone opens nothing
        client.post("/accounts/security/sign-in/", {"code": code})
        return bool(client.get("/").status_code == 200)

    assert signed_in()
    assert not signed_in()
    last = kinds(web, "session.")[-3:]
    assert last == ["session.proved", "session.signed_in", "session.proof_failed"]


@pytest.mark.parametrize("less", ["password", "sso"])
def test_nobody_changes_their_factors_by_less_than_a_factor(web: World, sign_in: SignIn, less: str) -> None:
    add_app(web, "lena")
    lena = sign_in("lena")
    session_proves(lena, web, "lena", "totp", ago=301)
    session_proves(lena, web, "lena", less)
    for path in (APP, "/accounts/security/app/remove/", "/accounts/security/passkey/", f"{CODES}new/", CODES):
        for method in ("get", "post"):
            answer = getattr(lena, method)(path)
            assert answer["Location"].startswith("/accounts/security/prove/?next="), path
    assert set(stored(web, "lena")) == {"totp", "recovery_codes"}


def test_the_last_factor_takes_the_recovery_codes_with_it(web: World, sign_in: SignIn) -> None:
    add_app(web, "lena")
    lena = sign_in("lena")
    session_proves(lena, web, "lena", "totp")
    assert lena.post("/accounts/security/app/remove/")["Location"] == HOME
    assert stored(web, "lena") == {}
    assert kinds(web) == ["factor.removed", "factor.removed"]


def test_new_codes_replace_the_old_ones(web: World, sign_in: SignIn) -> None:
    add_app(web, "lena")
    lena = sign_in("lena")
    session_proves(lena, web, "lena", "totp")
    before = stored(web, "lena")["recovery_codes"]["seed"]
    assert lena.post(f"{CODES}new/")["Location"] == CODES
    assert stored(web, "lena")["recovery_codes"]["seed"] != before
    assert kinds(web) == ["factor.removed", "factor.added"]


@pytest.mark.parametrize("path", [APP, "/accounts/security/app/remove/"])
def test_a_change_without_its_event_does_not_happen(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    lena = sign_in("lena")
    if path != APP:
        add_app(web, "lena")
    session_proves(lena, web, "lena", "totp")
    before = set(stored(web, "lena"))

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the trail cannot be written")

    monkeypatch.setattr(factors, "record", broken)
    lena.raise_request_exception = False
    body = {}
    if path == APP:
        found = re.search(r'id="totp-key">([A-Z2-7]+)<', lena.get(APP).content.decode())
        body = {"code": code_of(found[1])}  # type: ignore[index]
    assert lena.post(path, body).status_code == 500
    assert set(stored(web, "lena")) == before


def test_a_change_is_on_the_trail_of_each_company_of_the_person(web: World, lena: Client) -> None:
    add_role(web, "lena", web.other, "support_lead")
    enrol(lena)
    with tenant_scope(web.other.pk):
        told = list(Event.objects.filter(tenant_id=web.other.pk, kind="factor.added"))
    assert len(told) == 2
    assert all("Lena" not in event.text for event in told)


def test_nobody_removes_a_passkey_of_somebody_else(web: World, lena: Client) -> None:
    theirs = Authenticator.objects.create(user=web.people["gus"], type="webauthn", data={"name": "Key"})
    for pk in (theirs.pk, 10**9):
        assert lena.post(f"/accounts/security/passkey/{pk}/remove/").status_code == 404
    assert Authenticator.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize("process", ["door", "worker", "sweeper"])
def test_no_other_process_sees_a_factor(web: World, process: str) -> None:
    add_app(web, "lena")
    with web.processes.cursor(process) as shell, pytest.raises(Exception, match="permission denied"):
        shell.execute("SELECT * FROM mfa_authenticator")


def test_a_passkey_belongs_to_the_public_address_whatever_name_a_request_comes_under(
    web: World, lena: Client
) -> None:
    shown = lena.get("/accounts/security/passkey/").content.decode()
    assert '"rp": {"name": "Countersign", "id": "localhost"}' in shown
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", shown)
    for script in re.findall(r"<script[^>]*>", shown):
        assert 'src="/static/' in script or 'type="application/json"' in script


def test_having_just_signed_in_is_a_proof_for_the_library_as_for_us(web: World) -> None:
    with web.processes.acting_as("migrator"):
        web.people["lena"].set_password("demo-orchard-tandem")
        web.people["lena"].save()
    client = Client()
    client.post("/accounts/login/", {"login": web.people["lena"].email, "password": "demo-orchard-tandem"})
    assert client.get("/accounts/security/passkey/").status_code == 200
    enrol(client)


def test_an_operator_takes_lost_factors_away(web: World) -> None:
    add_app(web, "lena")
    with web.processes.acting_as("migrator"):
        call_command("remove_factors", email=web.people["lena"].email, stdout=StringIO())
        with pytest.raises(CommandError):
            call_command("remove_factors", email="nobody@example.com")
    assert stored(web, "lena") == {}
    assert kinds(web) == ["factor.removed", "factor.removed"]


def test_taking_factors_away_without_its_event_does_not_happen(
    web: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_app(web, "lena")
    break_the_trail(monkeypatch, remove_factors)
    with web.processes.acting_as("migrator"), pytest.raises(RuntimeError):
        call_command("remove_factors", email=web.people["lena"].email)
    assert set(stored(web, "lena")) == {"totp", "recovery_codes"}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        '"x"',
        '{"id": 5}',
        '{"id": "é"}',
        '{"response": {"clientDataJSON": "!!", "attestationObject": "??"}}',
        '{"id":"aa","rawId":"aa","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}',
        '{"id":"aa","rawId":"aa","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"aa",'
        '"signature":"aa"}}',
        "[" * 50_000,
    ],
    ids=range(9),
)
def test_a_passkeys_answer_that_cannot_be_read_is_a_wrong_one(web: World, lena: Client, answer: str) -> None:
    added = lena.post("/accounts/security/passkey/", {"name": "x", "credential": answer})
    assert added.status_code == 200
    assert kinds(web) == []
    key = {"name": "x", "credential": {"id": "aa"}}
    Authenticator.objects.create(user=web.people["lena"], type=Authenticator.Type.WEBAUTHN, data=key)
    for form in (SignInForm, ProveForm):
        with context.request_context(RequestFactory().post("/")):
            context.request.session = lena.session
            context.request.user = web.people["lena"]
            assert not form(user=web.people["lena"], data={"credential": answer}).is_valid()


def second_step(world: World, name: str) -> str:
    """The page that asks for the second factor, after the right password."""
    with world.processes.acting_as("migrator"):
        world.people[name].set_password("demo-orchard-tandem")
        world.people[name].save()
    client = Client()
    body = {"login": world.people[name].email, "password": "demo-orchard-tandem"}
    return client.get(client.post("/accounts/login/", body)["Location"]).content.decode()


def test_whoever_has_no_passkey_is_asked_for_a_code_alone(
    web: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_app(web, "lena")
    shown = second_step(web, "lena")
    assert "Use a passkey" not in shown
    assert "Type the code that your app shows" in shown
    Authenticator.objects.create(user=web.people["lena"], type="webauthn", data={"name": "Key"})
    # No test has a device that signs; which key it would be is asked of that alone.
    monkeypatch.setattr("allauth.mfa.webauthn.internal.auth.get_credentials", lambda user: [])
    shown = second_step(web, "lena")
    assert shown.index("Use a passkey") < shown.index("Or type the code that your app shows")
    assert re.search(r'id="passkey-trouble" hidden>', shown)


def test_what_is_hidden_is_not_shown_by_another_rule_and_a_code_is_black_on_white() -> None:
    style = (Path(__file__).resolve().parents[2] / "static/countersign.css").read_text()
    assert "[hidden] { display: none !important; }" in style
    assert re.search(r"^\.qr {[^}]* padding: [^}]* background: #fff;", style, re.MULTILINE)


def test_new_codes_are_not_said_to_be_lost_before_they_are_shown(web: World, lena: Client) -> None:
    enrol(lena)
    shown = lena.get(CODES).content.decode()
    assert "You have new recovery codes, which nobody has seen yet." in shown
    assert "be shown again" not in shown
