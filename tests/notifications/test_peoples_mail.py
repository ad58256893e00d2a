"""Letters that people chose: at once, once a day, reminders; left alone in quiet hours, and never sent in vain."""

import smtplib
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.db import IntegrityError
from django.utils import timezone

from approvals import clock, notifications, outbox
from approvals.database import tenant_scope
from approvals.errors import MailNotChosen
from approvals.identity.models import Membership, Person
from approvals.models import ApprovalRequest, MailChoice, Outbox
from approvals.notifications import Choice, choosing, digest, personal
from policies.verdicts import Require, to_json
from tests.exercising import exercise
from tests.notifications.conftest import Post
from tests.people.asking import FINANCE, HOUR, LEAD, asking, away, shift
from tests.people.test_urging import later
from tests.world import World, break_the_trail

AT_ONCE = Choice(new_requests="at_once")
DAILY = Choice(new_requests="daily")
REMIND = Choice(reminders=True)


@pytest.fixture(autouse=True)
def empty_box() -> None:
    mail.outbox = []


def choose(world: World, who: str, choice: Choice) -> None:
    with world.processes.acting_as("web"):
        notifications.choose(choice, by=world.reviewer(who))


def kept(world: World) -> list[MailChoice]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        return list(MailChoice.objects.order_by("id"))


def deliver(post: Post, *, due: bool = True) -> list[Any]:
    """Announcements and letters get their turn; those that wait for a time too, if `due`."""
    for topic in ("announce", "mail"):
        if due or topic == "announce":
            post.make_due()
        for row in post.rows(topic):
            post.work(row)
    return list(mail.outbox)


def to(world: World, letters: list[Any]) -> list[str]:
    """Whom they are for, by name; each letter has one address."""
    names = {person.email: name for name, person in world.people.items()}
    assert all(len(one.to) == 1 for one in letters)
    return sorted(names[one.to[0]] for one in letters)


def sweep(world: World) -> list[bool]:
    with world.processes.acting_as("sweeper"):
        mine = [one for one in notifications.due_digests() if one.tenant_id == world.tenant.pk]
        return [notifications.order_digest(one) for one in mine]


def a_day_passes(world: World) -> None:
    with world.processes.acting_as("migrator"):
        MailChoice.objects.filter(tenant=world.tenant).exclude(digest_due_at=None).update(
            digest_due_at=timezone.now() - timedelta(minutes=1)
        )


def test_nobody_is_written_unless_they_chose_it(world: World, post: Post) -> None:
    world.submit()
    assert deliver(post) == []
    assert kept(world) == []
    with world.processes.acting_as("web"):
        assert notifications.choice_of(world.reviewer("lena")) == Choice()


def test_who_can_decide_is_written_at_once_and_nobody_else(world: World, post: Post) -> None:
    """Otto answers for the agent and Felix has another role: neither can decide this."""
    for who in ("lena", "otto", "felix", "opal"):
        choose(world, who, AT_ONCE)
    choose(world, "mara", DAILY)
    request = world.submit()
    letters = deliver(post)
    assert to(world, letters) == ["lena"]
    (letter,) = letters
    assert letter.subject == "A request waits for your decision"
    assert request.headline in letter.body
    assert f"{settings.PUBLIC_URL}/requests/{request.pk}/" in letter.body
    assert f"{settings.PUBLIC_URL}/mail/" in letter.body
    assert letter.extra_headers["Auto-Submitted"] == "auto-generated"


def test_a_letter_says_no_more_than_receivers_are_told(world: World, post: Post) -> None:
    choose(world, "lena", AT_ONCE)
    address = {
        "name": "Planted Person",
        "line1": "7 Planted Lane",
        "city": "Plantedville",
        "postal_code": "98765",
        "country": "US",
    }
    world.submit(
        "change_shipping_address",
        order_id="ord_10001",
        address=address,
        reason="Planted reason of the agent.",
    )
    (letter,) = deliver(post)
    assert "Planted" not in letter.subject + letter.body
    assert "98765" not in letter.body


