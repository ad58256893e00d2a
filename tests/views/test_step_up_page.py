"""Deciding under a rule that asks for a proof: what the page says, where it leads, and that it decides nothing."""

from typing import Any

import pytest
from django.test import Client

from approvals import judge
from approvals.audit.models import Event
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Vote
from tests.proving import add_app, rule_asks_for_proof, session_proves
from tests.views.conftest import SignIn, forget_counts
from tests.world import World

PASSWORD = "demo-orchard-tandem"
COMMENT = "The parcel is back; I checked with the warehouse."
BEFOREHAND = "This rule asks you to prove once more who you are"


@pytest.fixture
def asked(web: World) -> ApprovalRequest:
    with web.processes.acting_as("migrator"):
        web.people["lena"].set_password(PASSWORD)
        web.people["lena"].save()
    rule_asks_for_proof(web)
    return web.submit()


def decide(client: Client, request: ApprovalRequest, decision: str = "approve") -> Any:
    body = {"decision": decision, "comment": COMMENT, "seen": judge.seen(request)}
    return client.post(f"/requests/{request.pk}/decide/", body)


def votes(request: ApprovalRequest) -> list[str]:
    with tenant_scope(request.tenant_id):
        return list(Vote.objects.filter(request=request).values_list("proof", flat=True))


def test_the_page_says_beforehand_that_it_will_ask(
    web: World, sign_in: SignIn, asked: ApprovalRequest
) -> None:
    lena = sign_in("lena")
    page = f"/requests/{asked.pk}/"
    assert BEFOREHAND in lena.get(page).content.decode()
    session_proves(lena, web, "lena")
    assert "you proved it" in lena.get(page).content.decode()


def test_a_password_again_leads_back_with_the_comment_and_decides_nothing(
    web: World, sign_in: SignIn, asked: ApprovalRequest
) -> None:
    lena, page = sign_in("lena"), f"/requests/{asked.pk}/"
    led = decide(lena, asked)
    assert led.status_code == 302
    assert led["Location"].startswith("/accounts/reauthenticate/?next=%2Frequests%2F")
    assert votes(asked) == []
    assert "Prove who you are" in lena.get(led["Location"]).content.decode()
    wrong = lena.post(led["Location"], {"password": "demo-wrong"})
    assert wrong.status_code == 200
    back = lena.post(led["Location"], {"password": PASSWORD})
    assert (back.status_code, back["Location"]) == (302, page)
    again = lena.get(page).content.decode()
    assert COMMENT in again
    assert (web.status(asked), votes(asked)) == ("pending", [])
    assert decide(lena, asked)["Location"] == page
    assert (web.status(asked), votes(asked)) == ("approved", ["password"])
    with tenant_scope(web.tenant.pk):
        kinds = list(Event.objects.filter(kind="session.proved").values_list("actor_id", flat=True))
    assert kinds == [str(web.people["lena"].pk)]


def test_a_second_factor_is_asked_for_where_there_is_one(
    web: World, sign_in: SignIn, asked: ApprovalRequest
) -> None:
    code = add_app(web, "lena")
    lena = sign_in("lena")
    session_proves(lena, web, "lena", "password")
    led = decide(lena, asked)
    assert led["Location"].startswith("/accounts/security/prove/?next=")
    # The way by the password is closed, not only not shown.
    assert lena.post("/accounts/reauthenticate/", {"password": PASSWORD})["Location"].startswith(
        "/accounts/security/prove/"
    )
    assert decide(lena, asked)["Location"].startswith("/accounts/security/prove/")
    used = code()
    assert lena.post(led["Location"], {"code": used})["Location"] == f"/requests/{asked.pk}/"
    assert decide(lena, asked)["Location"] == f"/requests/{asked.pk}/"
    assert votes(asked) == ["totp"]


def test_a_code_is_good_once(web: World, sign_in: SignIn, asked: ApprovalRequest) -> None:
    used = add_app(web, "lena")()
    assert sign_in("lena").post("/accounts/security/prove/", {"code": used}).status_code == 302
    again = sign_in("lena").post("/accounts/security/prove/", {"code": used})
    assert again.status_code == 200
    assert "Incorrect code" in again.content.decode()


def test_a_proof_is_worth_nothing_in_another_session(
    web: World, sign_in: SignIn, asked: ApprovalRequest
) -> None:
    proved, other = sign_in("lena"), sign_in("lena")
    session_proves(proved, web, "lena")
    assert decide(other, asked)["Location"].startswith("/accounts/reauthenticate/")
    assert votes(asked) == []


def test_a_proof_of_somebody_else_is_worth_nothing(
    web: World, sign_in: SignIn, asked: ApprovalRequest
) -> None:
    lena = sign_in("lena")
    session_proves(lena, web, "mara")
    assert decide(lena, asked)["Location"].startswith("/accounts/reauthenticate/")


def test_guessing_in_a_session_is_slowed_down_and_locks_nobody_else(
    web: World, sign_in: SignIn, asked: ApprovalRequest
) -> None:
    forget_counts()
    thief, lena = sign_in("lena"), sign_in("lena")
    for _ in range(6):
        answer = thief.post("/accounts/reauthenticate/", {"password": "demo-wrong"})
    assert answer.status_code in (200, 429)
    assert thief.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code != 302
    assert lena.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302


def test_taking_an_approval_back_asks_too_and_keeps_the_reason(
    web: World, sign_in: SignIn, asked: ApprovalRequest
) -> None:
    lena, page = sign_in("lena"), f"/requests/{asked.pk}/"
    session_proves(lena, web, "lena")
    decide(lena, asked)
    with web.processes.acting_as("migrator"):
        web.people["mara"].set_password(PASSWORD)
        web.people["mara"].save()
    mara = sign_in("mara")
    led = mara.post(f"{page}revoke/", {"reason": COMMENT})
    assert led["Location"].startswith("/accounts/reauthenticate/?next=%2Frequests%2F")
    assert mara.post(led["Location"], {"password": PASSWORD})["Location"] == page
    assert COMMENT in mara.get(page).content.decode()
    assert web.status(asked) == "approved"
    mara.post(f"{page}revoke/", {"reason": COMMENT})
    assert web.status(asked) == "denied"
