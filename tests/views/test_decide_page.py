"""The decision form: what it does, and how each refusal reads."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from approvals import decide, judge
from approvals.audit.events import record
from approvals.database import tenant_scope
from approvals.models import ApprovalRequest, Vote
from tests.views.conftest import SignIn
from tests.world import World

COMMENT = "The parcel is back; I checked with the warehouse."


def post(client: Client, request: ApprovalRequest, decision: str = "approve", **changes: str) -> Any:
    """What the form sends, `seen` included, unless the test changes it."""
    body = {"decision": decision, "comment": COMMENT, "seen": judge.seen(request), **changes}
    return client.post(f"/requests/{request.pk}/decide/", body)


def votes(request: ApprovalRequest) -> list[Vote]:
    with tenant_scope(request.tenant_id):
        return list(Vote.objects.filter(request=request))


def test_an_approval_is_a_vote_and_sends_the_request_on(web: World, sign_in: SignIn) -> None:
    request, lena = web.submit(), sign_in("lena")
    answer = post(lena, request)
    assert (answer.status_code, answer["Location"]) == (302, f"/requests/{request.pk}/")
    assert web.status(request) == "approved"
    assert "You approved this request." in lena.get(answer["Location"]).content.decode()
    assert [(vote.decision, vote.comment) for vote in votes(request)] == [("approve", COMMENT)]


def test_the_page_carries_the_digest_of_what_it_shows(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    shown = sign_in("lena").get(f"/requests/{request.pk}/").content.decode()
    assert f'name="seen" value="{judge.seen(request)}"' in shown


def test_one_approval_of_two_waits_for_the_other(web: World, sign_in: SignIn) -> None:
    request, lena = web.submit(payment_id="pay_10008", amount_minor=74900), sign_in("lena")
    answer = post(lena, request)
    assert web.status(request) == "pending"
    shown = lena.get(answer["Location"]).content.decode()
    assert "It still needs somebody else to agree" in shown
    assert "1 of 1 agreed" in shown
    assert "0 of 1 agreed" in shown
    post(sign_in("felix"), request)
    assert web.status(request) == "approved"


def test_a_denial_ends_it_and_its_reason_is_shown(web: World, sign_in: SignIn) -> None:
    request, lena = web.submit(), sign_in("lena")
    answer = post(lena, request, "deny", comment="Ask the carrier first.")
    assert web.status(request) == "denied"
    shown = lena.get(answer["Location"]).content.decode()
    assert "Ask the carrier first." in shown
    assert 'name="decision"' not in shown


# --- refusals: each in its own words, with the typed comment kept, and nothing decided ---------------------


def refused(answer: Any, status: int, words: str, *, comment: str = COMMENT) -> None:
    _, shown = answer.content.decode().split('role="alert"')
    assert answer.status_code == status
    assert words in shown.split("</div>")[0]
    assert comment in shown


def test_a_denial_needs_a_reason(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    refused(
        post(sign_in("lena"), request, "deny", comment="no"), 422, "A denial needs a reason", comment="no"
    )
    assert web.status(request) == "pending"


@pytest.mark.parametrize("comment", ["", "ä" * 1001])
def test_what_is_wrong_with_a_comment_is_said_at_its_field(web: World, sign_in: SignIn, comment: str) -> None:
    """WCAG 2.2, 3.3.1."""
    request, lena = web.submit(), sign_in("lena")
    assert 'aria-invalid="true"' not in lena.get(f"/requests/{request.pk}/").content.decode()
    shown = post(lena, request, "deny", comment=comment).content.decode()
    field = shown.split('<label for="comment">')[1].split("</div>")[0]
    words = "A comment has at most" if comment else "A denial needs a reason"
    assert f'<p class="error" id="comment-error">{words}' in field
    assert 'aria-describedby="comment-help comment-error" aria-invalid="true"' in field


def test_a_comment_too_long_is_not_cut_but_refused(web: World, sign_in: SignIn) -> None:
    request, long = web.submit(), "ä" * 1001
    answer = post(sign_in("lena"), request, comment=long)
    refused(answer, 422, "A comment has at most 1,000 characters.", comment=long)
    assert web.status(request) == "pending"


def test_line_breaks_count_once_as_in_the_browser(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    post(sign_in("lena"), request, comment="a\r\n" * 400)
    assert votes(request)[0].comment == ("a\n" * 400).strip()


def test_the_agents_owner_can_not_decide(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    refused(
        post(sign_in("otto"), request), 403, "You cannot decide this request: you own the agent that asked"
    )
    assert "vote.refused" in web.events(request)


def test_somebody_without_the_role_can_not_decide(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    refused(post(sign_in("felix"), request), 403, "This request needs a decision by support lead.")


def test_the_form_sent_twice_is_one_vote(web: World, sign_in: SignIn) -> None:
    request, lena = web.submit(payment_id="pay_10008", amount_minor=74900), sign_in("lena")
    post(lena, request)
    refused(post(lena, request), 409, "You have already decided on this revision.")
    assert len(votes(request)) == 1


def test_a_second_approval_of_an_approved_request_is_refused(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    post(sign_in("lena"), request)
    refused(post(sign_in("mara"), request), 409, "This request is already approved")
    assert len(votes(request)) == 1


def test_a_page_that_is_out_of_date_decides_nothing_and_is_shown_anew(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    old = judge.seen(request).split(":")
    facts_then = ":".join([*old[:2], "0" * 64, *old[3:]])
    answer = post(sign_in("lena"), request, seen=facts_then)
    refused(answer, 409, "what was looked up changed")
    assert f'name="seen" value="{judge.seen(request)}"' in answer.content.decode()
    assert web.status(request) == "pending"


def test_a_form_without_the_digest_decides_nothing(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    refused(post(sign_in("lena"), request, seen=""), 409, "What you saw is no longer what would be approved")


def test_what_the_policy_now_refuses_can_only_be_denied(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    refusal = {"kind": "deny", "public": "No.", "because": "Refunds are frozen this week.", "rule": "frozen"}
    with web.processes.acting_as("migrator"), tenant_scope(request.tenant_id):
        ApprovalRequest.objects.filter(pk=request.pk).update(verdict=refusal)
    request = web.reload(request)
    answer = post(sign_in("lena"), request)
    refused(answer, 403, "Refunds are frozen this week.")
    assert 'value="approve"' not in answer.content.decode()
    post(sign_in("lena"), request, "deny")
    assert web.status(request) == "denied"


def test_a_decision_on_nothing_is_a_missing_page(web: World, sign_in: SignIn) -> None:
    body = {"decision": "approve", "seen": "", "comment": ""}
    assert sign_in("lena").post(f"/requests/{uuid4()}/decide/", body).status_code == 404


@pytest.mark.parametrize("decision", ["", "APPROVE", "changes_requested", "execute"])
def test_only_approve_and_deny_are_decisions(web: World, sign_in: SignIn, decision: str) -> None:
    request = web.submit()
    assert post(sign_in("lena"), request, decision).status_code == 400
    assert web.status(request) == "pending"


def test_a_null_character_in_a_comment_is_refused_in_words(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    answer = post(sign_in("lena"), request, "deny", comment="before\0after")
    refused(answer, 422, "Null characters are not allowed.", comment="beforeafter")


def test_a_decision_without_the_csrf_token_is_refused(web: World) -> None:
    request, client = web.submit(), Client(enforce_csrf_checks=True)
    client.force_login(web.people["lena"])
    answer = post(client, request)
    assert answer.status_code == 403
    assert "This form is too old" in answer.content.decode()
    assert web.status(request) == "pending"


def test_coming_back_to_the_forms_address_shows_the_request(web: World, sign_in: SignIn) -> None:
    request = web.submit()
    answer = sign_in("lena").get(f"/requests/{request.pk}/decide/")
    assert answer["Location"] == f"/requests/{request.pk}/"


def test_an_approval_without_its_audit_row_does_not_happen(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, lena = web.submit(), sign_in("lena")
    lena.raise_request_exception = False
    monkeypatch.setattr(decide, "record", _broken("request.approved"))
    answer = post(lena, request)
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()
    assert (web.status(request), votes(request)) == ("pending", [])
    assert web.events(request) == ["request.created"]


def test_where_the_commit_was_not_confirmed_the_page_does_not_say_that_nothing_was_done(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database can end a session right after it has kept the vote."""
    request, lena, written = web.submit(), sign_in("lena"), []
    lena.raise_request_exception = False
    commit = BaseDatabaseWrapper.commit

    def noted(name: str, **kwargs: Any) -> Any:
        written.append(name)
        return record(name, **kwargs)

    def lost(connection: BaseDatabaseWrapper) -> None:
        commit(connection)
        if "request.approved" in written:
            raise OperationalError("the server closed the connection")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(decide, "record", noted)
        meanwhile.setattr(BaseDatabaseWrapper, "commit", lost)
        answer = post(lena, request)
    assert answer.status_code == 500
    assert web.status(request) == "approved"
    shown = answer.content.decode()
    assert "is not known here: either all of it was, or nothing of it" in shown
    assert "not done" not in shown


def _broken(kind: str) -> Callable[..., Any]:
    def written(name: str, **kwargs: Any) -> Any:
        if name == kind:
            raise RuntimeError("the trail cannot be written")
        return record(name, **kwargs)

    return written
