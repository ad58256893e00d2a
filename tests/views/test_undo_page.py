"""Undoing on the pages: who asks for it, what both requests say of each other, and what can never be undone."""

import re
from uuid import uuid4

import pytest
from django.test import Client

from approvals import undo_order
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest
from tests import courses
from tests.undoing import REASON, asked, done, file
from tests.views.conftest import SignIn
from tests.views.test_access import page as without_tokens
from tests.views.test_break_glass_page import company
from tests.views.test_bulk_page import read, small, small_refund
from tests.views.test_what_is_shown import text_of
from tests.world import World

__all__ = ["company", "small_refund"]

FOREVER = "This cannot be undone: A refund leaves for the"
BUTTON = "Ask for it to be undone"


def words(client: Client, request: ApprovalRequest) -> str:
    return text_of(client.get(f"/requests/{request.pk}/").content.decode())


def post(client: Client, request: ApprovalRequest, reason: str = REASON, **more: bool) -> str:
    answer = client.post(f"/requests/{request.pk}/undo/", {"reason": reason}, **more)  # type: ignore[arg-type]
    return answer.content.decode()


def work(web: World, request: ApprovalRequest) -> ApprovalRequest:
    with web.processes.acting_as("worker"):
        undo_order.file(request.pk, request.tenant_id)
    with tenant_scope(web.tenant.pk):
        return ApprovalRequest.objects.get(undoes=request)


def test_the_button_is_there_for_who_may_ask_and_what_can_be_undone(web: World, sign_in: SignIn) -> None:
    request, waiting, spent = done(web), asked(web), courses.succeeded(web)
    assert BUTTON in words(sign_in("lena"), request)
    assert BUTTON in words(sign_in("opal"), request)
    assert BUTTON not in words(sign_in("felix"), request)
    for other in (waiting, spent):
        assert BUTTON not in words(sign_in("lena"), other)


def test_asked_for_it_waits_for_a_worker_and_both_pages_show_each_other(web: World, sign_in: SignIn) -> None:
    request, lena = done(web), sign_in("lena")
    assert "Asked for. A worker looks it up" in post(lena, request, follow=True)
    shown = words(lena, request)
    assert "Lena asked for this to be undone." in shown
    assert "A worker looks it up and files the request." in shown
    assert BUTTON not in shown
    filed = work(web, request)
    shown = words(lena, request)
    assert f"It was asked to be undone: {filed.headline}" in shown
    assert "asked for this to be undone" not in shown
    shown = words(sign_in("mara"), filed)
    assert f"Undoes: {request.headline} {request.pk} It asks for exactly what was before." in shown
    assert "Asked by Lena" in shown
    assert "Read by us from the company" in shown
    assert "you asked for it" in words(lena, filed)
    web.vote(filed, "approve", "mara")
    courses.run(web, filed)
    assert "Undone by:" in words(lena, request)


def test_lists_and_its_trail_name_it_as_an_undoing(web: World, sign_in: SignIn) -> None:
    request, mara = done(web), sign_in("mara")
    post(sign_in("lena"), request)
    filed = work(web, request)
    named = f"Undoing: {filed.headline}"
    assert text_of(mara.get("/").content.decode()).count(named) == 1
    assert named in text_of(mara.get(f"/requests/{filed.pk}/trail/").content.decode())
    assert "Undoing:" not in text_of(mara.get(f"/requests/{request.pk}/trail/").content.decode())
    web.vote(filed, "approve", "mara")
    assert text_of(mara.get("/decided/").content.decode()).count(named) == 1


def test_what_was_refused_says_why_and_can_be_asked_again(web: World, sign_in: SignIn) -> None:
    request, lena = done(web), sign_in("lena")
    post(lena, request)
    web.vote(file(web, request).request, "deny", "mara", comment="Not now.")
    first = file(web, request).request
    with web.processes.acting_as("worker"):
        undo_order.file(request.pk, request.tenant_id)
    shown = words(lena, request)
    assert "It was refused: Undoing this was asked for before" in shown
    web.vote(first, "deny", "mara", comment="Not now.")
    assert BUTTON in words(lena, request)


@pytest.mark.parametrize(
    ("reason", "status"), [("Short.", 422), ("x" * 501, 422), ("\0" * 20, 422), (" " * 20, 422)]
)
def test_a_reason_that_is_none_is_said_at_its_field_and_kept(
    web: World, sign_in: SignIn, reason: str, status: int
) -> None:
    request, lena = done(web), sign_in("lena")
    answer = lena.post(f"/requests/{request.pk}/undo/", {"reason": reason})
    page = answer.content.decode()
    assert answer.status_code == status
    assert "Nothing was asked for." in page
    assert 'id="undo-error"' in page
    assert reason.replace("\0", "").strip() in page


def test_what_stands_against_it_is_said_on_the_page(web: World, sign_in: SignIn) -> None:
    request = done(web)
    for name, about, status, said in (
        ("felix", request, 403, "Undoing this is asked for by operator or support lead."),
        ("lena", asked(web), 409, "Only what was done can be undone"),
        ("lena", courses.succeeded(web), 409, FOREVER),
    ):
        answer = sign_in(name).post(f"/requests/{about.pk}/undo/", {"reason": REASON})
        assert answer.status_code == status
        assert said in text_of(answer.content.decode())


def test_another_companys_request_reads_like_a_missing_one(web: World, sign_in: SignIn) -> None:
    request, missing, gus = done(web), uuid4(), sign_in("gus")
    foreign = gus.post(f"/requests/{request.pk}/undo/", {"reason": REASON})
    nobodys = gus.post(f"/requests/{missing}/undo/", {"reason": REASON})
    assert foreign.status_code == nobodys.status_code == 404
    assert without_tokens(foreign).replace(str(request.pk), "ID") == without_tokens(nobodys).replace(
        str(missing), "ID"
    )


def test_a_get_changes_nothing_and_a_post_needs_its_token(web: World, sign_in: SignIn) -> None:
    request = done(web)
    address = f"/requests/{request.pk}/undo/"
    assert sign_in("lena").get(address)["Location"] == f"/requests/{request.pk}/"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(web.people["lena"])
    assert strict.post(address, {"reason": REASON}).status_code == 403
    assert "undo.asked" not in web.events(request)


def test_no_changes_are_asked_for_in_what_undoes(web: World, sign_in: SignIn) -> None:
    filed = file(web, done(web)).request
    page = sign_in("lena").get(f"/requests/{filed.pk}/").content.decode()
    assert 'value="approve"' in page
    assert f"/requests/{filed.pk}/changes/" not in page


def before(page: str, said: str, choice: str) -> bool:
    """Whether something is said before the first button that decides."""
    shown = re.sub(r"<[^>]+>", "", page[: page.index(choice)])
    return said in " ".join(shown.split())


def test_what_cannot_be_undone_is_said_before_it_is_decided(web: World, sign_in: SignIn) -> None:
    page = sign_in("lena").get(f"/requests/{web.submit().pk}/").content.decode()
    assert before(page, FOREVER, 'class="choices"')


def test_on_the_page_of_several_too(web: World, sign_in: SignIn) -> None:
    page = read(sign_in("lena"), small(web)).content.decode()
    assert before(page, FOREVER, 'class="choices"')


def test_and_before_a_push(company: World, sign_in: SignIn) -> None:
    request = company.submit(payment_id="pay_10008", amount_minor=74900)
    page = sign_in("opal").get(f"/requests/{request.pk}/break-glass/").content.decode()
    assert FOREVER in text_of(page)
