"""Asking for changes on the request's page, and what the page shows of the answer."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from approvals import decide, judge
from approvals.models import ApprovalRequest
from tests import courses
from tests.views.conftest import SignIn
from tests.views.test_what_is_shown import text_of
from tests.world import World, break_the_trail

ASKED = "Refund only the shipping."


def post(client: Client, request: ApprovalRequest, **changes: Any) -> Any:
    body = {
        "seen": judge.seen(request),
        "message": ASKED,
        "field-amount_minor": "At most 9.00 USD.",
        **changes,
    }
    return client.post(f"/requests/{request.pk}/changes/", body)


def shown(client: Client, request: ApprovalRequest) -> str:
    return text_of(client.get(f"/requests/{request.pk}/").content.decode())


def test_a_reviewer_asks_and_the_page_shows_what_was_asked(web: World, sign_in: SignIn) -> None:
    request, lena = web.submit(), sign_in("lena")
    answer = post(lena, request)
    assert answer.status_code == 302
    page = shown(lena, request)
    assert "You asked the agent for changes." in page
    assert "the agent has not answered yet" in page
    assert ASKED in page and "At most 9.00 USD." in page
    assert "Asked for changes" in page
    assert (web.reload(request).changes or {})["fields"] == {"amount_minor": "At most 9.00 USD."}


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"message": "x"}, 422, "To ask for changes, say in at least 3 characters"),
        ({"message": "x" * 1001}, 422, "A comment has at most 1,000 characters."),
        ({"field-colour": "Red."}, 422, "This request has no field colour"),
        ({"field-amount_minor": "x" * 501}, 422, "at most 500 characters"),
        ({"seen": ""}, 409, "What you saw is no longer what would be approved"),
    ],
)
def test_what_was_typed_is_kept_when_it_is_refused(
    web: World, sign_in: SignIn, changes: dict[str, str], status: int, words: str
) -> None:
    request = web.submit()
    answer = post(sign_in("lena"), request, **changes)
    page = answer.content.decode()
    assert answer.status_code == status
    assert words in text_of(page)
    assert changes.get("message", ASKED) in page
    assert changes.get("field-amount_minor", "At most 9.00 USD.") in page
    assert web.status(request) == "pending"


def test_who_may_not_decide_is_offered_no_form_and_is_refused(web: World, sign_in: SignIn) -> None:
    request, otto = web.submit(), sign_in("otto")
    assert "Ask the agent for changes" not in shown(otto, request)
    refused = post(otto, request)
    assert refused.status_code == 403
    assert "Nothing was asked of the agent." in refused.content.decode()
    assert "Your decision was not taken." not in refused.content.decode()
    assert web.status(request) == "pending"


def test_another_companys_request_reads_like_a_missing_one(web: World, sign_in: SignIn) -> None:
    request, gus = web.submit(), sign_in("gus")
    foreign = post(gus, request)
    missing = gus.post(f"/requests/{uuid4()}/changes/", {"seen": "", "message": ASKED})
    assert foreign.status_code == missing.status_code == 404
    assert web.status(request) == "pending"


def test_a_get_and_a_forged_form_change_nothing(web: World, sign_in: SignIn) -> None:
    request, lena = web.submit(), sign_in("lena")
    assert lena.get(f"/requests/{request.pk}/changes/").status_code == 302
    assert post(lena, request, message="nul\0byte").status_code == 400
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(web.people["lena"])
    assert post(strict, request).status_code == 403
    assert web.status(request) == "pending"


def test_asking_without_its_event_does_not_happen(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, lena = web.submit(), sign_in("lena")
    lena.raise_request_exception = False
    break_the_trail(monkeypatch, decide)
    assert post(lena, request).status_code == 500
    assert web.status(request) == "pending"


def test_the_answer_is_shown_as_what_changed_in_words(web: World, sign_in: SignIn) -> None:
    request = courses.ask_for_changes(web, web.submit(), amount_minor="Less.")
    web.refund_elsewhere("pay_10001", 3000)
    courses.revise(web, request, amount_minor=900)
    page = shown(sign_in("mara"), request)
    assert "Revision 2" in page
    assert "What has changed since revision 1" in page
    assert "Lena had asked" in page and courses.REASON in page and "Less." in page
    assert "amount before: 129.00 USD 12900 now: 9.00 USD 900" in page
    assert "refunded before: 0.00 USD 0 now: 30.00 USD 3000" in page
    assert "for revision 1; it no longer counts" in page
    raw = sign_in("mara").get(f"/requests/{request.pk}/").content.decode()
    assert raw.count("<del>") == raw.count("<ins>") == page.count("before: ")


def test_a_request_that_went_stale_shows_only_the_delta(web: World, sign_in: SignIn) -> None:
    request = courses.reopen(web, courses.stale(web))
    page = shown(sign_in("lena"), request)
    assert "What was approved was no longer true" in page
    delta = page[page.index("What has changed since revision 1") : page.index("Nobody has checked them")]
    assert "refunded before: 0.00 USD 0 now: 30.00 USD 3000" in delta
    assert "paid before" not in delta


def test_a_request_that_never_changed_has_no_history(web: World, sign_in: SignIn) -> None:
    assert "What has changed" not in shown(sign_in("lena"), web.submit())


def test_hidden_characters_in_what_was_asked_are_named(web: World, sign_in: SignIn) -> None:
    request = courses.ask_for_changes(web, web.submit(), message="p\u0430y \u202eless", reason="\u200bWhy?")
    page = shown(sign_in("lena"), request)
    assert "U+202E RIGHT-TO-LEFT OVERRIDE" in page
    assert "U+0430 CYRILLIC SMALL LETTER A" in page
    assert "U+200B ZERO WIDTH SPACE" in page
