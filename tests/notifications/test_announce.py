"""Who is told of an event: each active receiver of the tenant, once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from django.db import IntegrityError, connection

from approvals import notifications
from approvals.models import Receiver
from tests.notifications.conftest import Post
from tests.notifications.receiving import Receiving
from tests.world import World


def test_each_active_receiver_of_the_tenant_gets_one_message(world: World, post: Post) -> None:
    mine = {post.add("webhook", "http://127.0.0.1:9/").pk, post.add("slack", "http://127.0.0.1:9/").pk}
    silenced = post.add("webhook", "http://127.0.0.1:9/")
    post.add("webhook", "http://127.0.0.1:9/", elsewhere=True)
    with world.processes.acting_as("migrator"):
        Receiver.objects.filter(pk=silenced.pk).update(is_active=False)
    world.submit()
    post.work(post.rows("announce")[0])
    rows = post.rows()
    assert {row.receiver_id for row in rows} == mine
    assert len(rows) == 2


def test_nobody_to_tell_is_no_error(world: World, post: Post) -> None:
    world.submit()
    post.round()
    assert post.rows("announce")[0].done_at is not None
    assert post.rows() == []


def test_an_announcement_worked_off_twice_tells_nobody_twice(world: World, post: Post) -> None:
    post.add("webhook", "http://127.0.0.1:9/")
    world.submit()
    (row,) = post.rows("announce")
    with world.processes.acting_as("worker"):
        notifications.announce(row)
        notifications.announce(row)
    assert len(post.rows()) == 1


def test_two_workers_with_one_announcement_tell_nobody_twice(world: World, post: Post) -> None:
    receivers = {post.add("webhook", "http://127.0.0.1:9/").pk for _ in range(3)}
    world.submit()
    (row,) = post.rows("announce")
    start = threading.Barrier(4)

    def announce(_: int) -> None:
        start.wait()
        try:
            # The one that comes second is refused by the database, and finds nothing to do the next time.
            with suppress(IntegrityError):
                notifications.announce(row)
        finally:
            connection.close()

    with world.processes.acting_as("worker"), ThreadPoolExecutor(4) as pool:
        list(pool.map(announce, range(4)))
    assert sorted(map(str, (each.receiver_id for each in post.rows()))) == sorted(map(str, receivers))


def test_a_receiver_added_later_is_told_of_the_next_event(
    world: World, post: Post, receiver: Receiving
) -> None:
    request = world.submit()
    post.round()
    post.add("webhook", receiver.url)
    world.vote(request, "deny", "lena", comment="Not this one.")
    post.round()
    assert [one.json["type"] for one in receiver.received] == ["request.denied"]


def test_a_request_that_comes_back_is_told_again_as_its_new_revision(
    world: World, post: Post, receiver: Receiving
) -> None:
    post.add("webhook", receiver.url)
    request = world.submit(amount_minor=5000)
    world.vote(request, "approve", "lena")
    world.refund_elsewhere("pay_10001", 3000)
    post.execute(request)
    post.reopen(request)
    post.round()
    told = [(one.json["type"], one.json["data"]["revision"]) for one in receiver.received]
    assert told == [("request.created", 1), ("request.approved", 1), ("request.created", 2)]
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 3
