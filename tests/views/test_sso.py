"""Signing in through the company's own issuer, which is a real one here: who gets in, and what proves somebody anew."""

import html
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from allauth.account.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.test import Client

from approvals import judge
from approvals.database import tenant_scope
from approvals.identity.company import known_by
from approvals.identity.models import Person
from approvals.models import Vote
from approvals.views import sessions
from tests.identity.issuing import ISSUER
from tests.identity.provider import CLIENT, SECRET, Company, company
from tests.people.asking import hire
from tests.proving import rule_asks_for_proof
from tests.scan.known import secret
from tests.views.conftest import SignIn, add_role
from tests.world import World

SSO = "/accounts/sso/"
AGAIN = "/accounts/sso/again/"


@pytest.fixture
def issuer(web: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """The company's issuer, which vouches for the people of the world's tenant, and signs everybody in as Lena."""
    secret("the secret of the SSO client", SECRET)
    with company() as running:
        for name, value in {
            "SSO_ISSUER": running.url,
            "SSO_CLIENT_ID": CLIENT,
            "SSO_CLIENT_SECRET": SECRET,
            "SSO_NAME": "Acme Login",
            "SSO_TENANTS": [web.tenant.slug],
        }.items():
            monkeypatch.setattr(settings, name, value)
        running.who = {"sub": "lena-1", "email": web.people["lena"].email, "email_verified": True}
        yield running


def go(client: Client, begin: str = SSO, **body: str) -> Any:
    """From a button of ours to the issuer and back: the answer of our callback."""
    led = client.post(begin, body)
    if led.status_code != 200 or "On your way" not in led.content.decode():
        return led
    found = re.search(r'id="there" href="([^"]+)"', led.content.decode())
    assert found
    back = httpx.get(html.unescape(found[1]), trust_env=False)
    return client.get(back.headers["Location"].removeprefix(settings.PUBLIC_URL))


def is_in(client: Client) -> bool:
    return bool(client.get("/").status_code == 200)


def linked() -> list[tuple[str, dict[str, Any]]]:
    return list(SocialAccount.objects.values_list("uid", "extra_data"))


def test_a_person_who_was_added_signs_in_and_is_tied_to_the_issuers_subject(
    web: World, issuer: Company
) -> None:
    client = Client()
    assert "Sign in with Acme Login" in client.get("/accounts/login/").content.decode()
    answer = go(client, next="/decided/")
    assert (answer.status_code, answer["Location"]) == (302, "/decided/")
    assert is_in(client)
    account = SocialAccount.objects.get(user=web.people["lena"])
    assert (account.uid, account.extra_data) == ("lena-1", {})
    assert [kind for kind in web.events() if kind.startswith(("session", "person"))] == [
        "person.sso_linked", "session.signed_in",
    ]  # fmt: skip
    (asked,) = issuer.asked
    assert {"state", "nonce", "code_challenge"} <= set(asked)
    assert asked["code_challenge_method"] == "S256"
    # From now on by the subject, whatever the address is called there.
    issuer.who = {"sub": "lena-1"}
    assert go(other := Client()).status_code == 302
    assert is_in(other)


def from_now(said: dict[str, Any]) -> dict[str, Any]:
    """With moments for what is told as a distance from now: tests are named before they run."""
    return {
        name: int(time.time() + value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in said.items()
    }


def test_an_address_that_only_becomes_somebodys_in_lower_case_is_nobodys(web: World) -> None:
    hire(web, "karl", "support_lead")
    email = web.people["karl"].email
    assert known_by({"email": email.upper(), "email_verified": True}) == web.people["karl"]
    kelvin = email.replace("k", "\N{KELVIN SIGN}", 1)
    assert kelvin.lower() == email
    assert known_by({"email": kelvin, "email_verified": True}) is None


@pytest.mark.parametrize(
    "said",
    [
        {"email": "nobody@example.com"},
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "true"},
        {"email": None},
        {"iss": ISSUER},
        {"aud": "another-client"},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"nonce": "of another session"},
        {"nonce": None},
        {"exp": timedelta(seconds=-60)},
        {"exp": None},
        {"iat": None},
        {"sub": None},
    ],
    ids=str,
)
def test_nobody_else_and_nothing_less_gets_in(web: World, issuer: Company, said: dict[str, Any]) -> None:
    issuer.said = from_now(said)
    people = Person.objects.count()
    client = Client()
    assert go(client).status_code in (403, 502)
    assert not is_in(client)
    assert Person.objects.count() == people
    assert not SocialAccount.objects.filter(user=web.people["lena"]).exists()


def test_a_token_that_the_issuer_did_not_sign_lets_nobody_in(web: World, issuer: Company) -> None:
    issuer.issuer.add_key("RS256", "unpublished", publish=False)
    issuer.kid = "unpublished"
    client = Client()
    assert go(client).status_code == 502
    assert not is_in(client)


def test_an_issuer_says_nothing_about_people_of_another_company(web: World, issuer: Company) -> None:
    issuer.who = {"sub": "gus-1", "email": web.people["gus"].email, "email_verified": True}
    client = Client()
    assert go(client).status_code == 403
    add_role(web, "lena", web.other, "support_lead")  # nor about somebody who is there, too
    issuer.who = {"sub": "lena-1", "email": web.people["lena"].email, "email_verified": True}
    assert go(client).status_code == 403
    assert not is_in(client)
    assert not SocialAccount.objects.filter(user__in=[web.people["gus"], web.people["lena"]]).exists()


