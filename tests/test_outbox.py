"""What must leave the database is never lost, never worked on by two, and never holds a page up."""

import json
import logging
import os
import signal
import socket
import sys
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NoReturn
from uuid import UUID

import pytest
import redis
from celery import Celery
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from approvals import bells, notifications, outbox
from approvals.database import tenant_scope
from approvals.errors import NoAnswer
from approvals.management import embedded
from approvals.management.children import Child, Program
from approvals.models import ApprovalRequest, Outbox
from tests.notifications.receiving import Receiving, receiving
from tests.scan.scratch import scratch
from tests.world import World

ROOT = Path(__file__).resolve().parent.parent
PLANTED = "card 4111 1111 1111 1111"
LIVES = 30  # seconds after which something that should go on has stopped


@pytest.fixture(autouse=True)
def ringer(monkeypatch: pytest.MonkeyPatch) -> Iterator[bells.Ringer]:
    """Another test's dead broker is none of this one's, nor are its bells that are still being rung."""
    own = bells.Ringer()
    monkeypatch.setattr(bells, "_ringer", own)
    yield own
    own.finish(LIVES)


@pytest.fixture
def own_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[embedded.Server]:
    """A broker of this test's own, which it may freeze; bells ring there."""
    with scratch() as data, embedded.valkey(data, environ={}) as server:
        ring_at(server.url, monkeypatch)
        yield server


