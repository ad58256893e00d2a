"""What waits for whom, and in which order."""

import re
from typing import Any

import pytest
from django.test import Client

from approvals import quorum
from approvals.database import tenant_scope
from approvals.errors import Refusal
from approvals.models import ApprovalRequest
from approvals.queries import queue
from policies.verdicts import Stage
from tests.people.asking import LEAD, asking
from tests.views.conftest import SignIn
from tests.world import World

LARGE: dict[str, Any] = {"payment_id": "pay_10008", "amount_minor": 74900}


def cancel(world: World) -> ApprovalRequest:
    return world.submit("cancel_order", order_id="ord_10012", reason="Ordered twice by mistake.")


def headlines(client: Client, path: str = "/") -> list[str]:
    found = re.findall(
        r'<h2><a [^>]*href="/requests/[^"]+">([^<]+)</a></h2>', client.get(path).content.decode()
    )
    return [one for one in found if one]


def test_the_riskiest_come_first_then_the_most_urgent(web: World, sign_in: SignIn) -> None:
    medium, usual, urgent = cancel(web), web.submit(), web.submit(**LARGE)
    assert headlines(sign_in("lena")) == [urgent.headline, usual.headline, medium.headline]


def test_a_row_says_what_by_whom_and_how_much(web: World, sign_in: SignIn) -> None:
    request = web.submit(**LARGE)
    shown = sign_in("lena").get("/").content.decode()
    assert request.headline in shown
    assert "749.00 USD</p>" in shown
    assert "Support bot asked now" in shown
    assert f'<time datetime="{request.expires_at.isoformat()}">' in shown
    assert "1 \u00d7 support lead" in shown
    assert "1 \u00d7 finance" in shown


def test_what_is_decided_or_too_late_does_not_wait(web: World, sign_in: SignIn) -> None:
    approved, late, waiting = web.submit(), web.submit(**LARGE), cancel(web)
    web.vote(approved, "approve", "lena")
    with web.processes.cursor("admin") as shell:
        shell.execute("UPDATE approval_request SET expires_at = now() WHERE id = %s", (late.pk,))
    assert headlines(sign_in("lena")) == [waiting.headline]


def test_a_place_that_is_filled_is_no_longer_asked_for(web: World, sign_in: SignIn) -> None:
    request = web.submit(**LARGE)
    web.vote(request, "approve", "lena")
    shown = sign_in("felix").get("/").content.decode()
    assert "1 \u00d7 finance" in shown
    assert "1 \u00d7 support lead" not in shown
    assert "You can decide this" in shown


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("felix", "You can decide this"),
        ("mara", "Somebody of your role has agreed already; it still needs finance. You can deny it."),
        ("lena", "You have already decided on this revision."),
        ("otto", "You cannot decide this request: you own the agent that asked"),
        ("ada", "This request needs a decision by finance or support lead."),
    ],
)
def test_each_row_says_whether_i_can_decide_it(web: World, sign_in: SignIn, who: str, words: str) -> None:
    web.vote(web.submit(**LARGE), "approve", "lena")
    assert words in sign_in(who).get("/").content.decode()


@pytest.mark.parametrize("who", ["lena", "mara", "felix", "otto", "ada"])
def test_the_queue_and_the_decision_agree_on_who_may_decide(web: World, who: str) -> None:
    """The queue works it out from rows it has read anyway; `quorum` is the authority."""
    requests = [web.submit(), web.submit(**LARGE), cancel(web)]
    web.vote(requests[1], "approve", "lena")
    by = web.reviewer(who)
    rows = {row.id: row for row in queue(by).rows}
    for request in requests:
        row = rows[request.pk]
        assert str(row.refusal) == str(checked(by, request, approves=False))
        assert str(row.refusal or row.no_approval) == str(checked(by, request, approves=True))


def checked(by: Any, request: ApprovalRequest, *, approves: bool) -> Refusal | None:
    try:
        with tenant_scope(request.tenant_id):
            quorum.check_entitled(by, request, approves=approves)
    except Refusal as refusal:
        return refusal
    return None


def test_pages_show_every_request_once_while_new_ones_arrive(web: World) -> None:
    large, usual, medium = web.submit(**LARGE), web.submit(), cancel(web)
    by = web.reviewer("lena")
    first = queue(by, rows=2)
    web.submit(**LARGE)  # before where the reader is: an offset would now repeat the second row
    second = queue(by, after=first.next, rows=2)
    assert [row.id for row in (*first.rows, *second.rows)] == [large.pk, usual.pk, medium.pk]
    assert second.next == ""


def test_the_page_links_to_the_next_one(web: World, sign_in: SignIn) -> None:
    for _ in range(26):
        web.submit()
    client = sign_in("lena")
    shown = client.get("/").content.decode()
    assert len(headlines(client)) == 25
    found = re.search(r'href="(/\?after=[^"]+)" rel="next"', shown)
    assert found is not None
    assert len(headlines(client, found[1])) == 1


@pytest.mark.parametrize("after", ["nonsense", "1~2~3", "0~2026-01-01~x", "\x00", "9" * 5000])
def test_a_mark_that_nobody_made_reads_as_the_first_page(web: World, sign_in: SignIn, after: str) -> None:
    request = web.submit()
    answer = sign_in("lena").get("/", {"after": after})
    assert answer.status_code == 200
    assert request.headline in answer.content.decode()


def test_another_companys_requests_are_not_in_my_queue(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    shown = sign_in("gus").get("/").content.decode()
    assert request.headline not in shown
    assert "Nothing waits for a decision" in shown


def test_the_queue_does_not_say_that_people_alone_decide(web: World, sign_in: SignIn) -> None:
    """A rule may approve what stands here, once a worker has judged it."""
    nothing_waits = sign_in("lena").get("/").content.decode()
    web.submit()
    for shown in (nothing_waits, sign_in("lena").get("/").content.decode()):
        assert "until people agree, or a rule" in shown or "before people agree, or a rule" in shown


def test_what_is_needed_is_told_from_now_on(web: World, sign_in: SignIn) -> None:
    request = asking(web, LEAD, Stage("finance", 1, step=2))

    def needed() -> str:
        shown = sign_in("felix").get("/").content.decode()
        (told,) = re.findall(r'<p class="needs">(.*?)</p>', shown, re.DOTALL)
        return " ".join(re.sub(r"<[^>]+>|\u00d7", " ", told).split())

    assert needed() == "Still needed: first 1 support lead then 1 finance"
    web.vote(request, "approve", "lena")
    assert needed() == "Still needed: 1 finance"
