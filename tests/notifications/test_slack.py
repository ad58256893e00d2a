"""The Slack card: its shape and limits, and what a stranger's words cannot do to it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.conf import settings

from approvals.actions.contract import Money
from approvals.notifications import slack
from approvals.notifications.message import EVENTS, Message
from approvals.notifications.text import visible
from approvals.states import Status
from tests.notifications.cards import check_shape, texts
from tests.notifications.conftest import Post
from tests.notifications.receiving import Receiving
from tests.world import World

AUTO = """
policy: 1
name: auto
actions:
  refund_payment:
    rules:
      - { name: quick, when: "true", because: "Nobody has to look.", then: auto_approve }
"""
MESSAGE = Message(
    id=uuid4(),
    kind="request.created",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    status=Status.PENDING,
    request_id=uuid4(),
    revision=1,
    action="refund_payment",
    headline="Refund 129.00 USD",
    amount=Money(12900, "USD"),
    requester="Support bot",
    outcome="",
    backing_reference="",
    review_url="https://example.com/requests/1/",
)


def test_a_new_request_arrives_as_a_card_with_a_button_to_its_page(
    world: World, post: Post, receiver: Receiving
) -> None:
    post.add("slack", receiver.url, secret="")
    request = world.submit()
    post.round()
    (got,) = receiver.received
    card = got.json
    check_shape(card)
    shown = [text["text"] for text in texts(card)]
    assert shown[0] == "✋ Waiting for a decision"
    assert shown[1] == request.headline
    assert "Amount: 129.00 USD" in shown
    assert "Asked by: Support bot" in shown
    (button,) = card["blocks"][-1]["elements"]
    assert button["url"] == f"{settings.PUBLIC_URL}/requests/{request.pk}/"
    assert request.headline in card["text"]
    assert got.headers["content-type"] == "application/json"
    assert "webhook-signature" not in got.headers


def test_of_what_a_rule_lets_through_no_card_says_that_somebody_is_waited_for(
    world: World, post: Post, receiver: Receiving
) -> None:
    post.add("slack", receiver.url, secret="")
    world.put_in_force(AUTO)
    world.submit()
    post.round()
    (got,) = receiver.received
    assert got.json["blocks"][0]["text"]["text"] == slack.LET_THROUGH
    (button,) = got.json["blocks"][-1]["elements"]
    assert button["text"]["text"] == "Open the request" and "style" not in button


def test_a_card_that_comes_again_says_of_when_it_is() -> None:
    """What waited then may have been denied since, and a webhook's card cannot be edited."""
    for edited in (False, True):
        shown = [text["text"] for text in texts(slack.card(MESSAGE, is_edited=edited))]
        assert "When: 1 Jan 2026, 00:00 UTC" in shown


def test_a_success_says_what_came_of_it(world: World, post: Post, receiver: Receiving) -> None:
    post.add("slack", receiver.url)
    request = world.submit()
    world.vote(request, "approve", "lena")
    post.execute(request)
    post.round()
    (card,) = [one.json for one in receiver.received if one.json["text"].startswith("✅ Carried out")]
    (entry,) = world.ledger(request)
    shown = [text["text"] for text in texts(card)]
    assert f"Reference: {entry['id']}" in shown
    assert "129.00 USD refunded to the card it was paid with" in shown


def test_every_event_has_words_beside_its_sign() -> None:
    for kind, status in EVENTS.items():
        words = slack.card(replace(MESSAGE, kind=kind, status=status))["blocks"][0]["text"]["text"]
        assert len([letter for letter in words if letter.isalpha()]) >= 4, kind


def test_a_request_that_came_back_says_so() -> None:
    assert "(revision 2)" in slack.card(replace(MESSAGE, revision=2))["blocks"][0]["text"]["text"]