def ring_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Celery("elsewhere", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.update(broker_url=url)
    monkeypatch.setattr(bells, "app", app)


@contextmanager
def frozen(server: embedded.Server) -> Iterator[None]:
    """Connections are made by the kernel, and nobody ever answers on them."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def heard(server: embedded.Server) -> list[Any]:
    """The arguments of the messages that wait in the queue."""
    bells.finish(LIVES)
    with redis.Redis.from_url(server.url) as client:
        messages: Any = client.lrange("celery", 0, -1)
    return [json.loads(b64decode(json.loads(message)["body"]))[0] for message in messages]


def rows(world: World, **only: object) -> list[Outbox]:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        return list(Outbox.objects.filter(**only).order_by("created_at"))


def only_row(world: World) -> Outbox:
    (row,) = rows(world)
    return row


def change(world: World, **changes: object) -> None:
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        Outbox.objects.update(**changes)


@contextmanager
def claimed(row_id: UUID, tenant_id: UUID) -> Iterator[Outbox | None]:
    """As outbox.claimed, which takes what its body raises for a failure of the work: an assertion is a test's own."""
    wrong: list[AssertionError] = []
    with outbox.claimed(row_id, tenant_id) as mine:
        try:
            yield mine
        except AssertionError as error:
            wrong.append(error)
            raise
    if wrong:
        raise wrong[0]


def work(world: World, handler: Callable[[Outbox], None]) -> Outbox:
    """The one row gets its turn; returns it as it is afterwards."""
    row = only_row(world)
    with world.processes.acting_as("worker"), claimed(row.pk, row.tenant_id) as mine:
        assert mine is not None
        handler(mine)
    return only_row(world)


def due(world: World) -> list[UUID]:
    """What the sweeper sees of this tenant."""
    with world.processes.acting_as("sweeper"):
        return [row.row_id for row in outbox.due(limit=10**6) if row.tenant_id == world.tenant.pk]


def raising(error: Exception) -> Callable[[Outbox], None]:
    def handler(_: Outbox) -> NoReturn:
        raise error

    return handler


# --- claiming ---------------------------------------------------------------------------------------------


def test_a_row_is_given_to_one_of_many_who_ask_at_the_same_moment(world: World) -> None:
    world.submit()
    row = only_row(world)
    start, end = threading.Barrier(8), threading.Barrier(8)

    def ask(_: int) -> bool:
        start.wait()
        try:
            with claimed(row.pk, row.tenant_id) as mine:
                end.wait()  # everybody has asked while the winner still holds it
                return mine is not None
        finally:
            connection.close()

    with world.processes.acting_as("worker"), ThreadPoolExecutor(8) as pool:
        won = list(pool.map(ask, range(8)))
    assert sorted(won) == [False] * 7 + [True]
    assert only_row(world).attempts == 1


def test_a_row_that_is_done_is_not_given_again(world: World) -> None:
    world.submit()
    done = work(world, lambda _: None)
    assert done.done_at is not None
    with world.processes.acting_as("worker"), claimed(done.pk, done.tenant_id) as mine:
        assert mine is None


def test_a_row_is_not_given_to_another_tenant(world: World) -> None:
    world.submit()
    with world.processes.acting_as("worker"), claimed(only_row(world).pk, world.other.pk) as mine:
        assert mine is None


def test_what_a_dead_worker_held_is_given_again_when_its_lease_is_over(world: World) -> None:
    world.submit()
    row = only_row(world)
    with world.processes.acting_as("worker"):
        dead = claimed(row.pk, row.tenant_id)
        assert dead.__enter__() is not None
    assert due(world) == []
    with world.processes.acting_as("worker"), claimed(row.pk, row.tenant_id) as mine:
        assert mine is None
    change(world, lease_until=timezone.now() - timedelta(seconds=1))
    assert due(world) == [row.pk]
    again = work(world, lambda _: None)
    assert (again.done_at is not None, again.attempts) == (True, 2)


def test_who_lost_the_lease_can_not_close_the_row_of_the_next(world: World) -> None:
    world.submit()
    row = only_row(world)
    with world.processes.acting_as("worker"), claimed(row.pk, row.tenant_id):
        change(world, lease_until=timezone.now() - timedelta(seconds=1))
        with world.processes.acting_as("worker"):
            second = claimed(row.pk, row.tenant_id)
            assert second.__enter__() is not None
    still_open = only_row(world)
    assert still_open.done_at is None
    assert still_open.lease_until is not None


# --- what a handler may say -------------------------------------------------------------------------------


def test_a_handler_may_ask_for_another_turn(world: World) -> None:
    world.submit()
    waiting = work(world, raising(outbox.Postponed(30, "the shop asks to wait")))
    assert waiting.done_at is None
    assert waiting.last_error == "the shop asks to wait"
    assert 25 < (waiting.not_before - timezone.now()).total_seconds() <= 30
    assert due(world) == []
    change(world, not_before=timezone.now())
    assert due(world) == [waiting.pk]


def test_a_handler_may_give_up_for_good(world: World) -> None:
    world.submit()
    dead = work(world, raising(outbox.GaveUp("it answered 410")))
    assert dead.gave_up_at is not None
    assert (dead.done_at, dead.last_error) == (None, "it answered 410")
    change(world, not_before=timezone.now() - timedelta(days=1))
    assert due(world) == []


def test_a_handler_that_fails_gets_the_row_again_after_a_while(world: World) -> None:
    world.submit()
    failed = work(world, raising(NoAnswer()))
    assert failed.done_at is None
    assert failed.last_error == str(NoAnswer())
    assert 1 < (failed.not_before - timezone.now()).total_seconds() <= 2.5


def test_what_a_strangers_exception_quotes_is_not_written_down(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A database error quotes the row it refused, a validation error the value."""
    world.submit()
    failed = work(world, raising(ValueError(PLANTED)))
    assert failed.last_error == "ValueError"
    (logged,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert logged.__dict__["error"] == "ValueError"
    assert "in handler" in logged.__dict__["where"]
    assert PLANTED not in logging.Formatter().format(logged) + str(logged.__dict__)


def test_waits_double_up_to_an_hour_and_never_fall_on_the_same_moment() -> None:
    for attempt, seconds in [(1, 2), (2, 4), (5, 32), (11, 2048), (12, 3600), (1000, 3600)]:
        waits = {outbox.backoff(attempt) for _ in range(20)}
        assert all(seconds <= wait <= seconds * 1.25 for wait in waits)
        assert len(waits) > 1


def test_a_receiver_has_a_night_to_come_back() -> None:
    shortest = sum(min(2**attempt, outbox.LONGEST_WAIT) for attempt in range(1, outbox.LAST_DELIVERY))
    assert 8 < shortest / 3600 < 12


# --- the bell ---------------------------------------------------------------------------------------------


def test_the_bell_rings_after_the_commit_with_ids_alone(world: World, own_broker: embedded.Server) -> None:
    request = world.submit()
    row = only_row(world)
    assert heard(own_broker) == [[str(row.pk), str(world.tenant.pk)]]
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        outbox.put(request, outbox.JUDGE)
        assert len(heard(own_broker)) == 1
    assert len(heard(own_broker)) == 2


def test_what_was_rolled_back_rings_no_bell(world: World, own_broker: embedded.Server) -> None:
    request = world.submit()
    with (
        world.processes.acting_as("worker"),
        suppress(InterruptedError),
        tenant_scope(world.tenant.pk),
        transaction.atomic(),
    ):
        outbox.put(request, outbox.JUDGE)
        raise InterruptedError
    assert len(heard(own_broker)) == 1
    assert len(rows(world)) == 1


def test_a_row_for_later_rings_no_bell_and_is_not_due_yet(world: World, own_broker: embedded.Server) -> None:
    request = world.submit()
    work(world, lambda _: None)
    with world.processes.acting_as("worker"), tenant_scope(world.tenant.pk):
        outbox.put(request, outbox.RECONCILE, wait_seconds=60)
    assert len(heard(own_broker)) == 1
    assert due(world) == []
    change(world, not_before=timezone.now())
    (later,) = rows(world, topic=outbox.RECONCILE)
    assert due(world) == [later.pk]


def test_without_a_broker_a_request_is_filed_and_the_sweeper_finds_its_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closed_port() as port:
        ring_at(f"redis://127.0.0.1:{port}/0", monkeypatch)
        request = world.submit()
        bells.finish(LIVES)
    assert world.status(request) == "pending"
    assert due(world) == [only_row(world).pk]


def test_a_frozen_broker_does_not_hold_a_request_up(world: World, own_broker: embedded.Server) -> None:
    world.submit()  # the connection is made and kept
    with frozen(own_broker), ThreadPoolExecutor(1) as pool:
        filed = pool.submit(submit_in_thread, world)
        # It ends while the broker is still frozen; with Celery's own settings it would wait for half a minute.
        assert filed.result(timeout=10) == "pending"
        assert len(due(world)) == 2


@pytest.mark.parametrize("hangs_up", [False, True], ids=["says nothing", "hangs up"])
def test_nobody_waits_for_a_broker_that_does_not_answer(
    hangs_up: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with mute_server(hangs_up) as mute:
        # With a password the broker is spoken to, and can fail, while the connection is being made.
        ring_at(f"redis://:demo-password@127.0.0.1:{mute.port}/0", monkeypatch)
        for _ in range(3):
            bells.ring("announce", UUID(int=1), UUID(int=2))
        bells.finish(LIVES)
        assert 1 <= mute.connections <= 2  # the first bell, and perhaps those that came meanwhile
    lost = [record.__dict__["rows"] for record in caplog.records if record.message == "bells not rung"]
    assert sum(lost) == 3


def test_the_bell_rings_again_once_the_broker_is_back(own_broker: embedded.Server) -> None:
    with frozen(own_broker):
        bells.ring("announce", UUID(int=1), UUID(int=2))
        bells.finish(LIVES)
    bells.ring("announce", UUID(int=3), UUID(int=4))
    assert heard(own_broker) == [[str(UUID(int=3)), str(UUID(int=4))]]


def test_bells_that_come_close_together_are_one_message(
    own_broker: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "GATHER", 1.0)
    bells.ring("announce", UUID(int=1), UUID(int=9))
    bells.finish(LIVES)
    for number in (2, 3, 4):
        bells.ring("announce", UUID(int=number), UUID(int=9))
    first, *together = reversed(heard(own_broker))
    assert first == [str(UUID(int=1)), str(UUID(int=9))]
    assert together == [[[["announce", str(UUID(int=number)), str(UUID(int=9))] for number in (2, 3, 4)]]]


def test_more_bells_than_anybody_rings_are_left_to_the_sweeper(
    own_broker: embedded.Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bells, "WAITING", 2)
    monkeypatch.setattr(bells, "_ringer", bells.Ringer())
    with frozen(own_broker):
        for number in range(9):
            bells.ring("announce", UUID(int=number), UUID(int=9))
    assert "bell not rung: too many wait" in caplog.messages


def test_a_forked_process_has_a_bell_of_its_own(own_broker: embedded.Server) -> None:
    """Celery's workers are forks of a process that may have rung before."""
    bells.ring("announce", UUID(int=1), UUID(int=9))
    bells.finish(LIVES)
    child = os.fork()
    if child == 0:
        bells.ring("announce", UUID(int=2), UUID(int=9))
        bells.finish(LIVES)
        os._exit(0)
    os.waitpid(child, 0)
    assert [str(UUID(int=2)), str(UUID(int=9))] in heard(own_broker)


def submit_in_thread(world: World) -> str:
    try:
        return world.submit().status
    finally:
        connection.close()


@contextmanager
def closed_port() -> Iterator[int]:
    """A port where nobody listens, and nobody else will: it is taken and not opened."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@dataclass
class Mute:
    """Takes connections and never says a word, or hangs up at once."""

    port: int
    held: list[socket.socket] = field(default_factory=list)

    @property
    def connections(self) -> int:
        return len(self.held)


@contextmanager
def mute_server(hangs_up: bool) -> Iterator[Mute]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        mute = Mute(server.getsockname()[1])

        def accept() -> None:
            with suppress(OSError):
                while True:
                    mute.held.append(server.accept()[0])
                    if hangs_up:
                        mute.held[-1].close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield mute
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection_ in mute.held:
                connection_.close()


# --- a real worker ----------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[Receiving]:
    with receiving() as listening:
        yield listening


@pytest.fixture
def worker(world: World, own_broker: embedded.Server, tmp_path: Path) -> Iterator[Child]:
    """A Celery worker as in production: its own process, its own database role, its own secrets."""
    environment = {
        "PATH": os.environ["PATH"],
        "COUNTERSIGN_ENV": "test",
        "COUNTERSIGN_PROCESS": "worker",
        "PAYLOAD_KEYS": settings.PAYLOAD_KEYS,
        "DJANGO_SETTINGS_MODULE": "approvals.settings",
        "DATABASE_ROLE_PREFIX": settings.DATABASE_ROLE_PREFIX,
        "DATABASE_URL": world.processes.urls["worker"],
        "REDIS_URL": own_broker.url,
        "SECRET_KEY": "demo-secret-key",
        "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS),
        "BACKING_URL": settings.BACKING_URL,
        "BACKING_READ_CREDENTIALS": settings.BACKING_READ_CREDENTIALS,
        "BACKING_WRITE_CREDENTIALS": world.processes.write_credentials,
        "ALLOW_PRIVATE_RECEIVERS": "1",
        "EXECUTION_LEASE_SECONDS": str(max(4, settings.EXECUTION_LEASE_SECONDS)),
    }
    options = ("--concurrency", "1", "--loglevel", "INFO", "--without-mingle", "--without-gossip")
    argv = (sys.executable, "-m", "celery", "-A", "approvals", "worker", *options)
    child = Child(Program(name="worker", argv=argv, env=environment, cwd=ROOT), tmp_path / "worker.log")
    try:
        wait_for(lambda: child.said(r"\bready\."), child)
        yield child
    finally:
        child.stop()


def wait_for(condition: Callable[[], bool], child: Child) -> None:
    deadline = monotonic() + LIVES
    while not condition():
        assert child.exit_code is None, child.last_lines()
        assert monotonic() < deadline, child.last_lines(40)
        sleep(0.05)


def listening(world: World, receiver: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ALLOW_PRIVATE_RECEIVERS", True)
    with world.processes.acting_as("migrator"):
        notifications.add_receiver(
            world.tenant, "webhook", "The receiver", receiver.url, notifications.new_secret()
        )


def told(receiver: Receiving) -> set[str]:
    return {received.json["type"] for received in receiver.received}


def test_a_worker_that_hears_the_bell_does_what_was_approved_and_tells(
    world: World, worker: Child, receiver: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening(world, receiver, monkeypatch)
    request = world.vote(world.submit(), "approve", "lena")
    everything = {"request.created", "request.approved", "request.succeeded"}
    wait_for(lambda: told(receiver) == everything, worker)
    assert world.status(request) == "succeeded"
    assert [entry["amount_minor"] for entry in world.ledger(request)] == [12900]
    wait_for(lambda: all(row.done_at for row in rows(world)), worker)


def test_what_no_bell_told_of_is_done_all_the_same(
    world: World, worker: Child, own_broker: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker lost every message; the sweeper finds the rows by looking."""
    with closed_port() as port, monkeypatch.context() as deaf:
        ring_at(f"redis://127.0.0.1:{port}/0", deaf)
        request = world.vote(world.submit(), "approve", "lena")
        bells.finish(LIVES)
    assert len(due(world)) == 3
    assert world.status(request) == "approved"
    monkeypatch.setattr(bells, "_ringer", bells.Ringer())
    sweep_until_done(world, request, worker)
    assert len(world.ledger(request)) == 1


def sweep_until_done(world: World, request: ApprovalRequest, worker: Child) -> None:
    def swept() -> bool:
        for row in due(world):
            (found,) = rows(world, pk=row)
            bells.ring(found.topic, found.pk, found.tenant_id)
        sleep(0.2)
        return world.status(request) == "succeeded"

    wait_for(swept, worker)
