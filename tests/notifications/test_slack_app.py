"""A Slack app in a channel, against a stand-in that checks what it gets: one card a request, edited in place."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from approvals import clock, notifications, outbox
from approvals.database import tenant_scope
from approvals.errors import NoTokenToReplace
from approvals.models import ApprovalRequest, Outbox, Receiver, ReceiverSecret, SlackCard
from approvals.notifications import ReceiverRefused, slack_app
from approvals.queries import SoughtMessages, deliveries
from tests import courses
from tests.notifications.conftest import Post
from tests.notifications.fake_slack import FakeSlack, Fault, fake_slack
from tests.people.asking import HOUR, LEAD, asking
from tests.people.test_urging import later
from tests.world import World

TOKEN = "-".join(("xoxb", "1" * 12, "PLANTED0TOKEN"))


@pytest.fixture
def slack(world: World, post: Post, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    """The stand-in, with a receiver for its channel; at the end it has no complaint."""
    with fake_slack(TOKEN) as standing_in:
        monkeypatch.setattr(settings, "SLACK_API_URL", standing_in.url)
        added(world, standing_in.channel)
        yield standing_in
        assert standing_in.complaints == []


def added(world: World, channel: str, token: str = TOKEN) -> Receiver:
    with world.processes.acting_as("migrator"):
        return notifications.add_receiver(
            world.tenant, Receiver.SLACK_APP, "refunds", "", token, channel=channel
        )


def announced(world: World, request: ApprovalRequest, kind: str) -> Outbox:
    """The message of another event about the request, ready to be sent."""
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        outbox.announce(request, kind)
        notifications.announce(Outbox.objects.filter(topic="announce", kind=kind).latest("created_at"))
        return Outbox.objects.filter(topic="deliver", kind=kind).latest("created_at")


def methods(slack: FakeSlack) -> list[str]:
    return [method for method, _ in slack.calls]


def test_one_card_is_posted_and_edited_as_the_request_moves(
    world: World, post: Post, slack: FakeSlack
) -> None:
    request = world.submit()
    post.round()
    assert slack.headers_of() == ["✋ Waiting for a decision"]
    (button,) = next(iter(slack.messages.values()))["blocks"][-1]["elements"]
    assert button["url"] == f"{settings.PUBLIC_URL}/requests/{request.pk}/"
    world.vote(request, "approve", "lena")
    post.round()
    post.execute(request)
    post.round()
    assert slack.headers_of() == ["✅ Carried out"]
    assert methods(slack) == ["chat.postMessage", "chat.update", "chat.update"]
    assert [one["event"] for one in post.told()] == ["notification.delivered"] * 3


def test_two_requests_have_two_cards(world: World, post: Post, slack: FakeSlack) -> None:
    world.submit()
    denied = world.submit(payment_id="pay_10002", amount_minor=900)
    post.round()
    world.vote(denied, "deny", "lena", comment="Not this one.")
    post.round()
    assert sorted(slack.headers_of()) == ["⛔ Denied", "✋ Waiting for a decision"]


def test_a_reminder_is_seen_in_the_channel_and_the_card_stays_the_requests(
    world: World, post: Post, slack: FakeSlack
) -> None:
    request = asking(world, LEAD)
    post.round()
    later(world, request, 40 * HOUR)
    with world.processes.acting_as("sweeper"):
        assert clock.remind(request.pk, request.tenant_id)
    post.round()
    first, reminder = slack.messages.values()
    assert reminder["reply_broadcast"] is True
    assert reminder["thread_ts"] == next(iter(slack.messages))
    assert first["blocks"][0]["text"]["text"] == "✋ Waiting for a decision"
    world.vote(request, "deny", "lena", comment="Not this one.")
    post.round()
    assert slack.headers_of()[0] == "⛔ Denied"
    assert len(slack.messages) == 2


def test_a_request_that_comes_back_gets_a_card_of_its_own(world: World, post: Post, slack: FakeSlack) -> None:
    """Reviewers have to see that it waits for them again."""
    request = courses.ask_for_changes(world, world.submit(), message="Half of it, please.")
    post.round()
    courses.revise(world, request, amount_minor=900)
    post.round()
    world.vote(request, "deny", "mara", comment="Not this one.")
    post.round()
    assert slack.headers_of() == ["✏️ A reviewer asked the agent for changes", "⛔ Denied (revision 2)"]
    assert methods(slack) == ["chat.postMessage", "chat.update", "chat.postMessage", "chat.update"]


def test_what_came_earlier_never_stands_in_place_of_what_came_later(
    world: World, post: Post, slack: FakeSlack
) -> None:
    """The messages of three events overtake each other: sent in every order, the card ends as the last event."""
    request = world.submit()
    world.vote(request, "approve", "lena")
    post.execute(request)
    for row in post.rows("announce"):
        post.work(row)
    post.make_due()
    for row in sorted(post.rows(), key=lambda row: row.kind, reverse=True):  # succeeded, created, approved
        post.work(row)
    assert slack.headers_of() == ["✅ Carried out"]
    assert methods(slack) == ["chat.postMessage"]
    assert [one.get("because") for one in post.told()] == [
        None,
        "a newer event stands on its card already",
        "a newer event stands on its card already",
    ]
    assert [one["event"] for one in post.told()[1:]] == ["notification.dropped"] * 2


def test_what_was_overtaken_is_not_called_delivered_when_it_is_sent_again(
    world: World, post: Post, slack: FakeSlack
) -> None:
    request = world.submit()
    post.round()
    world.vote(request, "deny", "lena", comment="Not this one.")
    post.round()
    (created,) = (row for row in post.rows() if row.kind == "request.created")
    assert created.done_at
    with world.processes.acting_as("web"):
        notifications.send_again(created.pk, ended_at=created.done_at, by=world.reviewer("opal"))
    calls = len(slack.calls)
    post.round()
    assert len(slack.calls) == calls
    with world.processes.acting_as("web"):
        sent = {one.id: one for one in deliveries(world.reviewer("opal"), SoughtMessages()).rows}
    assert (sent[created.pk].state, sent[created.pk].because) == ("dropped", slack_app.OUTDATED.note)


def test_an_end_stands_whatever_the_clock_of_another_machine_says(
    world: World, post: Post, slack: FakeSlack
) -> None:
    request = world.submit()
    post.round()
    world.vote(request, "deny", "lena", comment="Not this one.")
    post.round()
    late = announced(world, request, "request.approved")
    with world.processes.acting_as("migrator"):
        Outbox.objects.filter(topic="announce", kind=late.kind).update(
            created_at=timezone.now() + timedelta(hours=1)
        )
    post.work(late)
    assert slack.headers_of() == ["⛔ Denied"]


def clock_behind(world: World, kind: str) -> None:
    """As if the announcements of this kind had been written by a machine whose clock is half a minute behind."""
    with world.processes.cursor("admin") as shell:
        shell.execute(
            "UPDATE outbox SET created_at = created_at - interval '30 seconds' WHERE topic = 'announce' AND kind = %s "
            "AND id = (SELECT id FROM outbox WHERE kind = %s AND topic = 'announce' ORDER BY created_at DESC LIMIT 1)",
            [kind, kind],
        )


def test_what_comes_later_in_a_requests_life_is_shown_whatever_the_clocks_say(
    world: World, post: Post, slack: FakeSlack
) -> None:
    request = courses.ask_for_changes(world, world.submit(), message="Half of it, please.")
    post.round()
    courses.revise(world, request, amount_minor=900)
    clock_behind(world, "request.created")
    post.round()
    assert slack.headers_of()[-1] == "✋ Waiting for a decision (revision 2)"
    world.vote(request, "approve", "mara")
    clock_behind(world, "request.approved")
    post.round()
    assert slack.headers_of()[-1].startswith("👍 Approved")
    announced(world, world.reload_as("web", request), "request.uncertain")
    clock_behind(world, "request.uncertain")
    post.round()
    assert slack.headers_of()[-1].startswith("❓ Sent, and no clear answer")


def test_two_workers_at_one_moment_post_one_card(world: World, post: Post, slack: FakeSlack) -> None:
    request = world.submit()
    world.vote(request, "approve", "lena")
    for row in post.rows("announce"):
        post.work(row)
    rows, slack.gate = post.rows(), threading.Event()
    assert len(rows) == 2

    def tell(row: Outbox) -> None:
        try:
            post_alone(row)
        finally:
            connection.close()

    with world.processes.acting_as("worker"), ThreadPoolExecutor(2) as pool:
        working = [pool.submit(tell, row) for row in rows]
        while not any(one.done() for one in working):  # one of them finds the card taken
            pass
        slack.gate.set()
    assert [row.last_error for row in post.rows() if not row.done_at] == [slack_app.BUSY.words]
    post.round()
    assert slack.headers_of() == ["👍 Approved, to be carried out if all of it still holds"]
    assert methods(slack).count("chat.postMessage") == 1


def post_alone(row: Outbox) -> None:
    from approvals import tasks

    tasks.deliver(str(row.pk), str(row.tenant_id))


def test_a_card_that_somebody_deleted_is_posted_anew(world: World, post: Post, slack: FakeSlack) -> None:
    request = world.submit()
    post.round()
    slack.messages.clear()
    world.vote(request, "approve", "lena")
    post.round()
    assert slack.headers_of() == ["👍 Approved, to be carried out if all of it still holds"]
    assert methods(slack) == ["chat.postMessage", "chat.update", "chat.postMessage"]
    post.execute(request)
    post.round()
    assert slack.headers_of() == ["✅ Carried out"]


def test_an_answer_that_got_lost_ends_in_one_card_that_is_edited(
    world: World, post: Post, slack: FakeSlack
) -> None:
    """At least once: the first card may stay, and only the one that is known is edited."""
    slack.faults.append(Fault(status=502, after_doing_it=True))
    request = world.submit()
    post.round()
    post.round()
    assert len(slack.messages) == 2
    world.vote(request, "deny", "lena", comment="Not this one.")
    post.round()
    assert slack.headers_of() == ["✋ Waiting for a decision", "⛔ Denied"]


@pytest.mark.parametrize(
    "fault",
    [Fault(status=429, retry_after="120"), Fault(error="ratelimited", retry_after="120")],
    ids=["status", "word"],
)
def test_a_limit_of_slacks_is_waited_out(world: World, post: Post, slack: FakeSlack, fault: Fault) -> None:
    slack.faults.append(fault)
    world.submit()
    post.round()
    row = post.only_row()
    assert 110 < (row.not_before - timezone.now()).total_seconds() <= 120
    post.round()
    assert post.only_row().done_at
    assert len(slack.messages) == 1


@pytest.mark.parametrize("error", ["internal_error", "fatal_error", "service_unavailable"])
def test_trouble_of_slacks_own_passes(world: World, post: Post, slack: FakeSlack, error: str) -> None:
    slack.faults.append(Fault(error=error))
    world.submit()
    post.round()
    assert post.only_row().last_error == f"Slack had trouble of its own ({error})"
    post.round()
    assert post.only_row().done_at


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("channel_not_found", "invite the app to it (channel_not_found)"),
        ("invalid_auth", "make a new one and give it to the receiver (invalid_auth)"),
        ("token_revoked", "make a new one and give it to the receiver (token_revoked)"),
        ("not_in_channel", "invite it there (not_in_channel)"),
        ("missing_scope", "give it the scope chat:write"),
        ("is_archived", "the channel is archived"),
        ("restricted_action", "Slack did not take it (restricted_action)"),
        ("invalid_blocks", "Slack did not take it (invalid_blocks)"),
    ],
)
def test_what_waiting_does_not_mend_is_a_dead_letter_with_words_for_the_operator(
    world: World, post: Post, slack: FakeSlack, error: str, words: str
) -> None:
    slack.faults.append(Fault(error=error))
    world.submit()
    post.round()
    row = post.only_row()
    assert row.gave_up_at
    assert words in row.last_error
    assert [one["event"] for one in post.told()] == ["notification.failed"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("some_new_word", "Slack did not take it (some_new_word)"),
        ("<script>alert(1)</script> planted", "Slack did not take it (unknown_error)"),
    ],
)
def test_a_word_that_nobody_here_knows_may_pass(
    world: World, post: Post, slack: FakeSlack, error: str, words: str
) -> None:
    slack.faults.append(Fault(error=error))
    world.submit()
    post.round()
    assert (post.only_row().last_error, post.only_row().gave_up_at) == (words, None)
    post.round()
    assert post.only_row().done_at


def test_nonsense_in_place_of_an_answer_is_tried_again(world: World, post: Post, slack: FakeSlack) -> None:
    slack.faults.append(Fault())
    world.submit()
    post.round()
    assert post.only_row().last_error == "what Slack answered was not understood"
    post.round()
    assert post.only_row().done_at


def test_a_card_that_was_refused_is_free_for_the_next_message(
    world: World, post: Post, slack: FakeSlack
) -> None:
    slack.faults.append(Fault(error="is_archived"))
    request = world.submit()
    post.round()
    world.vote(request, "deny", "lena", comment="Not this one.")
    post.round()
    assert slack.headers_of() == ["⛔ Denied"]
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        card = SlackCard.objects.get()
    assert (card.token, card.status) == (None, "denied")


def test_a_worker_that_died_with_a_card_holds_it_for_a_minute(
    world: World, post: Post, slack: FakeSlack
) -> None:
    request = world.submit()
    post.round()
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        card = SlackCard.objects.filter(request=request)
        card.update(token=request.pk, claimed_until=timezone.now() + slack_app.CLAIM)
    world.vote(request, "deny", "lena", comment="Not this one.")
    post.round()
    assert slack.headers_of() == ["✋ Waiting for a decision"]
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        card.update(claimed_until=timezone.now() - timedelta(seconds=1))
    post.round()
    assert slack.headers_of() == ["⛔ Denied"]


def test_a_strangers_words_are_never_mark_up(world: World, post: Post, slack: FakeSlack) -> None:
    hostile = "<!channel> <https://evil.example|Approve> & *bold* \u202e"
    world.agent = replace(world.agent, name=hostile)
    request = world.submit()
    post.round()
    world.vote(request, "deny", "lena", comment="Not this one.")
    post.round()
    fields = [field["text"] for field in next(iter(slack.messages.values()))["blocks"][2]["fields"]]
    assert "Asked by: <!channel> <https://evil.example|Approve> & *bold* [U+202E]" in fields
    assert slack.complaints == []


def test_a_test_goes_to_the_channel(world: World, post: Post, slack: FakeSlack) -> None:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        receiver = Receiver.objects.get()
    with world.processes.acting_as("web"):
        notifications.send_test(receiver.pk, by=world.reviewer("opal"))
    post.round()
    assert slack.headers_of() == ["🔔 A test of refunds"]


def test_a_token_is_replaced_at_once(world: World, post: Post, slack: FakeSlack) -> None:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        receiver, current = Receiver.objects.get(), ReceiverSecret.objects.get()
    other = TOKEN + "0NEW"
    with world.processes.acting_as("web"):
        by = world.reviewer("opal")
        notifications.replace_token(receiver.pk, other, instead_of=current.pk, by=by)
        with pytest.raises(ReceiverRefused, match="begins with xoxb"):
            notifications.replace_token(receiver.pk, "planted", instead_of=current.pk, by=by)
    slack.token = other
    world.submit()
    post.round()
    assert post.only_row().done_at
    hook = post.add("webhook", "http://127.0.0.1:9/")
    with world.processes.acting_as("web"), pytest.raises(NoTokenToReplace):
        notifications.replace_token(hook.pk, other, instead_of=current.pk, by=world.reviewer("opal"))


@pytest.mark.parametrize(
    ("channel", "token"),
    [("refunds", TOKEN), ("C0123456789", "planted"), ("", TOKEN), ("C0123456789", ""), ("c012345678", TOKEN)],
)
def test_a_channel_or_token_that_slack_would_not_know_is_refused(
    world: World, channel: str, token: str
) -> None:
    with pytest.raises(ReceiverRefused) as refusal:
        added(world, channel, token)
    assert "planted" not in str(refusal.value)


def test_the_token_is_nowhere_but_sealed(
    world: World, post: Post, slack: FakeSlack, everything_logged: pytest.LogCaptureFixture
) -> None:
    slack.faults += [Fault(error="internal_error"), Fault(error="invalid_auth")]
    world.submit()
    post.round()
    post.round()
    written: list[Any] = [str(post.told()), post.only_row().last_error]
    with world.processes.cursor("admin") as shell:
        shell.execute("SELECT string_agg(r::text, ' ') FROM receiver r")
        written += shell.fetchone() or []
        shell.execute("SELECT string_agg(s::text, ' ') FROM receiver_secret s")
        written += shell.fetchone() or []
    written += [str(record.__dict__) for record in everything_logged.records]
    assert "PLANTED0TOKEN" not in " ".join(map(str, written))
