"""The signed webhook, verified with the published library, as a receiver would."""

import time
from datetime import timedelta
from typing import Any
from unittest.mock import ANY

import pytest
from django.conf import settings
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from approvals import clock, notifications, submit
from approvals.models import ApprovalRequest
from tests import courses, undoing
from tests.notifications.conftest import SECRET, Post
from tests.notifications.receiving import Receiving, answer
from tests.world import TRACE, World

ADDRESS = {
    "name": "Planted Person",
    "line1": "7 Planted Lane",
    "city": "Plantedville",
    "postal_code": "98765",
    "country": "US",
}


@pytest.fixture
def hook(post: Post, receiver: Receiving) -> Receiving:
    post.add("webhook", receiver.url)
    return receiver


def data(hook: Receiving, kind: str) -> dict[str, Any]:
    """The data of the one message of that kind."""
    (found,) = [one.json["data"] for one in hook.received if one.json["type"] == kind]
    return dict(found)


def test_the_published_library_verifies_what_we_send(world: World, post: Post, hook: Receiving) -> None:
    request = world.submit()
    post.round()
    (got,) = hook.received
    assert Webhook(SECRET).verify(got.body, dict(got.headers)) == {
        "type": "request.created",
        "timestamp": ANY,
        "data": {
            "request_id": str(request.pk),
            "status": "pending",
            "action": "refund_payment",
            "headline": request.headline,
            "amount": {"minor": 12900, "currency": "USD"},
            "requester": "Support bot",
            "review_url": f"{settings.PUBLIC_URL}/requests/{request.pk}/",
            "revision": 1,
            "outcome": "",
            "backing_reference": "",
        },
    }
    assert got.headers["content-type"] == "application/json"


def test_the_timestamp_is_that_of_the_event_not_of_the_sending(
    world: World, post: Post, hook: Receiving
) -> None:
    world.submit()
    post.round()
    (announced,) = post.rows("announce")
    assert hook.received[0].json["timestamp"] == f"{announced.created_at:%Y-%m-%dT%H:%M:%S.%fZ}"


@pytest.mark.parametrize("break_it", ["the body", "the id", "the time", "the secret"])
def test_a_message_that_was_tampered_with_does_not_verify(
    world: World, post: Post, hook: Receiving, break_it: str
) -> None:
    world.submit()
    post.round()
    (got,) = hook.received
    body, headers, secret = got.body, dict(got.headers), SECRET
    if break_it == "the body":
        body = body.replace(b"12900", b"12901")
    elif break_it == "the id":
        headers["webhook-id"] = str(world.tenant.pk)
    elif break_it == "the time":
        headers["webhook-timestamp"] = str(int(headers["webhook-timestamp"]) + 1)
    else:
        secret = notifications.new_secret()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_a_retry_has_the_same_id_and_body_and_a_fresh_signature(
    world: World, post: Post, hook: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.replies.append(answer(500))
    world.submit()
    post.round()
    then = int(hook.received[0].headers["webhook-timestamp"])
    while int(time.time()) == then:
        time.sleep(0.05)
    post.round()
    first, second = hook.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(post.only_row().pk)
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) > then
    Webhook(SECRET).verify(second.body, dict(second.headers))


def test_two_receivers_of_one_event_get_two_ids(world: World, post: Post, hook: Receiving) -> None:
    post.add("webhook", hook.url)
    world.submit()
    post.round()
    assert len({one.headers["webhook-id"] for one in hook.received}) == 2


def test_a_success_is_told_with_its_reference(world: World, post: Post, hook: Receiving) -> None:
    request = world.submit()
    world.vote(request, "approve", "lena")
    post.execute(request)
    post.round()
    (entry,) = world.ledger(request)
    told = data(hook, "request.succeeded")
    assert told["status"] == "succeeded"
    assert told["backing_reference"] == entry["id"]
    assert told["outcome"] == "129.00 USD refunded to the card it was paid with"


