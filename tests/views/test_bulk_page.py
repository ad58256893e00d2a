"""Several requests of low risk at once: each shown whole first, each a vote of its own."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.core import signing
from django.test import Client
from django.utils import timezone

from approvals import actions, bulk, decide, judge, material
from approvals.actions.refund_payment import RefundPayment
from approvals.database import tenant_scope
from approvals.errors import NothingChosen, NotShown
from approvals.models import ApprovalRequest, Vote
from approvals.payloads import digest
from approvals.queries import request_view
from policies.verdicts import Require, Stage, to_json
from tests.people.asking import LEAD, asking, away, hire, shift
from tests.proving import session_proves
from tests.views.conftest import SignIn
from tests.views.test_what_is_shown import squeezed, text_of
from tests.world import TRACE, World, break_the_trail

DEAR = {"payment_id": "pay_10002", "amount_minor": 500}


class SmallRefund(RefundPayment):
    """No action of ours is of low risk: one for these tests. No rule names it, so its owner decides."""

    name = "small_refund"
    tool = "request_small_refund"
    risk = "low"  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def small_refund(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setitem(actions._ACTIONS, SmallRefund.name, SmallRefund())
        yield


def small(world: World, minor: int = 100) -> ApprovalRequest:
    arguments: dict[str, Any] = {
        "payment_id": "pay_10001",
        "amount_minor": minor,
        "currency": "USD",
        "reason": "Shipping, paid twice.",
    }
    return world.submit(SmallRefund.name, **arguments)


def read(client: Client, *requests: ApprovalRequest) -> Any:
    return client.get("/together/", {"id": [str(request.pk) for request in requests]})


def ticket(page: Any) -> str:
    (found,) = re.findall(r'name="shown" value="([^"]+)"', page.content.decode())
    return unescape(found)


def post(client: Client, shown: str, *requests: ApprovalRequest, **changes: Any) -> Any:
    ids = [str(request.pk) for request in requests]
    body = {"decision": "approve", "shown": shown, "comment": "Seen.", "id": ids, "all": ids, **changes}
    return client.post("/together/decide/", body)


def decided(world: World, *requests: ApprovalRequest) -> list[str]:
    return [world.status(request) for request in requests]


def test_no_shipped_action_is_of_low_risk_today() -> None:
    shipped = [action for action in actions.every() if action.name != SmallRefund.name]
    assert "low" not in {action.risk for action in shipped}


def test_the_queue_offers_those_of_low_risk_and_no_others(web: World, sign_in: SignIn) -> None:
    one, dear = small(web), web.submit()
    page = sign_in("lena").get("/").content.decode()
    assert f'name="id" value="{one.pk}"' in page
    assert f'name="id" value="{dear.pk}"' not in page
    assert "Read those that are ticked" in page
    assert "Read those that are ticked" not in sign_in("ada").get("/").content.decode()


def credit(world: World, minor: int) -> ApprovalRequest:
    """The shipped policy allows this for up to 25.00."""
    reason = "The parcel came two days late."
    return world.submit(
        "issue_store_credit", customer_id="cus_1001", amount_minor=minor, currency="USD", reason=reason
    )


def test_those_of_medium_risk_whose_rule_allows_it_are_offered_too(web: World, sign_in: SignIn) -> None:
    modest, more, lena = credit(web, 2500), credit(web, 2501), sign_in("lena")
    page = lena.get("/").content.decode()
    assert f'name="id" value="{modest.pk}"' in page
    assert f'name="id" value="{more.pk}"' not in page
    refused = read(lena, modest, more)
    assert refused.status_code == 422
    assert f"Decide these by themselves: {more.headline}" in unescape(refused.content.decode())
    post(lena, ticket(read(lena, modest)), modest)
    assert decided(web, modest, more) == ["approved", "pending"]


def test_those_of_high_risk_never_are_whatever_a_rule_says(web: World, sign_in: SignIn) -> None:
    request = asking(web, LEAD, together=True)
    lena = sign_in("lena")
    assert read(lena, request).status_code == 422
    assert f'name="id" value="{request.pk}"' not in lena.get("/").content.decode()


def test_each_is_shown_whole_and_each_gets_a_vote_of_its_own(web: World, sign_in: SignIn) -> None:
    requests, lena = [small(web, 100), small(web, 200)], sign_in("lena")
    page = read(lena, *requests)
    words = squeezed(text_of(page.content.decode()))
    for request in requests:
        for row in material.rows(request):
            for piece in row.shown:
                assert squeezed(piece) in words, row
    assert decided(web, *requests) == ["pending", "pending"]
    done = post(lena, ticket(page), *requests)
    assert done.status_code == 200
    assert decided(web, *requests) == ["approved", "approved"]
    with tenant_scope(web.tenant.pk):
        votes = Vote.objects.filter(request__in=requests)
        assert {vote.digest for vote in votes} == {digest(judge.seen(request)) for request in requests}


def test_what_is_left_out_is_not_decided(web: World, sign_in: SignIn) -> None:
    one, two, lena = small(web, 100), small(web, 200), sign_in("lena")
    post(lena, ticket(read(lena, one, two)), two)
    assert decided(web, one, two) == ["pending", "approved"]


def test_what_moved_on_is_refused_alone_and_the_page_says_so(web: World, sign_in: SignIn) -> None:
    one, two, lena = small(web, 100), small(web, 200), sign_in("lena")
    shown = ticket(read(lena, one, two))
    web.vote(one, "deny", "mara")
    page = text_of(post(lena, shown, one, two).content.decode())
    assert decided(web, one, two) == ["denied", "approved"]
    assert "Not decided. This request is already denied" in page
    assert "You: Approved · Now: Approved" in page


def test_what_changed_since_it_was_shown_is_refused(web: World, sign_in: SignIn) -> None:
    one, lena = small(web), sign_in("lena")
    shown = ticket(read(lena, one))
    with web.processes.acting_as("migrator"):
        ApprovalRequest.objects.filter(pk=one.pk).update(facts="{}")
    assert "what was looked up" in text_of(post(lena, shown, one).content.decode())
    assert decided(web, one) == ["pending"]


def test_what_is_not_of_low_risk_is_named_and_nothing_is_shown(web: World, sign_in: SignIn) -> None:
    one, dear = small(web), web.submit()
    answer = read(sign_in("lena"), one, dear)
    page = text_of(answer.content.decode())
    assert answer.status_code == 422
    assert f"Decide these by themselves: {dear.headline}." in page
    assert 'name="shown"' not in answer.content.decode()


def test_at_most_twenty_and_at_least_one(web: World, sign_in: SignIn) -> None:
    lena = sign_in("lena")
    many = lena.get("/together/", {"id": [str(uuid4()) for _ in range(bulk.MOST + 1)]})
    assert (many.status_code, "At most 20 requests" in many.content.decode()) == (422, True)
    assert (lena.get("/together/").status_code, lena.get("/together/?id=x").status_code) == (422, 400)


def test_only_that_page_can_decide_them(web: World, sign_in: SignIn) -> None:
    """Not another person's, not one for other requests, not a forged one, and not after an hour."""
    one, two, lena = small(web, 100), small(web, 200), sign_in("lena")
    shown = ticket(read(lena, one))
    told = {
        "by": str(web.people["lena"].pk),
        "tenant": str(web.tenant.pk),
        "shown": {str(two.pk): [judge.seen(two), "x"]},
    }
    for client, signed in (
        (sign_in("mara"), shown),
        (lena, signing.dumps(told)),  # signed for something else
        (lena, "nonsense"),
        (lena, shown),
    ):
        answer = post(client, signed, two if client is lena else one)
        assert answer.status_code == 409
        assert "were not shown to you" in answer.content.decode()
    assert decided(web, one, two) == ["pending", "pending"]


