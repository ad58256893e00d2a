"""Votes and withdrawals over the API: a browser's, by the very rules of the pages."""

from typing import Any

import pytest

from approvals import decide as verbs
from approvals import judge
from approvals.api.problems import STATUS_OF
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Vote
from approvals.views import operator, reviewer
from tests.api.calling import Browser, nothing_changed, refused
from tests.proving import rule_asks_for_proof, session_proves
from tests.versions import asked as asked_for_policy
from tests.world import World, break_the_trail


def vote(browser: Browser, request: ApprovalRequest, **changes: Any) -> Any:
    body = {"decision": "approve", "seen": judge.seen(request), **changes}
    return browser.post(f"/requests/{request.pk}/votes/", body)


def votes(web: World, request: ApprovalRequest) -> list[str]:
    with tenant_scope(web.tenant.pk):
        return list(Vote.objects.filter(request=request).values_list("decision", flat=True))


def test_a_person_approves_what_they_have_read(web: World) -> None:
    request, lena = web.submit(), Browser(web, "lena")
    seen = lena.get(f"/requests/{request.pk}/").json()["seen"]
    answer = lena.post(f"/requests/{request.pk}/votes/", {"decision": "approve", "seen": seen})
    assert answer.status_code == 201, answer.content
    assert answer.json()["status"] == "approved"
    assert [one["person"] for one in answer.json()["votes"]] == ["Lena"]
    assert web.events(request) == ["request.created", "vote.cast", "request.approved"]


def test_a_denial_needs_its_reason(web: World) -> None:
    request, lena = web.submit(), Browser(web, "lena")
    with nothing_changed(web):
        assert refused(vote(lena, request, decision="deny")) == (422, "comment_missing")
    assert vote(lena, request, decision="deny", comment="It never came back.").status_code == 201
    assert (web.status(request), votes(web, request)) == ("denied", ["deny"])


def test_a_vote_is_for_what_was_seen(web: World) -> None:
    request, lena = web.submit(), Browser(web, "lena")
    with nothing_changed(web):
        assert refused(vote(lena, request, seen="something else")) == (409, "page_outdated")
    assert web.events(request)[-1] == "vote.refused"


def test_nobody_decides_on_what_is_theirs_or_twice_or_without_the_role(web: World) -> None:
    request = web.submit(payment_id="pay_10011", amount_minor=520000)
    for name, code in (("otto", "self_approval"), ("ada", "not_entitled")):
        with nothing_changed(web):
            assert refused(vote(Browser(web, name), request)) == (403, code)
    assert vote(Browser(web, "lena"), request).status_code == 201
    with nothing_changed(web):
        assert refused(vote(Browser(web, "lena"), request)) == (409, "already_voted")


def test_another_companys_request_cannot_be_decided(web: World) -> None:
    request = web.submit()
    with nothing_changed(web):
        assert refused(vote(Browser(web, "gus"), request)) == (404, "not_found")


def test_where_a_rule_asks_for_a_proof_the_answer_says_where_it_is_given(web: World) -> None:
    rule_asks_for_proof(web)
    request, lena = web.submit(), Browser(web, "lena")
    with nothing_changed(web):
        answer = vote(lena, request)
    assert refused(answer) == (403, "step_up_needed")
    assert answer.json()["review_url"].endswith(f"/requests/{request.pk}/")
    session_proves(lena.client, web, "lena")
    assert vote(lena, request).status_code == 201


def test_a_vote_without_its_audit_row_does_not_happen(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request, lena = web.submit(), Browser(web, "lena")
    break_the_trail(monkeypatch, verbs)
    with nothing_changed(web):
        assert refused(vote(lena, request)) == (500, "broken_here")


@pytest.mark.parametrize(
    "changes",
    [
        {"decision": "changes_requested"},
        {"decision": ["approve"]},
        {"decision": None},
        {"seen": 5},
        {"seen": "x" * 1001},
        {"comment": "x" * 1001},
        {"comment": "a\0b"},
        {"comment": "a\ud800b"},
        {"comment": {"text": "no"}},
        {"person": "somebody"},
        {"revision\0": 1},
    ],
    ids=range(11),
)
def test_a_vote_that_is_not_written_to_the_letter_is_refused(web: World, changes: dict[str, Any]) -> None:
    request = web.submit()
    with nothing_changed(web):
        answer = vote(Browser(web, "lena"), request, **changes)
    assert refused(answer) == (422, "fields_wrong")
    assert answer.json()["errors"]


def test_refusals_have_the_statuses_that_they_have_on_the_pages() -> None:
    for table in (reviewer.STATUS_OF, operator.STATUS_OF):
        ours = {kind: STATUS_OF[kind] for kind in table if kind in STATUS_OF}
        assert ours == {kind: table[kind] for kind in ours} and ours


def test_who_asked_on_a_page_takes_it_back_and_nobody_else(web: World) -> None:
    request = asked_for_policy(web)
    for name in ("opal", "gus"):
        with nothing_changed(web):
            answer = Browser(web, name).post(f"/requests/{request.pk}/withdraw/")
        assert refused(answer) == (404, "not_found")
    paul = Browser(web, "paul")
    answer = paul.post(f"/requests/{request.pk}/withdraw/")
    assert (answer.status_code, answer.json()["status"]) == (200, "withdrawn"), answer.content
    with nothing_changed(web):
        assert refused(paul.post(f"/requests/{request.pk}/withdraw/")) == (409, "move_refused")
    with nothing_changed(web):
        assert refused(paul.post(f"/requests/{request.pk}/withdraw/", {"why": "so"})) == (422, "fields_wrong")