def test_the_longest_texts_stay_within_slacks_limits() -> None:
    longest = replace(
        MESSAGE,
        headline=visible("\u202e" * 300, 600),
        requester=visible("&" * 100, 200),
        outcome=visible("\u200b" * 1000, 1000),
        backing_reference="r" * 200,
        status=Status.FAILED,
    )
    check_shape(slack.card(longest))
    check_shape(slack.card(replace(longest, headline="<" * 600)))


def test_a_strangers_words_are_never_mark_up(world: World, post: Post, receiver: Receiving) -> None:
    """The agent's name and the headline try to call the channel, and to disguise a link."""
    hostile = "<!channel> <https://evil.example|Approve> & *bold*"
    post.add("slack", receiver.url)
    world.agent = replace(world.agent, name=hostile)
    world.submit()
    post.round()
    card = receiver.received[0].json
    assert {text["type"] for text in texts(card)} == {"plain_text"}
    assert f"Asked by: {hostile}" in [text["text"] for text in texts(card)]
    fallback = slack.card(replace(MESSAGE, headline=hostile))["text"]
    assert "&lt;!channel&gt; &lt;https://evil.example|Approve&gt; &amp; *bold*" in fallback
    assert "<" not in fallback
    assert (card["unfurl_links"], card["unfurl_media"]) == (False, False)


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("Refund \u202e00.1\u202c USD", "Refund [U+202E]00.1[U+202C] USD"),
        ("Re\u200bfund", "Re[U+200B]fund"),
        ("Refund\u2028Approved", "Refund[U+2028]Approved"),
        ("Refund\n\n\tApproved  now", "Refund Approved now"),
        ("Refund\x00\x1b[2J", "Refund[U+0000][U+001B][2J"),
        ("tag\U000e0041", "tag[U+E0041]"),
        ("filler\u3164\u2800", "filler[U+3164][U+2800]"),
        ("Grüße, 返金 👍", "Grüße, 返金 👍"),
    ],
)
def test_what_can_not_be_seen_is_written_out(hidden: str, shown: str) -> None:
    assert visible(hidden, 100) == shown


def test_a_text_that_is_too_long_ends_in_an_ellipsis() -> None:
    assert visible("x" * 31, 30) == "x" * 17 + "… (shortened)"
    assert visible("x" * 30, 30) == "x" * 30


def test_a_look_alike_stands_with_its_number_in_every_message(
    world: World, post: Post, receiver: Receiving
) -> None:
    """What `message` makes visible, a card and a webhook carry."""
    world.agent = replace(world.agent, name="P\u0430ypal helper")
    post.add("slack", receiver.url)
    post.add("webhook", receiver.url)
    world.submit()
    post.round()
    sent = [one.json for one in receiver.received]
    assert len(sent) == 2
    for body in sent:
        assert "P\u0430[U+0430]ypal helper" in json.dumps(body, ensure_ascii=False)


def test_what_cannot_be_undone_says_so_while_people_decide(
    world: World, post: Post, receiver: Receiving
) -> None:
    post.add("slack", receiver.url)
    request = world.submit()
    post.round()
    world.vote(request, "deny", "lena", comment="Not now.")
    post.round()
    waiting, over = (json.dumps(got.json, ensure_ascii=False) for got in receiver.received)
    assert "This cannot be undone: A refund leaves for the" in waiting
    assert "cannot be undone" not in over


def test_it_names_the_request_that_another_one_undoes() -> None:
    undone = uuid4()
    card = slack.card(replace(MESSAGE, undoes=undone))
    check_shape(card)
    assert f"Undoes request: {undone}" in [text["text"] for text in texts(card)]


def test_a_card_that_cannot_be_edited_says_what_it_replaces() -> None:
    decided = replace(MESSAGE, kind="request.denied", status=Status.DENIED)
    check_shape(slack.card(decided))
    assert slack.REPLACES in [text["text"] for text in texts(slack.card(decided))]
    assert slack.REPLACES not in [text["text"] for text in texts(slack.card(decided, is_edited=True))]
    assert slack.REPLACES not in [text["text"] for text in texts(slack.card(MESSAGE))]
