"""A loop leaves one event a minute, and nothing of what it did is missing from them."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from approvals import limits, queries, submit
from approvals.audit.models import Event
from approvals.errors import MoveRefused, NotFound
from approvals.limits import sparingly
from tests import courses
from tests.world import World, break_the_trail

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def at_the_door(world: World) -> Iterator[None]:
    with world.processes.acting_as("door"):
        yield


def ask(world: World, request_id: UUID) -> None:
    with pytest.raises(NotFound):
        queries.request_of_agent(request_id, world.agent, trace_id=TRACE)


def take_back(world: World, request_id: UUID) -> None:
    with pytest.raises((NotFound, MoveRefused)):
        submit.withdraw(request_id, by=world.agent, trace_id=TRACE)


def told(world: World, kind: str = "access.denied") -> list[dict[str, Any]]:
    with world.processes.acting_as("migrator"):
        found = Event.objects.filter(tenant_id=world.tenant.pk, kind=kind).order_by("at")
        return [json.loads(event.text)["data"] for event in found]


def test_the_first_is_told_at_once_and_the_others_within_the_minute(world: World) -> None:
    asked = [uuid4() for _ in range(30)]
    for one in asked:
        ask(world, one)
    (first,) = told(world)
    assert (first["refused"], first["id"]) == (1, str(asked[0]))
    limits.tell()
    first, others = told(world)
    assert (others["refused"], others["wanted"]) == (29, "read")
    assert others["also"] == [str(one) for one in asked[1 : 1 + sparingly.MOST_IDS]]
    limits.tell()
    assert len(told(world)) == 2


def test_what_wanted_something_else_is_told_at_once_too(world: World) -> None:
    foreign = uuid4()
    ask(world, foreign)
    for _ in range(3):
        take_back(world, foreign)
    assert [event["wanted"] for event in told(world)] == ["read", "withdraw"]
    limits.tell()
    assert [(event["wanted"], event["refused"]) for event in told(world)][2:] == [("withdraw", 2)]


def test_repeats_of_one_request_are_counted_on_its_own_trail(world: World) -> None:
    request, other = world.submit(key="the-first-key"), world.submit(key="another-key")
    for key in ("the-first-key", "another-key", "the-first-key", "the-first-key"):
        world.submit(key=key)
    assert world.events(request) == world.events(other) == ["request.created", "request.repeated"]
    limits.tell()
    assert world.events(request) == ["request.created", "request.repeated", "request.repeated"]
    assert sorted(event["refused"] for event in told(world, "request.repeated")) == [1, 1, 2]


def test_what_cannot_be_told_is_told_the_next_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done = courses.pending(world)
    with world.processes.acting_as("door"):
        submit.withdraw(done.pk, by=world.agent, trace_id=TRACE)
        with monkeypatch.context() as broken:
            break_the_trail(broken, sparingly)
            with pytest.raises(RuntimeError, match="trail"):
                submit.withdraw(done.pk, by=world.agent, trace_id=TRACE)
            limits.tell()
        assert told(world, "request.refused") == []
        take_back(world, done.pk)
        take_back(world, done.pk)
        with monkeypatch.context() as broken:
            break_the_trail(broken, sparingly)
            limits.tell()
        limits.tell()
    assert [event["refused"] for event in told(world, "request.refused")] == [1, 1]


def test_of_more_loops_than_are_counted_each_refusal_is_an_event(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparingly, "_MOST_LOOPS", 0)
    for _ in range(3):
        ask(world, uuid4())
    assert [event["refused"] for event in told(world)] == [1, 1, 1]
