"""What each receiver hears: what an operator chose for it, and what nobody can keep from it."""

import pytest
from django.db import IntegrityError

from approvals import notifications, outbox
from approvals.database import tenant_scope
from approvals.errors import NotFound, ReceiversByOperators, ReceiverStands
from approvals.models import ApprovalRequest, Outbox, Receiver
from approvals.notifications import operating
from approvals.notifications.kinds import CHOOSABLE, GROUPS, TO_ALL, muted
from approvals.notifications.message import EVENTS, MOVES_NOTHING
from tests.notifications.conftest import Post
from tests.people.asking import LEAD, asking
from tests.world import World, break_the_trail

NOWHERE = "http://127.0.0.1:9/"


def choose(world: World, receiver: Receiver, *hears: str, by: str = "opal") -> None:
    with world.processes.acting_as("web"):
        notifications.hear_only(receiver.pk, hears, by=world.reviewer(by))


def kept(world: World, receiver: Receiver) -> Receiver:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        return Receiver.objects.get(pk=receiver.pk)


def told_of(world: World, post: Post, request: ApprovalRequest, kind: str) -> set[object]:
    """Who is told when this is announced of the request."""
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        outbox.announce(request, kind)
        row = Outbox.objects.filter(topic="announce", kind=kind).latest("created_at")
    post.work(row)
    return {one.receiver_id for one in post.rows() if one.announcement_id == row.pk}


def test_every_kind_that_is_told_can_be_chosen_or_is_for_all() -> None:
    assert set(EVENTS) | MOVES_NOTHING == CHOOSABLE | TO_ALL
    assert not CHOOSABLE & TO_ALL
    assert sum(len(group.kinds) for group in GROUPS) == len(CHOOSABLE)


def test_a_receiver_hears_only_what_was_chosen_for_it(world: World, post: Post) -> None:
    picky, curious = post.add("webhook", NOWHERE), post.add("webhook", NOWHERE)
    choose(world, picky, "request.failed")
    request = world.submit()
    assert told_of(world, post, request, "request.created") == {curious.pk}
    assert told_of(world, post, request, "request.failed") == {picky.pk, curious.pk}


@pytest.mark.parametrize("kind", sorted(TO_ALL))
def test_what_is_for_all_reaches_a_receiver_that_hears_nothing_else(
    world: World, post: Post, kind: str
) -> None:
    deaf = post.add("webhook", NOWHERE)
    choose(world, deaf)
    request = world.submit()
    assert told_of(world, post, request, kind) == {deaf.pk}


def test_the_database_itself_lets_nobody_mute_what_is_for_all(world: World, post: Post) -> None:
    deaf = post.add("webhook", NOWHERE)
    assert muted([]) == sorted(CHOOSABLE)
    for kind in sorted(TO_ALL):
        with (
            world.processes.acting_as("web"),
            pytest.raises(IntegrityError),
            tenant_scope(world.tenant.pk),
        ):
            Receiver.objects.filter(pk=deaf.pk).update(mutes=[kind])


def test_a_channel_that_does_not_hear_of_it_is_not_replaced_by_the_others(world: World, post: Post) -> None:
    """Only where no named receiver is left are all told."""
    books, other = post.add("webhook", NOWHERE), post.add("webhook", NOWHERE)
    with world.processes.acting_as("migrator"):
        Receiver.objects.filter(pk=books.pk).update(name="books")
    choose(world, books, "request.failed")
    request = asking(world, LEAD, channels=("books",))
    assert told_of(world, post, request, "request.created") == set()
    assert told_of(world, post, request, "request.failed") == {books.pk}
    assert other.pk in told_of(world, post, request, "policy.error")


def test_a_receiver_is_switched_off_and_on_again_with_events(world: World, post: Post) -> None:
    receiver = post.add("webhook", NOWHERE)
    with world.processes.acting_as("web"):
        by = world.reviewer("opal")
        notifications.switch(receiver.pk, on=False, by=by)
        with pytest.raises(ReceiverStands, match="switched off already"):
            notifications.switch(receiver.pk, on=False, by=by)
        assert not kept(world, receiver).is_active
        notifications.switch(receiver.pk, on=True, by=by)
    assert kept(world, receiver).is_active
    assert [kind for kind in world.events() if kind.startswith("receiver.")] == [
        "receiver.added",
        "receiver.switched_off",
        "receiver.switched_on",
    ]


@pytest.mark.parametrize("who", ["lena", "ada", "gus"])
def test_only_operators_of_the_company_change_who_is_told(world: World, post: Post, who: str) -> None:
    receiver = post.add("webhook", NOWHERE)
    refused = ReceiversByOperators
    with world.processes.acting_as("web"):
        by = world.reviewer(who)
        for verb in (
            lambda: notifications.hear_only(receiver.pk, (), by=by),
            lambda: notifications.switch(receiver.pk, on=False, by=by),
            lambda: notifications.send_test(receiver.pk, by=by),
            lambda: notifications.renew_secret(receiver.pk, instead_of=receiver.pk, by=by),
            lambda: notifications.end_overlap(receiver.pk, receiver.pk, by=by),
            lambda: notifications.add_receiver(by.tenant_id, "slack", "Mine", NOWHERE, by=by),
        ):
            with pytest.raises(refused):
                verb()
    same = kept(world, receiver)
    assert (same.is_active, same.mutes) == (True, [])
    if who != "gus":
        assert world.events().count("access.denied") == 6


def test_a_receiver_of_another_company_is_as_one_that_is_not_there(world: World, post: Post) -> None:
    theirs = post.add("webhook", NOWHERE, elsewhere=True)
    with world.processes.acting_as("web"):
        by = world.reviewer("opal")
        for verb in (
            lambda: notifications.hear_only(theirs.pk, (), by=by),
            lambda: notifications.switch(theirs.pk, on=False, by=by),
            lambda: notifications.send_test(theirs.pk, by=by),
        ):
            with pytest.raises(NotFound):
                verb()
    assert world.events().count("access.denied") == 3


def test_a_change_without_its_event_does_not_happen(
    world: World, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = post.add("webhook", NOWHERE)
    break_the_trail(monkeypatch, operating)
    with world.processes.acting_as("web"):
        by = world.reviewer("opal")
        for verb in (
            lambda: notifications.hear_only(receiver.pk, (), by=by),
            lambda: notifications.switch(receiver.pk, on=False, by=by),
            lambda: notifications.send_test(receiver.pk, by=by),
            lambda: notifications.add_receiver(by.tenant_id, "slack", "Mine", NOWHERE, by=by),
        ):
            with pytest.raises(RuntimeError, match="the trail is full"):
                verb()
    same = kept(world, receiver)
    assert (same.is_active, same.mutes, post.rows()) == (True, [], [])
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        assert Receiver.objects.count() == 1