def test_who_stands_in_for_somebody_is_written_too(world: World, post: Post) -> None:
    choose(world, "paul", AT_ONCE)
    away(world, "lena", "paul", hours=48)
    world.submit()
    assert to(world, deliver(post)) == ["paul"]


def test_an_exercise_is_written_of_as_any_other(world: World, post: Post) -> None:
    """Or who chose to be written would know it by the letter that does not come."""
    choose(world, "lena", AT_ONCE)
    exercise(world)
    assert to(world, deliver(post)) == ["lena"]


def test_asked_twice_or_sent_twice_it_is_one_letter_with_one_id(
    world: World, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(world, "lena", AT_ONCE)
    world.submit()
    (row,) = post.rows("announce")
    with world.processes.acting_as("worker"):
        notifications.announce(row)
        notifications.announce(row)
    (waiting,) = post.rows("mail")
    sent: list[str] = []

    def breaks(letter: Any, *_: object) -> None:
        sent.append(letter.message()["Message-ID"])
        raise smtplib.SMTPServerDisconnected

    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.EmailMessage.send", breaks)
        deliver(post)
        deliver(post)
    (letter,) = deliver(post)
    host = settings.PUBLIC_URL.split("//")[1].split(":")[0]
    assert {*sent, letter.message()["Message-ID"]} == {f"<{waiting.pk}@{host}>"}
    assert len(sent) == 2
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk), pytest.raises(IntegrityError):
        outbox.write_to(row, world.people["lena"].pk, timezone.now())


def test_what_was_decided_meanwhile_is_not_written_of(world: World, post: Post) -> None:
    choose(world, "lena", AT_ONCE)
    choose(world, "mara", AT_ONCE)
    request = world.submit()
    post.work(post.rows("announce")[0])
    world.vote(request, "deny", "mara", comment="Not this one.")
    for row in post.rows("mail"):
        post.work(row)
    assert mail.outbox == []
    assert all(row.done_at for row in post.rows("mail"))
    assert {row.last_error for row in post.rows("mail")} == {"it no longer waits for this person"}
    assert [one["event"] for one in post.told()] == ["notification.dropped"] * 2


def test_who_left_the_company_is_written_nothing(world: World, post: Post) -> None:
    choose(world, "lena", AT_ONCE)
    world.submit()
    post.work(post.rows("announce")[0])
    with world.processes.acting_as("migrator"):
        Membership.objects.filter(person=world.people["lena"]).delete()
    deliver(post)
    assert mail.outbox == []
    assert [one["because"] for one in post.told()] == [outbox.NOT_WRITTEN]


def test_a_letter_waits_until_the_quiet_hours_end(world: World, post: Post) -> None:
    now = timezone.now()
    quiet = Choice(
        new_requests="at_once",
        quiet_from=(now - timedelta(hours=1)).time().replace(second=0, microsecond=0),
        quiet_until=(now + timedelta(hours=2)).time().replace(second=0, microsecond=0),
    )
    choose(world, "lena", quiet)
    world.submit()
    deliver(post, due=False)
    (row,) = post.rows("mail")
    assert mail.outbox == []
    assert timedelta(minutes=118) < row.not_before - now <= timedelta(minutes=121)
    assert row.attempts == 0  # nobody was rung for
    deliver(post)  # rung for too early: it waits all the same
    (row,) = post.rows("mail")
    assert (mail.outbox, row.last_error) == ([], "these are quiet hours")
    choose(world, "lena", AT_ONCE)
    assert to(world, deliver(post)) == ["lena"]


NO_MORE = outbox.NOT_WRITTEN


@pytest.mark.parametrize("instead", [REMIND, DAILY, Choice()], ids=["reminders", "a digest", "nothing"])
def test_a_choice_that_was_taken_back_holds_for_letters_that_wait(
    world: World, post: Post, instead: Choice
) -> None:
    """Also while a letter waits that nobody chooses, for whose sake a worker is told the address."""
    hour = timezone.now().hour
    choose(world, "lena", replace(AT_ONCE, quiet_from=time(hour), quiet_until=time((hour + 2) % 24)))
    world.submit()
    deliver(post, due=False)
    with world.processes.acting_as("migrator"), tenant_scope(world.tenant.pk):
        outbox.write_of_no_request(world.tenant.pk, world.people["lena"].pk, "factor.added")
    (waiting, _) = sorted(post.rows("mail"), key=lambda row: row.kind, reverse=True)
    choose(world, "lena", instead)
    post.make_due()
    post.work(waiting)
    assert mail.outbox == []
    assert [one["because"] for one in post.told()] == [NO_MORE]


