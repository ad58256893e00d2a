"""With a shell as the web process: it reads no address and no secret of a receiver, and orders nothing but messages."""

import pytest

from approvals import notifications
from approvals.database import tenant_scope
from approvals.models import Outbox, Receiver
from approvals.notifications.receivers import new_secret
from tests.attacks.test_roles import REFUSED, attempt, scoped
from tests.world import World

AGAIN = "UPDATE outbox SET done_at = NULL, gave_up_at = NULL, attempts = 0, not_before = now() WHERE id = %s"


@pytest.fixture
def receiver(world: World) -> Receiver:
    with world.processes.acting_as("migrator"):
        return notifications.add_receiver(
            world.tenant, "webhook", "Desk", "https://hooks.example.com/", new_secret()
        )


@pytest.mark.parametrize("process", ["door", "web", "sweeper"])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT sealed_url FROM receiver",
        "SELECT sealed FROM receiver_secret",
        "SELECT receiver::text FROM receiver",
        "SELECT receiver_secret::text FROM receiver_secret",
        "UPDATE receiver SET sealed_url = 'mine'",
        "UPDATE receiver SET host = 'elsewhere'",
        "UPDATE receiver_secret SET sealed = 'mine'",
        "INSERT INTO receiver_secret SELECT gen_random_uuid(), sealed, now(), NULL, receiver_id, tenant_id "
        "FROM receiver_secret",
        "DELETE FROM receiver",
        "DELETE FROM receiver_secret",
    ],
)
def test_nobody_but_a_worker_reads_an_address_or_a_secret_and_nobody_changes_one(
    world: World, receiver: Receiver, process: str, statement: str
) -> None:
    with pytest.raises(REFUSED):
        attempt(world, process, statement)


ENDS = "UPDATE receiver_secret SET ends_at = {} WHERE receiver_id = %s"


@pytest.mark.parametrize("when", ["NULL", "now() + interval '2 days'"])
def test_the_web_process_lets_no_secret_sign_for_longer(world: World, receiver: Receiver, when: str) -> None:
    with pytest.raises(REFUSED):
        attempt(world, "web", ENDS.format(when), receiver.pk)


def test_the_web_process_lets_no_ended_secret_sign_again(world: World, receiver: Receiver) -> None:
    assert attempt(world, "web", ENDS.format("now() + interval '1 day'"), receiver.pk) == 1
    with world.processes.cursor("admin") as shell:
        shell.execute(ENDS.format("now() - interval '1 second'"), [receiver.pk])
    assert attempt(world, "web", ENDS.format("now() + interval '1 hour'"), receiver.pk) == 0


def test_the_web_process_opens_again_no_order_to_a_worker(world: World, receiver: Receiver) -> None:
    request = world.submit()
    world.vote(request, "approve", "lena")
    with world.processes.cursor("admin") as shell:
        shell.execute("UPDATE outbox SET done_at = now() WHERE tenant_id = %s", [world.tenant.pk])
        shell.execute("SELECT id, topic FROM outbox WHERE tenant_id = %s", [world.tenant.pk])
        rows = shell.fetchall()
    assert {topic for _, topic in rows} >= {"announce", "execute"}
    for row, _ in rows:
        assert attempt(world, "web", AGAIN, row) == 0


def test_the_web_process_orders_no_message_about_a_request(world: World, receiver: Receiver) -> None:
    request = world.submit()
    with pytest.raises(REFUSED):
        attempt(
            world,
            "web",
            "INSERT INTO outbox (id, tenant_id, request_id, revision, topic, kind, receiver_id, announcement_id, "
            "created_at, not_before, traceparent, attempts, last_error) SELECT gen_random_uuid(), %s, %s, 1, "
            "'deliver', 'request.approved', %s, NULL, now(), now(), '', 0, ''",
            world.tenant.pk,
            request.pk,
            receiver.pk,
        )


@pytest.mark.parametrize(
    ("ended", "allowed"),
    [("done_at, created_at", False), ("gave_up_at, created_at", False), ("created_at", True)],
)
def test_the_web_process_orders_a_test_and_says_not_what_came_of_it(
    world: World, receiver: Receiver, ended: str, allowed: bool
) -> None:
    times = ", ".join(["now()"] * len(ended.split(",")))
    order = (
        f"INSERT INTO outbox (id, tenant_id, revision, topic, kind, receiver_id, not_before, traceparent, attempts, "
        f"last_error, {ended}) VALUES (gen_random_uuid(), %s, 0, 'deliver', 'receiver.test', %s, now(), '', 0, '', "
        f"{times})"
    )
    if allowed:
        assert attempt(world, "web", order, world.tenant.pk, receiver.pk) == 1
    else:
        with pytest.raises(REFUSED):
            attempt(world, "web", order, world.tenant.pk, receiver.pk)


def test_the_web_process_sees_messages_and_no_orders(world: World, receiver: Receiver) -> None:
    world.vote(world.submit(), "approve", "lena")
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        for row in Outbox.objects.filter(topic="announce"):
            notifications.announce(row)
        assert {*Outbox.objects.values_list("topic", flat=True)} == {"announce", "deliver", "execute"}
    with world.processes.cursor("web") as shell:
        scoped(shell, world)
        shell.execute("SELECT topic, receiver_id FROM outbox")
        assert shell.fetchall() == [("deliver", receiver.pk)] * 2
