"""A rule that cannot be worked out: a human decides, and operators are told, by receivers and by mail."""

import smtplib
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.db import connection
from django.utils import timezone

from approvals.database import tenant_scope
from approvals.identity.models import Person
from approvals.models import PolicyTrouble
from approvals.notifications import letters, trouble
from tests.notifications.conftest import Post
from tests.notifications.receiving import Receiving
from tests.world import World, break_the_trail

BROKEN = """\
policy: 1
name: broken
actions:
  refund_payment:
    rules:
      - name: by-parts
        when: args.amount_minor / (facts.paid_minor - 12900) > 5
        because: "Planted private reason."
        then: { require: [{ role: finance, count: 1 }] }
"""


@pytest.fixture
def broken(world: World) -> World:
    """The rule divides by zero for the payment of `world.submit()`."""
    put_in_force(world, BROKEN)
    mail.outbox = []
    return world


def put_in_force(world: World, source: str) -> None:
    world.put_in_force(source)


def send_mail(post: Post) -> list[Any]:
    post.make_due()
    for row in post.rows("mail"):
        post.work(row)
    return list(mail.outbox)


def troubles(world: World) -> list[PolicyTrouble]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        return list(PolicyTrouble.objects.filter(tenant_id=world.tenant.pk))


def test_a_human_decides_and_the_page_says_which_rule_and_why(broken: World) -> None:
    verdict = broken.submit().verdict
    assert (verdict["kind"], verdict["rule"]) == ("require", "error")
    assert verdict["stages"] == [{"role": "support_lead", "count": 1, "step": 1}]
    assert verdict["error"].startswith("Rule 'by-parts': EvaluationError: ")


def test_every_receiver_is_told_which_rule_and_no_more(
    broken: World, post: Post, receiver: Receiving
) -> None:
    post.add("webhook", receiver.url)
    post.add("slack", receiver.url)
    request = broken.submit()
    post.round()
    post.round()
    hook = next(one.json for one in receiver.received if one.json.get("type") == "policy.error")
    assert hook["data"]["notice"] == (
        "The rule 'by-parts' for refund_payment could not be worked out, so people decide. "
        "What went wrong stands on the request's page; mend the policy."
    )
    assert (hook["data"]["request_id"], hook["data"]["status"]) == (str(request.pk), "pending")
    cards = [str(one.json["blocks"]) for one in receiver.received if "blocks" in one.json]
    assert any("A policy rule could not be worked out" in card and "by-parts" in card for card in cards)
    said = b"".join(one.body for one in receiver.received)
    assert b"Planted" not in said and b"divi" not in said
    assert "policy.error" in broken.events(request)


def test_the_tenants_operators_are_written_to(broken: World, post: Post) -> None:
    request = broken.submit()
    post.round()
    (letter,) = send_mail(post)
    assert sorted(letter.to) == sorted(broken.people[who].email for who in ("opal", "olga"))
    assert letter.subject == "A policy rule could not be worked out"
    assert "The rule 'by-parts' for refund_payment" in letter.body
    assert f"/requests/{request.pk}/" in letter.body
    assert "Planted" not in letter.body and "divi" not in letter.body
    assert post.told()[-1] == {
        "event": "notification.delivered",
        "receiver_id": "mail",
        "kind": "policy.error",
        "attempt": 1,
    }
    assert send_mail(post) == [letter]  # what is done stays done


def test_once_an_hour_a_rule_at_most_and_then_with_how_often(broken: World, post: Post) -> None:
    for _ in range(3):
        broken.submit()
    post.round()
    assert len(send_mail(post)) == 1
    (counted,) = troubles(broken)
    assert (counted.action, counted.rule, counted.times, counted.untold) == (
        "refund_payment",
        "by-parts",
        1,
        2,
    )
    with broken.processes.acting_as("worker"), tenant_scope(broken.tenant.pk):
        PolicyTrouble.objects.update(told_at=timezone.now() - timedelta(hours=1))
    broken.submit()
    post.round()
    assert "could not be worked out 3 times since you were last told" in send_mail(post)[-1].body
    assert len(mail.outbox) == 2
    assert broken.events().count("policy.error") == 2


def test_a_policy_that_cannot_be_read_any_more_is_told_too(world: World, post: Post) -> None:
    put_in_force(world, "policy: 1\nname: gone\n")
    mail.outbox = []
    request = world.submit()
    assert request.verdict["rule"] == "error"
    post.round()
    (letter,) = send_mail(post)
    assert letter.body.startswith("The policy for refund_payment could not be worked out, so people decide.")