def test_an_event_told_late_does_not_carry_what_came_after_it(
    world: World, post: Post, hook: Receiving
) -> None:
    request = world.submit()
    world.vote(request, "approve", "lena")
    post.execute(request)
    post.round()
    for kind, status in (("request.created", "pending"), ("request.approved", "approved")):
        told = data(hook, kind)
        assert (told["status"], told["outcome"], told["backing_reference"]) == (status, "", "")


@pytest.mark.parametrize(("fault", "kind"), [("refuse", "failed"), ("drop_after_commit", "uncertain")])
def test_a_failure_and_a_doubt_are_told_as_such(
    world: World, post: Post, hook: Receiving, fault: str, kind: str
) -> None:
    request = world.submit()
    world.vote(request, "approve", "lena")
    world.shop.arm(fault, method="POST")
    post.execute(request)
    post.round()
    told = data(hook, f"request.{kind}")
    assert told["status"] == kind
    assert told["outcome"] == world.reload_as("web", request).outcome != ""


def test_what_a_reviewer_wrote_stays_inside(world: World, post: Post, hook: Receiving) -> None:
    world.vote(world.submit(), "deny", "lena", comment="The customer lied to us, planted.")
    post.round()
    told = data(hook, "request.denied")
    assert (told["status"], told["outcome"]) == ("denied", "")
    assert b"planted" not in b"".join(one.body for one in hook.received)


def test_a_withdrawal_is_told(world: World, post: Post, hook: Receiving) -> None:
    request = world.submit()
    with world.processes.acting_as("door"):
        submit.withdraw(request.pk, by=world.agent, trace_id=TRACE)
    post.round()
    assert data(hook, "request.withdrawn")["status"] == "withdrawn"


def test_that_changes_were_asked_for_is_told_without_the_words(
    world: World, post: Post, hook: Receiving
) -> None:
    request = courses.ask_for_changes(world, world.submit(), message="Words for the agent alone.")
    post.round()
    assert data(hook, "request.changes_requested")["status"] == "changes_requested"
    courses.revise(world, request, amount_minor=900)
    post.round()
    assert [
        one.json["data"]["revision"] for one in hook.received if one.json["type"] == "request.created"
    ] == [1, 2]
    assert "Words for the agent" not in b"".join(one.body for one in hook.received).decode()


def test_an_expiry_is_told(world: World, post: Post, hook: Receiving) -> None:
    request = world.submit()
    with world.processes.acting_as("migrator"):
        past = timezone.now() - timedelta(seconds=1)
        ApprovalRequest.objects.filter(pk=request.pk).update(expires_at=past)
    with world.processes.acting_as("sweeper"):
        assert clock.expire(request.pk, request.tenant_id)
    post.round()
    assert data(hook, "request.expired")["status"] == "expired"


def test_neither_the_reason_nor_a_sensitive_field_leaves_the_house(
    world: World, post: Post, hook: Receiving
) -> None:
    post.add("slack", hook.url)
    reason = "Planted reason of the agent."
    request = world.submit("change_shipping_address", order_id="ord_10001", address=ADDRESS, reason=reason)
    world.vote(request, "approve", "lena")
    post.execute(request)
    post.round()
    sent = b"".join(one.body for one in hook.received).decode()
    assert {one.json.get("type") for one in hook.received} >= {"request.created", "request.succeeded"}
    assert "Planted" not in sent
    assert "98765" not in sent
    assert request.facts_sha256 not in sent


def test_what_undoes_a_request_names_it(world: World, post: Post, hook: Receiving) -> None:
    request = undoing.done(world)
    filed = undoing.file(world, request).request
    post.round()
    told = [one.json["data"] for one in hook.received if one.json["data"]["request_id"] == str(filed.pk)]
    assert [data["undoes"] for data in told] == [str(request.pk)]
    assert all("undoes" not in one.json["data"] for one in hook.received if one.json["data"] not in told)
