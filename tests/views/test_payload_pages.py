"""What pages show of a request that is over, how its full payload is opened, and what is said when it is gone."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from approvals import erase
from approvals.models import ApprovalRequest
from tests import courses, versions
from tests.breaking import give
from tests.proving import add_app, session_proves
from tests.sealing import MARKS, MOVED, REASON, days_pass, fresh_key, keys_are, moved
from tests.views.conftest import SignIn
from tests.world import World


@pytest.fixture
def company(web: World) -> World:
    give(web, "mara", "security")
    return web


def page(client: Client, request: ApprovalRequest) -> str:
    return client.get(f"/requests/{request.pk}/").content.decode()


def post(client: Client, request: ApprovalRequest, reason: str = REASON) -> Any:
    return client.post(f"/requests/{request.pk}/payload/", {"reason": reason})


def test_a_finished_request_shows_the_mark_and_says_who_opens_the_rest(
    company: World, sign_in: SignIn
) -> None:
    request = moved(company)
    shown = page(sign_in("lena"), request)
    assert not [mark for mark in MARKS if mark in shown]
    assert "[redacted]" in shown
    assert "by break-glass reading, by somebody with the role operator" in shown
    assert "It is kept until" in shown
    assert "Open the full payload" not in shown
    assert "Open the full payload" in page(sign_in("opal"), request)


def test_the_second_factor_is_asked_for_and_the_reason_is_kept(company: World, sign_in: SignIn) -> None:
    request, opal = moved(company), sign_in("opal")
    where = f"/requests/{request.pk}/payload/"
    session_proves(opal, company, "opal", "password")
    assert "you have none" in opal.get(where).content.decode()
    refused = post(opal, request)
    assert refused.status_code == 403
    assert REASON in refused.content.decode()
    code = add_app(company, "opal")
    led = post(opal, request)
    assert led["Location"].startswith("/accounts/security/prove/?next=")
    assert opal.post(led["Location"], {"code": code()})["Location"] == where
    asked = opal.get(where).content.decode()
    assert REASON in asked
    assert not [mark for mark in MARKS if mark in asked]
    assert "payload.opened" not in company.events(request)


def test_it_is_shown_once_in_the_answer_and_kept_by_no_cache(company: World, sign_in: SignIn) -> None:
    request, opal = moved(company), sign_in("opal")
    session_proves(opal, company, "opal", "totp")
    answer = post(opal, request)
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert all(mark in shown for mark in MARKS[:5])
    assert "no-store" in answer["Cache-Control"]
    for path in (f"/requests/{request.pk}/payload/", f"/requests/{request.pk}/"):
        again = opal.get(path).content.decode()
        assert not [mark for mark in MARKS if mark in again]
    assert "<strong>Opal</strong> opened the full payload" in page(sign_in("ada"), request)
    trail = sign_in("ada").get(f"/requests/{request.pk}/trail/").content.decode()
    assert "A person opened the full payload of a finished request" in trail


def test_what_refuses_it_is_said_with_the_reason_kept(company: World, sign_in: SignIn) -> None:
    request, opal = moved(company), sign_in("opal")
    session_proves(opal, company, "opal", "totp")
    answer = post(opal, request, reason="Because.")
    assert answer.status_code == 422
    assert "Nothing was opened." in answer.content.decode()
    assert "Because." in answer.content.decode()


def test_it_is_offered_to_the_role_alone(company: World, sign_in: SignIn) -> None:
    request = moved(company)
    for name in ("lena", "ada", "mara"):
        client = sign_in(name)
        for method in ("get", "post"):
            assert getattr(client, method)(f"/requests/{request.pk}/payload/").status_code == 403


def test_another_companys_request_reads_like_a_missing_one(company: World, sign_in: SignIn) -> None:
    give(company, "gus", "operator")
    gus, request = sign_in("gus"), moved(company)
    session_proves(gus, company, "gus", "totp")
    assert gus.get(f"/requests/{request.pk}/payload/").status_code == 404
    assert post(gus, request).status_code == 404
    assert "payload.opened" not in company.events(request)


def test_what_is_open_has_nothing_to_open(company: World, sign_in: SignIn) -> None:
    request, opal = company.submit("change_shipping_address", **MOVED), sign_in("opal")
    session_proves(opal, company, "opal", "totp")
    assert (
        "whoever may see it sees all of it" in opal.get(f"/requests/{request.pk}/payload/").content.decode()
    )
    assert post(opal, request).status_code == 409
    assert MARKS[0] in page(opal, request)


def test_where_nothing_is_sensitive_nothing_is_said_to_be_left_out(company: World, sign_in: SignIn) -> None:
    asked = company.submit(
        "cancel_order", order_id="ord_10003", reason="The customer has changed their mind."
    )
    company.vote(asked, "deny", "lena", comment="Ask the customer again.")
    shown = page(sign_in("opal"), asked)
    assert "None of its fields is sensitive, so what is shown here is all of it." in shown
    assert "Open the full payload" not in shown
    assert "[redacted]" not in shown


def sweep(world: World, request: ApprovalRequest, days: int) -> None:
    days_pass(world, request, days)
    with world.processes.acting_as("sweeper"):
        for setting in erase.SINCE:
            while erase.erase_due(setting):
                pass


def test_a_payload_that_is_gone_is_said_to_be_gone(company: World, sign_in: SignIn) -> None:
    request, opal = moved(company), sign_in("opal")
    session_proves(opal, company, "opal", "totp")
    sweep(company, request, settings.FULL_PAYLOAD_DAYS + 1)
    shown = page(opal, request)
    assert "The full payload was erased when its time was over" in shown
    assert "[redacted]" in shown
    assert "Open the full payload" not in shown
    assert post(opal, request).status_code == 410
    sweep(company, request, settings.REDACTED_PAYLOAD_DAYS + 1)
    shown = page(opal, request)
    assert "was erased when its time was over" in shown
    assert "ord_10003" in shown  # the headline stays
    assert MOVED["reason"] not in shown


def test_an_activation_that_was_erased_has_a_page_still(company: World, sign_in: SignIn) -> None:
    request, opal = versions.activated(company), sign_in("opal")
    assert "What changes in the policy" in page(opal, request)
    sweep(company, request, settings.REDACTED_PAYLOAD_DAYS + 1)
    assert "was erased when its time was over" in page(opal, request)
    assert opal.get("/policy/2/").status_code == 200


def test_a_page_opens_without_the_key_and_nobody_decides(
    company: World, sign_in: SignIn, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, lena = company.submit(), sign_in("lena")
    courses.succeeded(company)
    keys_are(monkeypatch, tmp_path / "keys", fresh_key())
    assert lena.get("/").status_code == 200
    shown = page(lena, request)
    assert "none of the keys of payloads fits it" in shown
    assert 'name="decision"' not in shown
    body = {"decision": "deny", "comment": "I cannot read it.", "seen": "1:a:b:c:d"}
    assert lena.post(f"/requests/{request.pk}/decide/", body).status_code == 409
    assert company.status(request) == "pending"
