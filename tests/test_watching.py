"""Whoever watches a request hears of each of its moves, and nothing that moves waits for a listener."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from uuid import UUID

import pytest
import redis
from anyio.from_thread import start_blocking_portal
from django.conf import settings
from django.db import transaction

from approvals import decide, outbox, quick_redis, rejudge, switches, watching
from approvals.management import embedded
from approvals.models import ApprovalRequest
from approvals.states import MOVES, Status
from tests import courses
from tests.hearing import Hearing
from tests.scan.scratch import scratch
from tests.test_decide import CREDIT
from tests.world import Processes, World, break_the_trail

LIVES = 30  # seconds after which something that should be heard never will be

# Part of the table, and made by no verb.
OF_NO_VERB = {
    (Status.APPROVED, Status.STALE),
    (Status.PENDING, Status.CHANGES_REQUESTED),
    *((Status.CHANGES_REQUESTED, new) for new in MOVES[Status.CHANGES_REQUESTED]),
    (Status.APPROVED, Status.DENIED),
}


@pytest.fixture(autouse=True)
def not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test's dead Redis is none of this one's."""
    monkeypatch.setattr(quick_redis, "_silent_until", 0.0)


@pytest.fixture
def hearing(broker: str) -> Iterator[Hearing]:
    found = Hearing(broker)
    yield found
    found.close()


@pytest.fixture
def made(processes: Processes) -> Iterator[None]:
    """The database itself notes every move of a status, for `moves` to read."""
    with processes.cursor("admin") as shell:
        shell.execute(
            "CREATE TABLE moves_made (request_id uuid, tenant_id uuid, old text, new text);"
            "CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
            " INSERT INTO public.moves_made VALUES (NEW.id, NEW.tenant_id, OLD.status, NEW.status); RETURN NULL;"
            " END $$;"
            "CREATE TRIGGER note_move AFTER UPDATE ON approval_request FOR EACH ROW"
            " WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION note_move()"
        )
    yield
    with processes.cursor("admin") as shell:
        shell.execute("DROP FUNCTION note_move CASCADE; DROP TABLE moves_made")


def moves(world: World) -> list[tuple[UUID, Status, Status]]:
    with world.processes.cursor("admin") as shell:
        shell.execute("SELECT request_id, old, new FROM moves_made WHERE tenant_id = %s", (world.tenant.pk,))
        return [(request_id, Status(old), Status(new)) for request_id, old, new in shell.fetchall()]


def every_verb(world: World) -> None:
    """Each move that a verb can make is made at least once."""
    for course in (
        courses.denied,
        courses.expired,
        courses.withdrawn,
        courses.succeeded,
        courses.failed,
        lambda world: courses.withdraw(world, courses.approved(world)),
        lambda world: courses.expire(world, courses.approved(world)),
        held,
        lambda world: courses.reconcile(world, courses.uncertain(world)),
        lambda world: courses.reconcile(world, in_doubt(world)),
        refused_after_a_doubt,
        lambda world: courses.reopen(world, courses.stale(world)),
        lambda world: courses.withdraw(world, courses.stale(world)),
        lambda world: courses.expire(world, courses.stale(world)),
    ):
        world.shop.control("POST", "/control/reset").raise_for_status()
        course(world)


def held(world: World) -> ApprovalRequest:
    """A switch is on when the worker is about to send: it is approved again."""
    request = courses.approved(world)
    with world.processes.acting_as("migrator"):
        switch = switches.turn_on(tenant_id=world.tenant.pk, reason="For a test.", by=None)
    with pytest.raises(outbox.Postponed):
        courses.run(world, request)
    with world.processes.acting_as("migrator"):
        switches.turn_off(switch.pk, by=None)
    return request


def in_doubt(world: World) -> ApprovalRequest:
    """The shop failed, and nothing happened."""
    request = courses.approved(world)
    world.shop.arm("error_500", method="POST")
    return courses.run(world, request)


