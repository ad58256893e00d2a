"""A test of one receiver: through the outbox, to it alone, and about no request."""

import json

import pytest
from standardwebhooks import Webhook

from approvals import notifications
from approvals.errors import ReceiverIsOff, TestOnItsWay
from approvals.notifications.trial import LAST_TEST
from tests.notifications.conftest import SECRET, Post
from tests.notifications.receiving import Receiving, answer, receiving
from tests.world import World


def press(world: World, receiver_id: object) -> None:
    with world.processes.acting_as("web"):
        notifications.send_test(receiver_id, by=world.reviewer("opal"))  # type: ignore[arg-type]


def test_only_that_receiver_is_told_that_it_is_a_test(world: World, post: Post, receiver: Receiving) -> None:
    with receiving() as other:
        post.add("webhook", other.url)
        press(world, post.add("webhook", receiver.url).pk)
        post.round()
        assert other.received == []
    (got,) = receiver.received
    told = Webhook(SECRET).verify(got.body, dict(got.headers))
    assert told["type"] == "receiver.test"
    assert told["data"] == {
        "notice": "This is a test. An operator of Countersign wants to see whether messages arrive here. "
        "Nothing was asked for.",
        "receiver": "The receiver",
    }
    row = post.only_row()
    assert row.done_at
    assert got.headers["webhook-id"] == str(row.pk)
    assert [one["event"] for one in post.told()] == ["notification.delivered"]
    assert "receiver.tested" in world.events()


def test_a_slack_channel_gets_a_card_with_nothing_to_press(
    world: World, post: Post, receiver: Receiving
) -> None:
    press(world, post.add("slack", receiver.url).pk)
    post.round()
    card = receiver.received[0].json
    assert "A test of The receiver" in card["text"]
    assert {block["type"] for block in card["blocks"]} == {"header", "section"}
    assert "button" not in json.dumps(card)


def test_a_test_that_fails_is_told_soon_and_not_tried_for_hours(
    world: World, post: Post, receiver: Receiving
) -> None:
    press(world, post.add("webhook", receiver.url).pk)
    receiver.replies += [answer(500)] * 10
    for _ in range(LAST_TEST + 2):
        post.round()
    assert len(receiver.received) == LAST_TEST
    row = post.only_row()
    assert (row.done_at, row.last_error) == (None, "it answered 500")
    assert row.gave_up_at


def test_one_test_at_a_time_and_none_while_it_is_off(world: World, post: Post, receiver: Receiving) -> None:
    added = post.add("webhook", receiver.url)
    press(world, added.pk)
    with pytest.raises(TestOnItsWay):
        press(world, added.pk)
    post.round()
    press(world, added.pk)
    post.round()
    assert len(receiver.received) == 2
    with world.processes.acting_as("web"):
        notifications.switch(added.pk, on=False, by=world.reviewer("opal"))
    with pytest.raises(ReceiverIsOff):
        press(world, added.pk)


def test_a_name_that_misleads_is_shown_for_what_it_is_in_every_channel(
    world: World, post: Post, receiver: Receiving
) -> None:
    """An operator of today may have been fooled by one of yesterday."""
    hostile = 'Pay\u202e<!channel> <https://evil.example|ok> & "x"'
    for kind in ("webhook", "slack"):
        with world.processes.acting_as("migrator"):
            added = notifications.add_receiver(world.tenant, kind, hostile, receiver.url, SECRET)
        press(world, added.pk)
    post.round()
    hook = next(one.json for one in receiver.received if "type" in one.json)
    card = next(one.json for one in receiver.received if "blocks" in one.json)
    shown = 'Pay[U+202E]<!channel> <https://evil.example|ok> & "x"'
    assert hook["data"]["receiver"] == shown
    assert card["blocks"][0]["text"] == {
        "type": "plain_text",
        "text": f"🔔 A test of {shown}",
        "emoji": False,
    }
    assert "<" not in card["text"]
    assert "&lt;!channel&gt;" in card["text"]
