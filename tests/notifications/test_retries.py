"""What follows each answer of a receiver, until it took the message or we gave up."""

import logging
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.conf import settings
from django.utils import timezone

from approvals import notifications, outbox
from approvals.models import Outbox, Receiver
from approvals.notifications.delivery import LAST_REFUSAL
from tests.notifications.conftest import Post
from tests.notifications.receiving import Receiving, Reply, answer, hang_up, receiving
from tests.world import World

PLANTED = "PLANTED0SECRET0PATH"


@pytest.fixture
def hook(world: World, post: Post, receiver: Receiving) -> Receiving:
    """A receiver, and one message for it that waits to be sent."""
    post.add("webhook", receiver.url)
    world.submit()
    post.work(post.rows("announce")[0])
    return receiver


def wait_of(row: Outbox) -> float:
    """Seconds until its next turn."""
    return (row.not_before - timezone.now()).total_seconds()


def test_a_message_that_was_taken_is_done_and_on_the_trail(post: Post, hook: Receiving) -> None:
    post.round()
    post.round()
    row = post.only_row()
    assert row.done_at is not None
    assert len(hook.received) == 1
    about = {"receiver_id": str(row.receiver_id), "kind": "request.created", "attempt": 1}
    assert post.told() == [{"event": "notification.delivered", **about}]


@pytest.mark.parametrize(
    "reply", [answer(500), answer(502), answer(408), answer(425), answer(429), answer(503), hang_up]
)
def test_a_bad_day_of_the_receiver_is_waited_out(post: Post, hook: Receiving, reply: Reply) -> None:
    hook.replies.append(reply)
    post.round()
    waiting = post.only_row()
    assert waiting.done_at is None
    assert waiting.gave_up_at is None
    assert 1 < wait_of(waiting) <= 2.5
    post.round()
    first, second = hook.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert post.only_row().done_at is not None
    assert [one["attempt"] for one in post.told()] == [2]


def test_nobody_listening_is_waited_out_too(world: World, post: Post) -> None:
    with receiving() as gone:
        post.add("webhook", gone.url)
    world.submit()
    post.round()
    assert post.only_row().last_error == "it could not be told: ConnectError"
    assert wait_of(post.only_row()) > 1


def test_a_worker_that_dies_after_sending_sends_again_under_the_same_id(post: Post, hook: Receiving) -> None:
    """At least once: the receiver drops what it has seen by the id."""
    (row,) = post.rows()
    with post.world.processes.acting_as("worker"):
        turn = outbox.claimed(row.pk, row.tenant_id)
        claimed = turn.__enter__()
        assert claimed is not None
        notifications.deliver(claimed)
        # The process is gone here: nobody gives the row back.
    post.work(row)
    assert len(hook.received) == 1
    post.make_due(lease_until=timezone.now() - timedelta(seconds=1))
    post.work(row)
    assert len(hook.received) == 2
    assert len({one.headers["webhook-id"] for one in hook.received}) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_to_wait_is_given_the_time(post: Post, hook: Receiving, status: int) -> None:
    hook.replies.append(answer(status, Retry_After="120"))
    post.round()
    assert 110 < wait_of(post.only_row()) <= 120


def test_the_time_may_be_a_date(post: Post, hook: Receiving) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    hook.replies.append(answer(503, Retry_After=later))
    post.round()
    assert 280 < wait_of(post.only_row()) <= 300


@pytest.mark.parametrize("nonsense", ["soon", "-5", "", "1e9", "Wed, 99 Foo 2026"])
def test_nonsense_instead_of_a_time_is_ignored(post: Post, hook: Receiving, nonsense: str) -> None:
    hook.replies.append(answer(503, Retry_After=nonsense))
    post.round()
    assert wait_of(post.only_row()) <= 2.5


def test_nobody_can_make_us_wait_longer_than_an_hour(post: Post, hook: Receiving) -> None:
    hook.replies.append(answer(503, Retry_After="999999999999"))
    post.round()
    assert 3500 < wait_of(post.only_row()) <= 3600


def test_a_receiver_that_is_gone_is_left_alone_at_once(post: Post, hook: Receiving) -> None:
    hook.replies.append(answer(410))
    post.round()
    post.round()
    row = post.only_row()
    assert row.gave_up_at is not None
    assert len(hook.received) == 1
    about = {"receiver_id": str(row.receiver_id), "kind": "request.created", "attempt": 1}
    assert post.told() == [{"event": "notification.failed", **about, "because": "it answered 410"}]


@pytest.mark.parametrize("status", [400, 404])
def test_a_receiver_that_says_no_gets_a_few_tries_in_case_it_is_being_mended(
    post: Post, hook: Receiving, status: int
) -> None:
    hook.replies += [answer(status)] * 100
    for _ in range(LAST_REFUSAL + 2):
        post.round()
    assert len(hook.received) == LAST_REFUSAL
    assert post.only_row().gave_up_at is not None
    assert [one["event"] for one in post.told()] == ["notification.failed"]