def refused_after_a_doubt(world: World) -> ApprovalRequest:
    request = courses.reconcile(world, in_doubt(world))
    world.shop.arm("refuse", method="POST")
    return courses.reconcile(world, courses.run(world, request))


def test_every_move_that_a_verb_makes_is_told(world: World, hearing: Hearing, made: None) -> None:
    every_verb(world)
    told, seen = Counter(hearing.all()), moves(world)
    silent = Counter(str(request_id) for request_id, _, _ in seen) - told
    assert not silent, [move for move in seen if str(move[0]) in silent]
    table = {(old, new) for old, onward in MOVES.items() for new in onward}
    assert {(old, new) for _, old, new in seen} == table - OF_NO_VERB


def test_a_new_revision_is_told(world: World, hearing: Hearing) -> None:
    request = world.submit("issue_store_credit", **CREDIT)
    body = {"amount_minor": 700, "currency": "USD", "reference": "by-hand", "reason": "By hand."}
    world.shop.write("/v1/customers/cus_1001/store-credit", body).raise_for_status()
    with world.processes.acting_as("worker"):
        rejudge.approve_by_rule(request.pk, request.tenant_id)
    assert world.reload_as("web", request).revision == 2
    assert str(request.pk) in hearing.all()


def test_only_the_id_is_told_and_only_after_the_commit(world: World, hearing: Hearing) -> None:
    request = courses.pending(world)
    with transaction.atomic():
        watching.moved(request)
        assert str(request.pk) not in hearing.all()
    assert hearing.all() == [str(request.pk)]


def test_what_was_rolled_back_is_not_told(
    world: World, hearing: Hearing, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = courses.pending(world)
    break_the_trail(monkeypatch, decide)
    with pytest.raises(RuntimeError):
        courses.approve(world, request)
    assert str(request.pk) not in hearing.all()


@contextmanager
def dead(kind: str) -> Iterator[str]:
    """The URL of a Redis that is gone, frozen, or none."""
    if kind == "none":
        yield ""
        return
    with scratch() as data, embedded.valkey(data, environ={}) as server:
        assert server.pid is not None
        if kind == "frozen":
            os.kill(server.pid, signal.SIGSTOP)
            try:
                yield server.url
            finally:
                os.kill(server.pid, signal.SIGCONT)
    if kind == "gone":
        yield server.url


@pytest.mark.parametrize("kind", ["none", "gone", "frozen"])
def test_a_verb_does_not_care_whether_anybody_can_be_told(
    kind: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = courses.pending(world)
    with dead(kind) as url:
        monkeypatch.setattr(settings, "REDIS_URL", url)
        assert courses.approve(world, request).status == "approved"
        # Silent for a while, so that a page which moves three requests does not wait three times.
        assert (quick_redis._silent_until > monotonic()) == (kind != "none")


def test_a_listener_goes_on_after_redis_was_away_and_through_what_it_can_not_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, heard = courses.pending(world), courses.pending(world), list[UUID]()

    async def listen() -> None:
        async for request_id in watching.heard():
            heard.append(request_id)

    with scratch() as data, embedded.valkey(data, environ={}) as server:
        monkeypatch.setattr(settings, "REDIS_URL", server.url)
        with start_blocking_portal() as portal, redis.Redis.from_url(server.url) as client:
            listening = portal.start_task_soon(listen)
            assert until_heard(first, heard)
            client.publish(f"{settings.DATABASE_ROLE_PREFIX}:moved", b"\xff no id")
            client.client_kill_filter(_type="pubsub")
            assert until_heard(second, heard)
            assert listening.cancel()
    assert set(heard) == {first.pk, second.pk}


def until_heard(request: ApprovalRequest, heard: list[UUID]) -> bool:
    """Told again and again: who is not listening at the moment misses it."""
    deadline = monotonic() + LIVES
    while request.pk not in heard and monotonic() < deadline:
        watching.moved(request)
        sleep(0.1)
    return request.pk in heard
