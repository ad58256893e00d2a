"""An operator has a message sent once more: under its id, and once however often the button is pressed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import uuid4

import pytest
from django.db import connection

from approvals import notifications
from approvals.errors import MessageMovedOn, NotFound, ReceiverIsOff, ReceiversByOperators
from approvals.models import Outbox
from approvals.notifications import operating
from tests.notifications.conftest import Post
from tests.notifications.receiving import Receiving, answer
from tests.world import World, break_the_trail


@pytest.fixture
def delivered(world: World, post: Post, receiver: Receiving) -> Outbox:
    post.add("webhook", receiver.url)
    world.submit()
    post.round()
    return post.only_row()


def ended(row: Outbox) -> datetime:
    found = row.done_at or row.gave_up_at
    assert found
    return found


def again(world: World, row: Outbox, by: str = "opal") -> None:
    with world.processes.acting_as("web"):
        notifications.send_again(row.pk, ended_at=ended(row), by=world.reviewer(by))


def test_it_comes_again_under_its_id(
    world: World, post: Post, receiver: Receiving, delivered: Outbox
) -> None:
    again(world, delivered)
    post.round()
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert world.events().count("notification.sent_again") == 1
    assert len(post.told()) == 3


def test_a_dead_letter_gets_all_its_attempts_anew(world: World, post: Post, receiver: Receiving) -> None:
    post.add("webhook", receiver.url)
    world.submit()
    receiver.replies.append(answer(410))
    post.round()
    dead = post.only_row()
    assert dead.gave_up_at
    again(world, dead)
    row = post.only_row()
    assert (row.gave_up_at, row.attempts, row.last_error) == (None, 0, "")
    post.round()
    assert post.only_row().done_at


def test_two_clicks_send_it_once(world: World, post: Post, receiver: Receiving, delivered: Outbox) -> None:
    again(world, delivered)
    with pytest.raises(MessageMovedOn):
        again(world, delivered)
    post.round()
    with pytest.raises(MessageMovedOn):  # also when it has ended anew meanwhile
        again(world, delivered)
    assert len(receiver.received) == 2
    assert world.events().count("notification.sent_again") == 1


def test_clicks_at_the_same_moment_send_it_once(world: World, post: Post, delivered: Outbox) -> None:
    start, by = threading.Barrier(4), world.reviewer("opal")

    def press(_: int) -> bool:
        start.wait()
        try:
            notifications.send_again(delivered.pk, ended_at=ended(delivered), by=by)
        except MessageMovedOn:
            return False
        finally:
            connection.close()
        return True

    with world.processes.acting_as("web"), ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(press, range(4))) == [False, False, False, True]
    assert world.events().count("notification.sent_again") == 1


def test_what_is_not_there_not_theirs_or_no_message_is_not_sent(
    world: World, post: Post, receiver: Receiving, delivered: Outbox
) -> None:
    with world.processes.acting_as("web"):
        by = world.reviewer("opal")
        order = post.rows("announce")[0]
        for pk in (uuid4(), order.pk):
            with pytest.raises(NotFound):
                notifications.send_again(pk, ended_at=ended(delivered), by=by)
        for who in ("lena", "gus"):
            with pytest.raises((ReceiversByOperators, NotFound)):
                notifications.send_again(delivered.pk, ended_at=ended(delivered), by=world.reviewer(who))
    post.round()
    assert len(receiver.received) == 1


def test_a_receiver_that_is_off_gets_nothing_again(world: World, post: Post, delivered: Outbox) -> None:
    assert delivered.receiver_id
    with world.processes.acting_as("web"):
        notifications.switch(delivered.receiver_id, on=False, by=world.reviewer("opal"))
    with pytest.raises(ReceiverIsOff):
        again(world, delivered)


def test_without_its_event_nothing_is_sent_again(
    world: World, post: Post, delivered: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_the_trail(monkeypatch, operating)
    with pytest.raises(RuntimeError, match="the trail is full"):
        again(world, delivered)
    assert post.only_row().done_at == delivered.done_at