def test_a_receiver_that_never_answers_becomes_a_dead_letter(post: Post, hook: Receiving) -> None:
    hook.replies += [answer(500)] * 100
    for _ in range(outbox.LAST_DELIVERY + 2):
        post.round()
    assert len(hook.received) == outbox.LAST_DELIVERY
    row = post.only_row()
    assert (row.done_at, row.last_error) == (None, "it answered 500")
    assert row.gave_up_at is not None
    assert [(one["event"], one["attempt"]) for one in post.told()] == [
        ("notification.failed", outbox.LAST_DELIVERY)
    ]


def test_a_redirect_is_not_followed(post: Post, hook: Receiving) -> None:
    with receiving() as elsewhere:
        hook.replies.append(answer(307, Location=elsewhere.url))
        post.round()
        assert elsewhere.received == []
    assert post.only_row().last_error == "it answered 307"


def test_a_receiver_that_was_switched_off_hears_no_more(post: Post, hook: Receiving) -> None:
    with post.world.processes.acting_as("migrator"):
        Receiver.objects.filter(tenant=post.world.tenant).update(is_active=False)
    post.round()
    assert hook.received == []
    assert post.only_row().gave_up_at is not None
    assert post.told()[0]["because"] == "the receiver was switched off"


def test_what_waits_while_its_receiver_is_off_is_sent_when_it_is_on_again(
    post: Post, hook: Receiving
) -> None:
    hook.replies.append(answer(500))
    post.round()
    (waiting,) = post.rows()
    assert waiting.receiver_id
    with post.world.processes.acting_as("web"):
        for on in (False, True):
            notifications.switch(waiting.receiver_id, on=on, by=post.world.reviewer("opal"))
    post.round()
    assert (len(hook.received), bool(post.only_row().done_at)) == (2, True)


def test_a_url_that_can_not_be_opened_any_more_ends_as_a_dead_letter(post: Post, hook: Receiving) -> None:
    """Its encryption key is gone: waiting does not help, and waiting for ever would hide it."""
    with post.world.processes.acting_as("migrator"):
        Receiver.objects.filter(tenant=post.world.tenant).update(sealed_url=b"not ours")
    post.round()
    assert post.only_row().last_error == "it could not be told: InvalidToken"
    post.make_due(attempts=outbox.LAST_DELIVERY - 1)
    post.round()
    assert post.only_row().gave_up_at is not None


def https(url: str) -> str:
    return url.replace("http:", "https:")


def unchanged(url: str) -> str:
    return url


def nowhere(url: str) -> str:
    """RFC 6761, section 6.4: no such name is ever there."""
    return f"https://nothing.invalid/{url.rpartition('/')[2]}"


SENT_TO_NOBODY = "the name in its address leads nowhere (DNS)"
NOT_LOOKED_UP = "the name in its address could not be looked up for now (DNS)"


@pytest.mark.parametrize(
    ("said", "words"), [(socket.EAI_NONAME, SENT_TO_NOBODY), (socket.EAI_AGAIN, NOT_LOOKED_UP)]
)
def test_our_own_resolvers_trouble_is_not_told_as_a_name_that_leads_nowhere(
    world: World, post: Post, said: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> list[str]:
        raise socket.gaierror(said, "PLANTED")

    post.add("webhook", "https://hooks.example.com/")
    monkeypatch.setattr("approvals.notifications.post.addresses", fails)
    world.submit()
    post.round()
    assert post.only_row().last_error == words


@pytest.mark.parametrize(
    ("url_of", "reply", "private_allowed", "error"),
    [
        (unchanged, answer(200), True, ""),
        (unchanged, answer(410), True, "it answered 410"),
        (unchanged, hang_up, True, "it could not be told: RemoteProtocolError"),
        (https, hang_up, True, "it could not be told: ConnectError"),
        (nowhere, hang_up, True, "the name in its address leads nowhere (DNS)"),
        (https, hang_up, False, "it could not be told: AddressRefused"),
        (unchanged, hang_up, False, "it could not be told: ReceiverRefused"),
    ],
)
def test_neither_url_nor_secret_is_ever_written_down(
    world: World,
    post: Post,
    receiver: Receiving,
    url_of: Callable[[str], str],
    reply: Reply,
    private_allowed: bool,
    error: str,
    monkeypatch: pytest.MonkeyPatch,
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    secret = notifications.new_secret()
    post.add("webhook", url_of(receiver.url), secret=secret)
    monkeypatch.setattr(settings, "ALLOW_PRIVATE_RECEIVERS", private_allowed)
    receiver.replies.append(reply)
    world.submit()
    post.round()
    row, logged = post.only_row(), everything_logged.records
    assert row.last_error == error
    assert [one.__dict__["because"] for one in logged if one.msg == "message not delivered"] == [error][
        : bool(error)
    ]
    written = "\n".join(
        [row.last_error, str(row), str(post.told())]
        + [logging.Formatter().format(record) + str(record.__dict__) for record in logged]
    )
    for secret_part in (PLANTED, secret, secret.removeprefix("whsec_")):
        assert secret_part not in written
