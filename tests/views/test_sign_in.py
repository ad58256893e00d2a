"""Signing in and out, and what the trail keeps of it."""

import json
import logging

import pytest
from django.test import Client

from approvals.audit.models import Event, Personal
from approvals.database import tenant_scope
from approvals.identity.models import Tenant
from approvals.views import sessions
from tests.views.conftest import SignIn, add_role
from tests.world import World

PASSWORD = "demo-orchard-tandem"
LOGIN = "/accounts/login/"


@pytest.fixture
def lena(web: World) -> str:
    """Lena's address; she has a password."""
    with web.processes.acting_as("migrator"):
        web.people["lena"].set_password(PASSWORD)
        web.people["lena"].save()
    return web.people["lena"].email


def try_to(email: str, password: str, *, where: str = LOGIN) -> tuple[Client, int]:
    client = Client()
    return client, client.post(where, {"login": email, "password": password}).status_code


def events(tenant: Tenant, kind: str) -> list[Event]:
    with tenant_scope(tenant.pk):
        return list(Event.objects.filter(tenant_id=tenant.pk, kind=kind))


def personal(event: Event) -> dict[str, str]:
    with tenant_scope(event.tenant_id):
        return dict(Personal.objects.filter(event_id=event.id).values_list("field", "value"))


def test_the_right_password_opens_the_queue(web: World, lena: str) -> None:
    client, status = try_to(lena, PASSWORD)
    assert status == 302
    assert client.get("/").status_code == 200


def test_the_wrong_password_opens_nothing(web: World, lena: str) -> None:
    client, status = try_to(lena, "demo-wrong")
    assert status == 200
    assert client.get("/").status_code == 302


def test_signing_in_leads_to_the_page_that_was_wanted(web: World, lena: str) -> None:
    client = Client()
    wanted = client.get("/decided/")["Location"]
    answer = client.post(wanted, {"login": lena, "password": PASSWORD})
    assert answer["Location"] == "/decided/"


def test_signing_in_never_leads_to_another_site(web: World, lena: str) -> None:
    answer = Client().post(f"{LOGIN}?next=https://evil.example/", {"login": lena, "password": PASSWORD})
    assert answer["Location"] == "/"


def test_a_sign_in_is_on_the_trail_of_each_company_of_the_person(web: World, lena: str) -> None:
    add_role(web, "lena", web.other, "support_lead")
    try_to(lena, PASSWORD)
    for tenant in (web.tenant, web.other):
        (event,) = events(tenant, "session.signed_in")
        assert event.actor_id == str(web.people["lena"].pk)
        assert "Lena" not in event.text
        assert personal(event) == {"name": "Lena"}


def test_a_refused_sign_in_keeps_the_address_erasable_and_no_password(web: World, lena: str) -> None:
    try_to(lena.upper(), "demo-wrong-password")
    (event,) = events(web.tenant, "session.sign_in_failed")
    assert event.actor_kind == "system"
    assert json.loads(event.text)["data"] == {"person_id": str(web.people["lena"].pk)}
    assert personal(event) == {"email": lena}
    assert "demo-wrong-password" not in event.text


def test_an_unknown_address_leaves_a_log_line_that_does_not_name_it(
    web: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger=sessions.logger.name):
        _, status = try_to("nobody@example.com", "demo-wrong-password")
    assert status == 200
    (line,) = [record.getMessage() for record in caplog.records if record.name == sessions.logger.name]
    assert "nobody@example.com" not in line
    assert "demo-wrong-password" not in caplog.text


def test_unknown_address_and_wrong_password_read_alike(web: World, lena: str) -> None:
    def words(email: str) -> str:
        answer = Client().post(LOGIN, {"login": email, "password": "demo-wrong"}).content.decode()
        return answer.split('role="alert"')[1].split("</div>")[0]

    assert words(lena) == words("nobody@example.com")


def test_a_sign_in_without_its_event_does_not_happen(
    web: World, lena: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the trail cannot be written")

    monkeypatch.setattr(sessions, "record", broken)
    client = Client(raise_request_exception=False)
    assert client.post(LOGIN, {"login": lena, "password": PASSWORD}).status_code == 500
    assert client.get("/").status_code == 302


def test_too_many_wrong_passwords_are_stopped(web: World, lena: str) -> None:
    for _ in range(12):
        answer = Client().post(LOGIN, {"login": lena, "password": "demo-wrong"})
    assert "Too many failed login attempts" in answer.content.decode()
    _, status = try_to(lena, PASSWORD)
    assert status == 200


def test_sign_up_is_closed(web: World) -> None:
    body = {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}
    for answer in (Client().get("/accounts/signup/"), Client().post("/accounts/signup/", body)):
        assert "Sign-up is closed" in answer.content.decode()
    _, status = try_to("new@example.com", PASSWORD)
    assert status == 200


def test_signing_out_takes_a_post(web: World, sign_in: SignIn) -> None:
    client = sign_in("lena")
    assert "Sign out?" in client.get("/accounts/logout/").content.decode()
    assert client.get("/").status_code == 200
    assert client.post("/accounts/logout/")["Location"] == LOGIN
    assert client.get("/").status_code == 302