def test_who_takes_a_digest_back_gets_not_even_the_one_that_was_ordered(world: World, post: Post) -> None:
    choose(world, "lena", DAILY)
    world.submit()
    a_day_passes(world)
    assert sweep(world) == [True]
    choose(world, "lena", replace(AT_ONCE, reminders=True))
    (ordered,) = post.rows("mail")
    post.work(ordered)
    assert mail.outbox == []
    assert [one["because"] for one in post.told()] == [NO_MORE]


def test_who_wants_no_reminder_any_more_gets_not_even_one_that_waits(world: World, post: Post) -> None:
    choose(world, "lena", REMIND)
    announced = asking(world, LEAD)
    post.work(post.rows("announce")[0])
    later(world, announced, 40 * HOUR)
    with world.processes.acting_as("sweeper"):
        assert clock.remind(announced.pk, announced.tenant_id)
    post.work(post.rows("announce")[1])
    choose(world, "lena", AT_ONCE)
    post.make_due()
    post.work(post.rows("mail")[0])
    assert mail.outbox == []
    assert [one["because"] for one in post.told()] == [NO_MORE]


@pytest.mark.parametrize("kind", ["request.break_glass", "payload.opened", "request.stays_uncertain"])
def test_an_alarm_never_waits_for_quiet_hours(world: World, post: Post, kind: str) -> None:
    """It goes to everybody with the role, whatever they chose."""
    with world.processes.acting_as("migrator"):
        Membership.objects.create(tenant=world.tenant, person=world.people["ada"], role="security")
        Membership.objects.create(tenant=world.tenant, person=world.people["ada"], role="operator")
    all_day = Choice(quiet_from=time(0), quiet_until=time(23, 59))
    choose(world, "ada", all_day)
    request = world.submit()
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        outbox.put(request, outbox.MAIL, kind=kind)
    assert any(world.people["ada"].email in one.to for one in deliver(post, due=False))


def test_reminders_come_to_who_wants_them_and_has_not_voted(world: World, post: Post) -> None:
    choose(world, "lena", REMIND)
    choose(world, "mara", AT_ONCE)
    request = asking(world, LEAD)
    assert to(world, deliver(post)) == ["mara"]
    later(world, request, 40 * HOUR)
    with world.processes.acting_as("sweeper"):
        assert clock.remind(request.pk, request.tenant_id)
    mail.outbox = []
    (letter,) = deliver(post)
    assert to(world, [letter]) == ["lena"]
    assert letter.subject == "Still waiting for your decision: half of the time is over"


# --- once a day -------------------------------------------------------------------------------------------


def test_once_a_day_one_letter_says_all_that_still_waits(world: World, post: Post) -> None:
    choose(world, "lena", DAILY)
    first, denied = world.submit(), world.submit(payment_id="pay_10002", amount_minor=900)
    voted = world.submit(payment_id="pay_10008", amount_minor=74900)
    world.vote(voted, "approve", "lena")
    world.vote(denied, "deny", "mara", comment="Not this one.")
    assert sweep(world) == []  # not due yet
    a_day_passes(world)
    assert sweep(world) == [True]
    assert sweep(world) == []
    (letter,) = deliver(post)
    assert to(world, [letter]) == ["lena"]
    assert letter.subject == "A request waits for your decision"
    assert first.headline in letter.body
    assert str(denied.pk) not in letter.body
    assert str(voted.pk) not in letter.body
    second = world.submit(payment_id="pay_10009", amount_minor=800)
    mail.outbox = []
    a_day_passes(world)
    sweep(world)
    (letter,) = deliver(post)
    assert letter.subject == "2 requests wait for your decision"
    assert second.headline in letter.body


