"""What keeps a stream true, in this process, where its clocks can be set."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from approvals import watching as bell
from approvals.identity.requester import Requester
from mcp_bridge import streams
from mcp_bridge.lifecycle import Context
from mcp_bridge.server import create
from tests import courses
from tests.mcp_bridge.hosts import Host, connected
from tests.mcp_bridge.watched import uri, watching
from tests.world import World


@contextmanager
def in_this_process(known: World, again: Callable[[], Requester] | None = None) -> Iterator[Host]:
    async def identify(_: Context) -> Requester:
        return known.agent

    async def asked_again(_: Context) -> Requester:
        return again() if again else known.agent

    with known.processes.acting_as("door"), connected(create(identify, again=asked_again)) as host:
        yield host


@pytest.fixture
def never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that nobody looks after between two bells."""
    monkeypatch.setattr(streams, "EVERY", 3600.0)
    monkeypatch.setattr(streams, "LEASE", 3600.0)


def test_redis_alone_wakes_the_agent(never_looks: None, known: World, broker: str) -> None:
    request = courses.pending(known)
    with in_this_process(known) as host, watching(host, request) as stream:
        courses.withdraw(known, request)
        assert stream.next() == uri(request)


def test_a_bell_that_anybody_could_ring_tells_nothing_that_is_not_so(
    never_looks: None, known: World, broker: str
) -> None:
    """PostgreSQL says what moved: a false bell is followed by a look, and by silence."""
    quiet, moved = courses.pending(known), courses.pending(known)
    with in_this_process(known) as host, watching(host, quiet, moved) as stream:
        bell.moved(quiet)
        courses.withdraw(known, moved)
        assert stream.next() == uri(moved)


def test_a_stream_ends_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch, known: World) -> None:
    request = courses.pending(known)
    monkeypatch.setattr(streams, "LONGEST", 1.0)
    with in_this_process(known) as host, watching(host, request) as stream:
        assert stream.next() is None


def test_a_stream_ends_when_nobody_can_say_whether_it_may_go_on(
    monkeypatch: pytest.MonkeyPatch, known: World
) -> None:
    """Such as when the database does not answer."""
    request = courses.pending(known)
    monkeypatch.setattr(streams, "LEASE", 1.0)
    monkeypatch.setattr(streams, "EVERY", 0.1)

    def broken() -> Requester:
        raise RuntimeError("nobody answers")

    with in_this_process(known, broken) as host, watching(host, request) as stream:
        assert stream.next() is None


def test_a_stream_is_asked_about_often_enough_to_end_within_five_seconds() -> None:
    assert streams.EVERY * 2 < streams.LEASE <= 5
