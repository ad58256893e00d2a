"""The buttons beside a decision, in the queue and on the request's page; and what order and escalation look like."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client

from approvals import claims
from policies.verdicts import Escalation, Stage
from tests.people.asking import FINANCE, LEAD, asking, away, hire, shift
from tests.people.test_urging import later, urged
from tests.views.conftest import SignIn
from tests.views.test_access import page as without_tokens
from tests.world import World

VERBS = ("claim", "take-over", "release", "revoke", "withdraw")


def text(client: Client, address: str) -> str:
    return client.get(address).content.decode()


@pytest.mark.parametrize("where", ["queue", "request"])
def test_somebody_looks_at_it_and_the_others_see_that(web: World, sign_in: SignIn, where: str) -> None:
    request = web.submit()
    lena, mara = sign_in("lena"), sign_in("mara")
    back = "/" if where == "queue" else f"/requests/{request.pk}/"
    assert "I am looking at it" in text(lena, back)
    assert lena.post(f"/requests/{request.pk}/claim/", {"from": where})["Location"] == back
    assert "You are looking at it until" in text(lena, back)
    assert "Lena is looking at it until" in text(mara, back)
    assert "Take it over" in text(mara, back)
    refused = mara.post(f"/requests/{request.pk}/claim/", {"from": where}, follow=True)
    assert "Lena is looking at this until" in refused.content.decode()
    mara.post(f"/requests/{request.pk}/take-over/", {"from": where})
    assert "You are looking at it until" in text(mara, back)
    assert (
        "You gave it back."
        in mara.post(f"/requests/{request.pk}/release/", {"from": where}, follow=True).content.decode()
    )
    assert "looking at it until" not in text(lena, back)


def test_who_may_not_decide_it_sees_who_looks_at_it_and_has_no_button(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    assert "I am looking at it" not in text(sign_in("felix"), "/")
    claims.claim(request.pk, by=web.reviewer("lena"))
    for address in ("/", f"/requests/{request.pk}/"):
        shown = text(sign_in("felix"), address)
        assert "Lena is looking at it until" in shown
        assert "Take it over" not in shown


@pytest.mark.parametrize("verb", VERBS)
def test_another_companys_request_reads_like_a_missing_one(web: World, sign_in: SignIn, verb: str) -> None:
    request, missing, gus = web.submit(), uuid4(), sign_in("gus")
    body = {"reason": "It is not mine."}
    foreign = gus.post(f"/requests/{request.pk}/{verb}/", body)
    nobodys = gus.post(f"/requests/{missing}/{verb}/", body)
    assert foreign.status_code == nobodys.status_code == 404
    assert without_tokens(foreign).replace(str(request.pk), "ID") == without_tokens(nobodys).replace(
        str(missing), "ID"
    )
    assert web.events(request) == ["request.created"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_get_changes_nothing_and_a_post_needs_its_token(web: World, sign_in: SignIn, verb: str) -> None:
    request = web.submit()
    address = f"/requests/{request.pk}/{verb}/"
    assert sign_in("lena").get(address)["Location"] == f"/requests/{request.pk}/"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(web.people["lena"])
    assert strict.post(address, {"reason": "Because."}).status_code == 403
    assert web.events(request) == ["request.created"]


def test_an_approval_is_taken_back_with_a_reason(web: World, sign_in: SignIn) -> None:
    request = asking(web, LEAD, cooling_off=timedelta(minutes=30))
    web.vote(request, "approve", "lena")
    mara, address = sign_in("mara"), f"/requests/{request.pk}/"
    shown = text(mara, address)
    assert "It cools off before a worker carries it out" in shown
    assert "cools off until" in shown
    assert "Take the approval back" not in text(sign_in("felix"), address)
    assert "needs a reason" in mara.post(f"{address}revoke/", {"reason": ""}, follow=True).content.decode()
    assert (
        "You took the approval back. The agent is told your reason"
        in mara.post(f"{address}revoke/", {"reason": "The parcel is lost."}, follow=True).content.decode()
    )
    assert web.status(request) == "denied"
    assert "A reviewer took the approval back" in text(mara, f"{address}trail/")


def test_the_order_is_said_in_words_and_whose_turn_it_is_not(web: World, sign_in: SignIn) -> None:
    request = asking(web, LEAD, Stage("finance", 1, step=2))
    felix = sign_in("felix")
    for address in ("/", f"/requests/{request.pk}/"):
        shown = text(felix, address)
        assert "It is not your turn yet: first support lead must agree." in shown
        rule = shown.split('aria-labelledby="rule"')[-1].split('class="needs"')[-1]
        assert rule.index("first") < rule.index("then")
    page = text(felix, f"/requests/{request.pk}/")
    assert 'value="deny"' in page
    assert 'value="approve"' not in page
    assert 'value="approve"' in text(sign_in("lena"), f"/requests/{request.pk}/")


def test_who_counts_once_with_somebody_is_told_so(web: World, sign_in: SignIn) -> None:
    request = asking(web, Stage("support_lead", 2))
    away(web, "lena", "mara")
    web.vote(request, "approve", "lena")
    page = text(sign_in("mara"), f"/requests/{request.pk}/")
    assert "together you count once" in page
    assert 'value="approve"' not in page


def test_an_escalated_request_says_so(web: World, sign_in: SignIn) -> None:
    hire(web, "hedy", "head_of_support")
    request = asking(web, FINANCE, escalation=Escalation(timedelta(hours=1), "head_of_support"))
    later(web, request, timedelta(hours=1))
    assert urged(web, request) == (True, False)
    hedy = sign_in("hedy")
    assert "Escalated" in text(hedy, "/")
    assert "You can decide this" in text(hedy, "/")
    assert "so others may decide too since" in text(hedy, f"/requests/{request.pk}/")


def test_a_deadline_that_has_passed_leaves_nothing_to_look_at(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    shift(web, request, expires_at=request.created_at)
    assert "I am looking at it" not in text(sign_in("lena"), f"/requests/{request.pk}/")