def test_whoever_has_the_address_later_is_somebody_else(web: World, issuer: Company) -> None:
    go(Client())
    issuer.who["sub"] = "lena-2"
    client = Client()
    assert go(client).status_code == 403
    assert not is_in(client)
    assert SocialAccount.objects.get(user=web.people["lena"]).uid == "lena-1"


def test_a_person_who_was_switched_off_or_has_left_gets_in_no_more(web: World, issuer: Company) -> None:
    go(Client())
    with web.processes.acting_as("migrator"):
        Person.objects.filter(pk=web.people["lena"].pk).update(is_active=False)
    client = Client()
    assert go(client).status_code == 403
    assert not is_in(client)


def test_a_code_is_for_the_session_that_asked(web: World, issuer: Company) -> None:
    attacker, victim = Client(), Client()
    led = attacker.post(SSO).content.decode()
    there = html.unescape(re.search(r'id="there" href="([^"]+)"', led)[1])  # type: ignore[index]
    back = httpx.get(there, trust_env=False).headers["Location"].removeprefix(settings.PUBLIC_URL)
    assert victim.get(back).status_code in (403, 502)
    assert not is_in(victim)


def test_tying_without_its_event_does_not_happen(
    web: World, issuer: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the trail cannot be written")

    monkeypatch.setattr(sessions, "record", broken)
    client = Client(raise_request_exception=False)
    assert go(client).status_code == 500
    assert not SocialAccount.objects.filter(user=web.people["lena"]).exists()


def test_passwords_can_be_switched_off(web: World, issuer: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    with web.processes.acting_as("migrator"):
        web.people["lena"].set_password("demo-orchard-tandem")
        web.people["lena"].save()
    monkeypatch.setattr(settings, "PASSWORD_SIGN_IN", False)
    client = Client()
    assert 'name="password"' not in client.get("/accounts/login/").content.decode()
    body = {"login": web.people["lena"].email, "password": "demo-orchard-tandem"}
    assert client.post("/accounts/login/", body).status_code == 403
    assert go(client).status_code == 302
    assert client.post("/accounts/reauthenticate/", {"password": "demo-orchard-tandem"})[
        "Location"
    ].startswith(AGAIN)


def test_the_issuer_is_asked_to_ask_again_where_a_rule_wants_a_proof(
    web: World, issuer: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PASSWORD_SIGN_IN", False)
    rule_asks_for_proof(web)
    request, client = web.submit(), Client()
    go(client)
    page = f"/requests/{request.pk}/"
    body = {"decision": "approve", "comment": "Fine.", "seen": judge.seen(request)}
    led = client.post(f"{page}decide/", body)  # having signed in there is no proof: that may be long ago
    assert led["Location"].startswith(AGAIN)
    assert "Use Acme Login" in client.get(led["Location"]).content.decode()
    assert go(client, AGAIN, next=page)["Location"] == page
    assert (issuer.asked[-1]["prompt"], issuer.asked[-1]["max_age"]) == ("login", "0")
    assert client.post(f"{page}decide/", body)["Location"] == page
    with tenant_scope(web.tenant.pk):
        assert Vote.objects.get(request=request).proof == "sso"


@pytest.mark.parametrize(
    "said",
    [
        {"auth_time": timedelta(seconds=-600)},  # it did not ask
        {"auth_time": None},
        {"auth_time": "now"},
        {"auth_time": timedelta(days=1)},
        {"sub": "mara-1"},  # somebody else is sitting there
    ],
    ids=str,
)
def test_nothing_less_than_the_same_person_asked_now_proves_anything(
    web: World, issuer: Company, said: dict[str, Any]
) -> None:
    rule_asks_for_proof(web)
    request, client = web.submit(), Client()
    go(client)
    issuer.said = from_now(said)
    assert go(client, AGAIN).status_code == 403
    body = {"decision": "approve", "comment": "Fine.", "seen": judge.seen(request)}
    answer = client.post(f"/requests/{request.pk}/decide/", body)
    assert answer["Location"].startswith("/accounts/")
    assert web.status(request) == "pending"
    assert is_in(client)  # and the session goes on as it was


def test_an_issuer_proves_nothing_of_people_of_another_company(web: World, issuer: Company) -> None:
    """Somebody whom it let in once, and who has joined a company that it says nothing about."""
    client = Client()
    go(client)
    assert go(client, AGAIN)["Location"] == "/"
    add_role(web, "lena", web.other, "support_lead")
    assert go(client, AGAIN).status_code == 403
    with web.processes.acting_as("web"):
        methods = get_adapter().get_reauthentication_methods(web.people["lena"])
    assert "sso" not in {method["id"] for method in methods}


def test_an_issuer_that_is_away_is_said_and_lets_nobody_in(
    web: World, issuer: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SSO_ISSUER", "http://127.0.0.1:1")
    answer = Client().post(SSO)
    assert answer.status_code == 502
    assert "You are not let in" in answer.content.decode()


def test_without_the_setting_there_is_no_such_way(web: World, sign_in: SignIn) -> None:
    assert Client().post(SSO).status_code == 404
    assert Client().get("/accounts/sso/callback/?code=x&state=y").status_code == 404
    assert sign_in("lena").get(AGAIN).status_code == 404
    assert urlsplit(SSO).path not in Client().get("/accounts/login/").content.decode()


@pytest.mark.parametrize("process", ["door", "worker", "sweeper"])
def test_no_other_process_sees_who_people_are_there(web: World, process: str) -> None:
    with web.processes.cursor(process) as shell, pytest.raises(Exception, match="permission denied"):
        shell.execute("SELECT * FROM socialaccount_socialaccount")