def test_on_a_day_on_which_nothing_waits_no_letter_comes(world: World, post: Post) -> None:
    choose(world, "lena", DAILY)
    a_day_passes(world)
    assert sweep(world) == [True]
    assert deliver(post) == []
    assert [row.last_error for row in post.rows("mail")] == ["nothing waits for this person"]
    assert [one["because"] for one in post.told()] == [outbox.NOT_WRITTEN]


def test_two_sweepers_order_one_digest(world: World, post: Post) -> None:
    choose(world, "lena", DAILY)
    a_day_passes(world)
    with world.processes.acting_as("sweeper"):
        (due,) = [one for one in notifications.due_digests() if one.tenant_id == world.tenant.pk]
        assert notifications.order_digest(due)
        assert not notifications.order_digest(due)
    assert len(post.rows("mail")) == 1


@pytest.mark.parametrize("gone", ["out of the company", "out of all of it"])
def test_who_left_is_ordered_no_digest(world: World, gone: str) -> None:
    """Or each day would leave a row and an event of it, for ever."""
    choose(world, "lena", DAILY)
    choose(world, "mara", DAILY)
    a_day_passes(world)
    with world.processes.acting_as("migrator"):
        if gone == "out of the company":
            Membership.objects.filter(person=world.people["lena"], tenant=world.tenant).delete()
        else:
            Person.objects.filter(pk=world.people["lena"].pk).update(is_active=False)
    assert sweep(world) == [True]
    assert sweep(world) == []


@pytest.mark.parametrize("late", [timedelta(), timedelta(days=9)], ids=["today's", "of days before too"])
def test_a_sweeper_whose_clock_is_behind_orders_one_digest(
    world: World, monkeypatch: pytest.MonkeyPatch, late: timedelta
) -> None:
    """By the database's clock the hour has come, by the sweeper's it has not."""
    due = timezone.now() - timedelta(seconds=5)
    choose(world, "lena", Choice(new_requests="daily", digest_at=due.time()))
    with world.processes.acting_as("migrator"):
        MailChoice.objects.filter(tenant=world.tenant).update(digest_due_at=due - late)
    monkeypatch.setattr(timezone, "now", lambda: due - timedelta(seconds=1))
    assert [sweep(world) for _ in range(4)] == [[True], [], [], []]


def test_days_that_nobody_swept_are_not_caught_up(world: World) -> None:
    choose(world, "lena", DAILY)
    with world.processes.acting_as("migrator"):
        MailChoice.objects.filter(tenant=world.tenant).update(
            digest_due_at=timezone.now() - timedelta(days=9)
        )
    assert sweep(world) == [True]
    assert sweep(world) == []
    (row,) = kept(world)
    assert row.digest_due_at
    assert row.digest_due_at > timezone.now()


def test_a_long_list_is_cut_and_says_so(world: World, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal, "MOST", 1)
    choose(world, "lena", DAILY)
    world.submit()
    world.submit(payment_id="pay_10002", amount_minor=900)
    a_day_passes(world)
    sweep(world)
    (letter,) = deliver(post)
    assert letter.subject == "2 requests wait for your decision"
    assert "And 1 more." in letter.body
    assert letter.body.count("/requests/") == 1


MORE = [("pay_10002", 900), ("pay_10009", 800), ("pay_10008", 700)]


