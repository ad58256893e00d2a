"""How long a page lay before the person who decided: signed, bound to what was shown, and never in anybody's way."""

import re
import time
from typing import Any

import pytest
from django.core import signing
from django.test import Client

from approvals import judge
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Vote
from approvals.views import looking
from tests.views.conftest import SignIn
from tests.views.test_decide_page import post
from tests.world import World

KAYAK: dict[str, Any] = {
    "payment_id": "pay_10008",
    "amount_minor": 74900,
}  # over the demo policy's limit: two people


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`clock(90)`: 90 s pass, for the marks of pages alone."""
    late = [0]
    monkeypatch.setattr(
        looking, "time", type("Clock", (), {"time": staticmethod(lambda: time.time() + late[0])})
    )

    def passes(seconds: int) -> None:
        late[0] += seconds

    return passes


def mark(client: Client, request: ApprovalRequest) -> str:
    return mark_in(client.get(f"/requests/{request.pk}/"))


def mark_in(answer: Any) -> str:
    # Each form of the page carries it, and it is the same.
    (found,) = set(re.findall(r'name="looking" value="([^"]+)"', answer.content.decode()))
    return str(found)


def looked_for(request: ApprovalRequest) -> int | None:
    with tenant_scope(request.tenant_id):
        return Vote.objects.get(request=request).looked_for_seconds


def test_a_vote_that_asks_for_changes_keeps_it_too(web: World, sign_in: SignIn, clock: Any) -> None:
    request, lena = web.submit(), sign_in("lena")
    page = lena.get(f"/requests/{request.pk}/")
    form = page.content.decode().split(f'action="/requests/{request.pk}/changes/"')[1]
    (shown,) = re.findall(r'name="looking" value="([^"]+)"', form)
    clock(90)
    body = {"seen": judge.seen(request), "message": "Refund only the shipping.", "looking": shown}
    assert lena.post(f"/requests/{request.pk}/changes/", body).status_code == 302
    assert looked_for(request) in (90, 91)


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_a_vote_keeps_for_how_long_its_page_was_there(
    web: World, sign_in: SignIn, clock: Any, decision: str
) -> None:
    request, lena = web.submit(), sign_in("lena")
    shown = mark(lena, request)
    clock(90)
    post(lena, request, decision, looking=shown)
    assert looked_for(request) in (90, 91)


@pytest.mark.parametrize("forged", ["", "x", "a:b:c", "\0", "x" * 5000])
def test_a_mark_that_is_missing_or_forged_refuses_nothing_and_says_nothing(
    web: World, sign_in: SignIn, forged: str
) -> None:
    request, lena = web.submit(), sign_in("lena")
    assert post(lena, request, looking=forged).status_code == 302
    assert looked_for(request) is None
    assert web.status(request) == "approved"


def test_a_mark_of_ours_that_says_nothing_of_a_time_is_as_none(web: World, sign_in: SignIn) -> None:
    request, lena = web.submit(), sign_in("lena")
    post(lena, request, looking=signing.dumps(["at"], salt=looking.SALT))
    assert looked_for(request) is None


def test_a_mark_is_of_one_person_one_request_and_what_was_shown(web: World, sign_in: SignIn) -> None:
    """Else somebody could bring an old mark of a colleague's, or of another page, and seem to have read for long."""
    request, other = web.submit(**KAYAK), web.submit()
    lena, mara = web.reviewer("lena"), web.reviewer("mara")
    seen = judge.seen(request)
    mine = looking.began(lena, request.pk, seen)
    assert looking.seconds(mine, lena, request.pk, seen) is not None
    assert looking.seconds(mine, mara, request.pk, seen) is None
    assert looking.seconds(mine, lena, other.pk, seen) is None
    assert looking.seconds(mine, lena, request.pk, judge.seen(other)) is None


def test_a_tab_that_stayed_open_counts_a_day_at_most(web: World, sign_in: SignIn, clock: Any) -> None:
    request, lena = web.submit(), sign_in("lena")
    shown = mark(lena, request)
    clock(3 * looking.LONGEST)
    post(lena, request, looking=shown)
    assert looked_for(request) == looking.LONGEST


def test_a_clock_that_is_behind_counts_nothing(web: World, sign_in: SignIn, clock: Any) -> None:
    request, lena = web.submit(), sign_in("lena")
    shown = mark(lena, request)
    clock(-5)
    post(lena, request, looking=shown)
    assert looked_for(request) == 0


def test_who_forgot_the_reason_has_looked_since_the_page_was_first_there(
    web: World, sign_in: SignIn, clock: Any
) -> None:
    request, lena = web.submit(), sign_in("lena")
    shown = mark(lena, request)
    clock(60)
    again = post(lena, request, "deny", comment="", looking=shown)
    assert again.status_code == 422
    clock(30)
    post(lena, request, "deny", looking=mark_in(again))
    assert looked_for(request) in (90, 91)


def test_who_is_shown_something_new_has_looked_at_it_since_then(
    web: World, sign_in: SignIn, clock: Any
) -> None:
    request, lena = web.submit(), sign_in("lena")
    shown = mark(lena, request)
    clock(60)
    with web.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=request.pk).update(headline="Refund something else")
    again = post(lena, request, looking=shown)
    assert again.status_code == 409
    moved = web.reload(request)
    assert looking.seconds(mark_in(again), web.reviewer("lena"), request.pk, judge.seen(moved)) == 0


def test_looking_at_a_page_leaves_nothing_behind(web: World, sign_in: SignIn) -> None:
    request, lena = web.submit(), sign_in("lena")
    before = web.events()
    mark(lena, request)
    mark(lena, request)
    assert web.events() == before


def test_the_time_is_not_on_the_trail(web: World, sign_in: SignIn) -> None:
    """It is about a person, and the trail keeps everything for ever."""
    request, lena = web.submit(), sign_in("lena")
    post(lena, request, looking=mark(lena, request))
    told = sign_in("ada").get(f"/requests/{request.pk}/trail/").content.decode()
    events = told.split('<ol class="events')[1].split("</ol>")[0]
    assert "asked" in events.lower() and "look" not in events.replace("looked up", "")
