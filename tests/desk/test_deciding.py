"""Deciding in two actions: reasons to deny as quick picks, and a proof typed beside the decision."""

import re
from typing import Any

import pytest
from django.test import Client

from approvals import judge
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Vote
from approvals.views.reviewer import DENIALS
from tests.proving import add_app, rule_asks_for_proof, session_proves
from tests.views.conftest import SignIn, forget_counts
from tests.views.test_step_up_page import PASSWORD
from tests.world import World

COMMENT = "Checked with the warehouse."


@pytest.fixture
def asked(web: World) -> ApprovalRequest:
    """One whose rule asks for a proof."""
    with web.processes.acting_as("migrator"):
        web.people["lena"].set_password(PASSWORD)
        web.people["lena"].save()
    rule_asks_for_proof(web)
    return web.submit()


def decide(client: Client, request: ApprovalRequest, decision: str = "approve", **more: str) -> Any:
    body = {"decision": decision, "seen": judge.seen(request), "comment": "", **more}
    return client.post(f"/requests/{request.pk}/decide/", body)


def votes(request: ApprovalRequest) -> list[tuple[str, str, str]]:
    with tenant_scope(request.tenant_id):
        return list(Vote.objects.filter(request=request).values_list("decision", "comment", "proof"))


@pytest.mark.parametrize("reason", DENIALS)
def test_a_reason_is_enough_to_deny(web: World, sign_in: SignIn, reason: str) -> None:
    request = web.submit()
    assert decide(sign_in("lena"), request, "deny", because=reason).status_code == 302
    assert votes(request) == [("deny", DENIALS[reason], "")]
    assert web.reload(request).outcome == DENIALS[reason]


def test_the_comment_follows_the_reason(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    decide(sign_in("lena"), request, "deny", because="amount", comment=f" {COMMENT} ")
    assert votes(request) == [("deny", f"{DENIALS['amount']} {COMMENT}", "")]


def test_a_reason_to_deny_and_approve_decide_nothing(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    refused = decide(sign_in("lena"), request, "approve", because="amount", comment=COMMENT)
    page = refused.content.decode()
    assert refused.status_code == 422
    assert "You chose a reason to deny it, and pressed Approve." in page
    assert COMMENT in page
    assert 'value="amount" checked' in page
    assert (web.status(request), votes(request)) == ("pending", [])


def test_a_reason_that_is_none_of_ours_is_no_form_of_ours(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    assert decide(sign_in("lena"), request, "deny", because="whatever").status_code == 400
    assert votes(request) == []


def test_a_code_beside_the_decision_proves_and_decides_in_one_step(
    web: World, sign_in: SignIn, asked: ApprovalRequest
) -> None:
    code, lena = add_app(web, "lena"), sign_in("lena")
    session_proves(lena, web, "lena", "password")
    assert 'name="code"' in lena.get(f"/requests/{asked.pk}/").content.decode()
    assert decide(lena, asked, code=code())["Location"] == f"/requests/{asked.pk}/"
    assert votes(asked) == [("approve", "", "totp")]
    assert "session.proved" in web.events()


def test_so_does_the_password_where_there_is_no_second_factor(
    web: World, sign_in: SignIn, asked: ApprovalRequest
) -> None:
    lena = sign_in("lena")
    assert 'name="password"' in lena.get(f"/requests/{asked.pk}/").content.decode()
    assert decide(lena, asked, password=PASSWORD)["Location"] == f"/requests/{asked.pk}/"
    assert votes(asked) == [("approve", "", "password")]


def test_the_password_proves_nothing_where_there_is_a_second_factor(
    web: World, sign_in: SignIn, asked: ApprovalRequest
) -> None:
    add_app(web, "lena")
    lena = sign_in("lena")
    session_proves(lena, web, "lena", "password")
    assert decide(lena, asked, password=PASSWORD)["Location"].startswith("/accounts/security/prove/")
    assert votes(asked) == []


@pytest.mark.parametrize("field", ["code", "password"])
def test_a_wrong_proof_decides_nothing_and_keeps_the_comment(
    web: World, sign_in: SignIn, asked: ApprovalRequest, field: str
) -> None:
    if field == "code":
        add_app(web, "lena")
    lena = sign_in("lena")
    if field == "code":
        session_proves(lena, web, "lena", "password")
    refused = decide(lena, asked, **{field: "000000", "comment": COMMENT})
    page = refused.content.decode()
    assert refused.status_code == 422
    assert "You did not prove who you are, so nothing was decided." in page
    assert COMMENT in page
    assert "000000" not in page
    assert votes(asked) == []


def test_guessing_beside_the_decision_is_slowed_down_too(
    web: World, sign_in: SignIn, asked: ApprovalRequest
) -> None:
    forget_counts()
    lena = sign_in("lena")
    answers = [decide(lena, asked, password=f"guess {number}") for number in range(12)]
    assert any("Too many" in answer.content.decode() for answer in answers)
    assert decide(lena, asked, password=PASSWORD).status_code == 422
    assert votes(asked) == []


@pytest.mark.parametrize(("comment", "most"), [("x" * 990, 975), ("x" * 1001, 1000)])
def test_too_long_a_comment_says_what_fits_and_keeps_the_reason(
    web: World, sign_in: SignIn, comment: str, most: int
) -> None:
    request = web.submit()
    answer = decide(sign_in("lena"), request, "deny", because="amount", comment=comment)
    shown = answer.content.decode()
    assert answer.status_code == 422
    assert f"at most {most:,} characters" in shown
    assert re.search(r'value="amount"[^>]* checked', shown) and comment in shown
    assert votes(request) == []