def test_what_waits_is_found_behind_all_that_others_decide(
    world: World, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much there is of it, and more urgent."""
    monkeypatch.setattr(personal, "LOOKED_AT", 1)
    choose(world, "lena", DAILY)
    for payment_id, amount_minor in MORE:
        theirs = world.submit(payment_id=payment_id, amount_minor=amount_minor)
        shift(world, theirs, verdict=to_json(Require(stages=(FINANCE,), because="So it is.", rule="people")))
    mine = world.submit()
    a_day_passes(world)
    sweep(world)
    (letter,) = deliver(post)
    assert mine.headline in letter.body


def test_a_number_that_was_not_counted_to_its_end_says_so(
    world: World, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal, "MOST", 1)
    monkeypatch.setattr(personal, "LOOKED_AT", 2)
    choose(world, "lena", DAILY)
    for payment_id, amount_minor in MORE:
        world.submit(payment_id=payment_id, amount_minor=amount_minor)
    a_day_passes(world)
    sweep(world)
    (letter,) = deliver(post)
    assert letter.subject == "At least 2 requests wait for your decision"
    assert "And at least 1 more." in letter.body


# --- choosing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        (Choice(new_requests="hourly"), "off, at once or once a day"),
        (Choice(time_zone="Mars/Olympus"), "a time zone of the list"),
        (Choice(time_zone="../../etc/passwd"), "a time zone of the list"),
        (Choice(quiet_from=time(22)), "both a beginning and an end"),
        (Choice(quiet_from=time(22), quiet_until=time(22)), "at another time than they begin"),
    ],
)
def test_what_makes_no_sense_is_refused(world: World, choice: Choice, why: str) -> None:
    with pytest.raises(MailNotChosen, match=why):
        choose(world, "lena", choice)
    assert kept(world) == []


def test_a_choice_without_its_event_is_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(world, "lena", AT_ONCE)
    break_the_trail(monkeypatch, choosing)
    with pytest.raises(RuntimeError, match="the trail is full"):
        choose(world, "lena", DAILY)
    (row,) = kept(world)
    assert (row.new_requests, row.digest_due_at) == ("at_once", None)
    assert world.events().count("mail.chosen") == 1


def test_who_no_longer_wants_a_digest_is_due_none(world: World) -> None:
    choose(world, "lena", DAILY)
    choose(world, "lena", Choice())
    (row,) = kept(world)
    assert (row.new_requests, row.digest_due_at) == ("off", None)


def test_a_digest_that_is_due_stays_due_when_the_form_is_saved_again(world: World) -> None:
    """Unless its hour is another now; and one that was ordered is not due once more."""
    hour = (timezone.now() - timedelta(seconds=5)).time()
    choose(world, "lena", Choice(new_requests="daily", digest_at=hour))
    a_day_passes(world)
    choose(world, "lena", Choice(new_requests="daily", digest_at=hour, reminders=True))
    assert sweep(world) == [True]
    choose(world, "lena", Choice(new_requests="daily", digest_at=hour))
    assert sweep(world) == []
    a_day_passes(world)
    choose(world, "lena", Choice(new_requests="daily", digest_at=hour, time_zone="Asia/Tokyo"))
    assert sweep(world) == []


def test_the_next_digest_is_at_the_persons_hour(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)
    monkeypatch.setattr("approvals.notifications.choosing.timezone.now", lambda: now)
    choose(world, "lena", Choice(new_requests="daily", time_zone="Asia/Tokyo", digest_at=time(9, 30)))
    (row,) = kept(world)
    assert row.digest_due_at == datetime(2026, 11, 27, 0, 30, tzinfo=UTC)


def test_a_headline_cannot_write_a_header_of_a_letter(world: World, post: Post) -> None:
    """Strangers' words stand in the body alone, on one line each."""
    choose(world, "lena", AT_ONCE)
    request = world.submit()
    hostile = "Refund\r\nBcc: everybody@example.com\r\n\r\n\u202ehidden"
    with world.processes.cursor("admin") as shell:
        shell.execute("UPDATE approval_request SET headline = %s WHERE id = %s", [hostile, request.pk])
    (letter,) = deliver(post)
    message = letter.message()
    assert (message["Bcc"], message["Subject"]) == (None, "A request waits for your decision")
    assert "Refund Bcc: everybody@example.com [U+202E]hidden" in letter.body
    assert letter.recipients() == [world.people["lena"].email]


def test_an_earlier_request_is_not_written_of_when_somebody_chooses(world: World, post: Post) -> None:
    """Only what happens from then on."""
    request: ApprovalRequest = world.submit()
    post.work(post.rows("announce")[0])
    choose(world, "lena", AT_ONCE)
    assert deliver(post) == []
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        assert not Outbox.objects.filter(request=request, topic="mail").exists()
    assert digest.Due._fields == ("choice_id", "tenant_id")