def test_an_error_at_the_last_look_before_the_call_is_told_too(world: World, post: Post) -> None:
    request = world.submit(amount_minor=5000)
    world.vote(request, "approve", "lena")
    put_in_force(world, BROKEN)
    post.execute(request)
    assert world.status(request) == "succeeded"  # a support lead had decided, as the fall-back asks
    assert world.events(request).count("policy.error") == 1


def test_nothing_is_counted_or_told_where_it_cannot_be_recorded(
    broken: World, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.submit()
    break_the_trail(monkeypatch, trouble)
    post.work(post.rows("announce")[0])
    assert troubles(broken) == [] and post.rows("mail") == []
    assert post.rows("announce")[0].done_at is None  # its turn comes again


def test_a_server_that_is_away_is_tried_again_and_no_word_of_it_is_kept(
    broken: World, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> int:
        raise smtplib.SMTPConnectError(421, "opal@example.com planted-secret")

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", away)
    broken.submit()
    post.round()
    send_mail(post)
    (row,) = post.rows("mail")
    assert (row.done_at, row.gave_up_at, row.attempts) == (None, None, 1)
    assert row.last_error.endswith("SMTPConnectError") and "planted" not in row.last_error
    post.make_due(attempts=19)
    post.work(row)
    assert post.rows("mail")[0].gave_up_at is not None
    assert post.told()[-1]["event"] == "notification.failed"


@pytest.mark.parametrize("why", ["nobody", "no server"])
def test_where_no_attempt_would_help_that_is_recorded_at_once(
    broken: World, post: Post, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "no server":
        monkeypatch.setattr(settings, "MAIL_IS_SENT", False)
    else:
        with broken.processes.acting_as("migrator"):
            operators = [broken.people[who].pk for who in ("opal", "olga")]
            Person.objects.filter(pk__in=operators).update(is_active=False)
    broken.submit()
    post.round()
    assert send_mail(post) == []
    because = {"nobody": "nobody has the role that is told", "no server": "no mail server is set: MAIL_HOST"}[
        why
    ]
    assert post.told()[-1]["because"] == because
    assert post.rows("mail")[0].gave_up_at is not None


def test_no_mail_is_sent_inside_a_transaction(
    broken: World, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def sent(*_: object) -> int:
        seen.append(connection.in_atomic_block)
        return 1

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", sent)
    broken.submit()
    post.round()
    send_mail(post)
    assert seen == [False]


def test_a_worker_reads_the_addresses_of_its_tenant_alone(world: World) -> None:
    with world.processes.acting_as("worker"):
        found = letters.addresses_of(world.tenant.pk, "operator")
        assert sorted(found) == sorted(world.people[who].email for who in ("opal", "olga"))
        assert letters.addresses_of(world.other.pk, "operator") == ()
        elsewhere = letters.addresses_of(world.other.pk, "finance")
        assert [address.partition("-")[0] for address in elsewhere] == ["gail", "gus"]
    for process in ("door", "sweeper"):
        with world.processes.cursor(process) as shell, pytest.raises(Exception, match="permission denied"):
            shell.execute("SELECT * FROM addresses_of('operator')")


def test_a_rule_that_names_channels_tells_these_alone_and_all_where_none_is_left(
    world: World, post: Post, receiver: Receiving
) -> None:
    put_in_force(world, _with_channels("The receiver"))
    named = post.add("webhook", receiver.url)
    with world.processes.acting_as("migrator"):
        other = post.add("webhook", receiver.url)
        type(other).objects.filter(pk=other.pk).update(name="Somebody else")
    world.submit()
    post.work(post.rows("announce")[0])
    assert [row.receiver_id for row in post.rows()] == [named.pk]
    put_in_force(world, _with_channels("Nobody any more"))
    world.submit()
    for row in post.rows("announce"):
        post.work(row)
    assert sorted(str(row.receiver_id) for row in post.rows()) == sorted(
        map(str, (named.pk, named.pk, other.pk))
    )


def _with_channels(name: str) -> str:
    then = f'then: {{ require: [{{ role: finance, count: 1 }}], channels: ["{name}"] }}'
    return BROKEN.replace("args.amount_minor / (facts.paid_minor - 12900) > 5", '"true"').replace(
        "then: { require: [{ role: finance, count: 1 }] }", then
    )