def test_a_page_is_good_for_an_hour(web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    one, lena = small(web), sign_in("lena")
    monkeypatch.setattr(
        "django.core.signing.time.time", lambda: (timezone.now() - timedelta(minutes=61)).timestamp()
    )
    shown = ticket(read(lena, one))
    monkeypatch.undo()
    with web.processes.acting_as("web"), pytest.raises(NotShown):
        bulk.decide_each(shown, [one.pk], "approve", by=web.reviewer("lena"), trace_id=TRACE)


def test_a_denial_needs_its_reason_before_any_vote(web: World, sign_in: SignIn) -> None:
    one, two, lena = small(web, 100), small(web, 200), sign_in("lena")
    answer = post(lena, ticket(read(lena, one, two)), one, two, decision="deny", comment=" ")
    assert answer.status_code == 422
    assert "A denial needs a reason" in answer.content.decode()
    assert decided(web, one, two) == ["pending", "pending"]
    post(lena, ticket(answer), one, two, decision="deny", comment="Paid back by hand.")
    assert decided(web, one, two) == ["denied", "denied"]


def test_somebody_who_may_not_decide_reads_them_and_decides_nothing(web: World, sign_in: SignIn) -> None:
    one, otto = small(web), sign_in("otto")
    page = read(otto, one)
    assert "You cannot decide this request: you own the agent that asked." in text_of(page.content.decode())
    assert f'name="id" value="{one.pk}"' not in page.content.decode()
    assert "Not decided. You cannot decide this request" in text_of(
        post(otto, ticket(page), one).content.decode()
    )
    assert decided(web, one) == ["pending"]


def asks(world: World, request: ApprovalRequest, *stages: Stage, **more: Any) -> None:
    """As if a rule had said so."""
    verdict = Require(stages=stages, because="So it is.", rule="people", **more)
    shift(world, request, verdict=to_json(verdict))


def test_in_whose_place_one_decides_is_said_before(web: World, sign_in: SignIn) -> None:
    hire(web, "nina", "legal")
    away(web, "lena", "nina")
    one, nina = small(web), sign_in("nina")
    page = read(nina, one)
    assert "You decide in the place of Lena, who is out of office." in text_of(page.content.decode())
    post(nina, ticket(page), one)
    with tenant_scope(web.tenant.pk):
        assert Vote.objects.get(request=one).instead_of_id == web.people["lena"].pk


def test_why_no_approval_is_possible_yet_is_said_before(web: World, sign_in: SignIn) -> None:
    one, lena = small(web), sign_in("lena")
    asks(web, one, Stage("finance", 1), Stage("support_lead", 1, step=2))
    page = read(lena, one)
    with web.processes.acting_as("web"):
        because = str(request_view(one.pk, web.reviewer("lena")).no_approval)
    assert because != "None"
    assert because in text_of(page.content.decode())
    assert "Approve those that are ticked" not in page.content.decode()
    assert f"Not decided. {because}" in text_of(post(lena, ticket(page), one).content.decode())


def test_a_rule_that_asks_for_a_proof_is_decided_here_by_who_gave_it(web: World, sign_in: SignIn) -> None:
    """This page asks nobody to prove anything: without a proof it offers no vote that would be refused."""
    one, lena = small(web), sign_in("lena")
    asks(web, one, Stage("support_lead", 1), step_up=True)
    session_proves(lena, web, "lena", ago=3600)
    page = read(lena, one)
    assert "only its own page asks you: decide it there" in text_of(page.content.decode())
    assert f'name="id" value="{one.pk}"' not in page.content.decode()
    session_proves(lena, web, "lena")
    page = read(lena, one)
    assert "This rule asks who you are, and you proved it" in text_of(page.content.decode())
    assert f'name="id" value="{one.pk}"' in page.content.decode()
    post(lena, ticket(page), one)
    assert decided(web, one) == ["approved"]


def test_another_companys_request_reads_like_a_missing_one(web: World, sign_in: SignIn) -> None:
    one, gus = small(web), sign_in("gus")
    assert read(gus, one).status_code == gus.get("/together/", {"id": [str(uuid4())]}).status_code == 404
    assert post(gus, ticket(read(sign_in("lena"), one)), one).status_code == 409
    assert decided(web, one) == ["pending"]


def test_nothing_chosen_decides_nothing(web: World) -> None:
    with web.processes.acting_as("web"), pytest.raises(NothingChosen):
        bulk.decide_each(bulk.ticket([], by=web.reviewer("lena")), [], "approve", by=web.reviewer("lena"))


def test_a_vote_without_its_event_does_not_happen_and_the_others_stand(
    web: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, lena = small(web, 100), small(web, 200), sign_in("lena")
    shown = ticket(read(lena, one, two))
    post(lena, shown, one)
    lena.raise_request_exception = False
    break_the_trail(monkeypatch, decide)
    assert post(lena, shown, two).status_code == 500
    assert decided(web, one, two) == ["approved", "pending"]


def test_a_get_or_a_forged_form_decides_nothing(web: World, sign_in: SignIn) -> None:
    one, lena = small(web), sign_in("lena")
    assert lena.get("/together/decide/").status_code == 302
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(web.people["lena"])
    assert post(strict, ticket(read(lena, one)), one).status_code == 403
    assert post(lena, ticket(read(lena, one)), one, decision="changes").status_code == 400
    assert decided(web, one) == ["pending"]
