"""The agent always learns the outcome and the reason, whichever way it waits."""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from approvals.states import Status
from tests import courses
from tests.mcp_bridge.conftest import Token
from tests.mcp_bridge.hosts import LEGACY, RunningDoor
from tests.mcp_bridge.wire import TASKS, result, sent
from tests.world import World

# Each answers with what `get_request_status` says: the status, the sentence, and others' words where there are any.
Way: TypeAlias = Callable[[RunningDoor, str, str], dict[str, Any]]

# How a request gets there, how the sentence begins, and what stands in `outcome`.
WORDS: dict[Status, tuple[courses.Course, str, str]] = {
    Status.SUCCEEDED: (
        courses.succeeded,
        "Carried out: 50.00 USD refunded to the card",
        "50.00 USD refunded",
    ),
    Status.FAILED: (courses.failed, "Approved, but it could not be done: see `outcome`.", "refused"),
    Status.DENIED: (courses.denied, f"Denied: {courses.REASON}", courses.REASON),
    Status.EXPIRED: (courses.expired, "Its time ran out before it was decided and carried out", ""),
    Status.WITHDRAWN: (courses.withdrawn, "Withdrawn; nothing was done.", ""),
    Status.UNCERTAIN: (courses.uncertain, "It was sent and no clear answer came", "did not answer"),
    Status.STALE: (courses.stale, "What was approved has changed meanwhile", ""),
    Status.CHANGES_REQUESTED: (
        courses.changes_requested,
        f"A reviewer asks for changes: {courses.REASON} Answer with revise_request",
        "",  # they stand in `changes`, as a person's words
    ),
    Status.APPROVED: (courses.approved, "Approved; it will be carried out shortly.", ""),
    Status.PENDING: (courses.pending, "Waiting for a decision.", ""),
}


def by_asking(door: RunningDoor, token: str, request_id: str) -> dict[str, Any]:
    """A client that knows nothing but tools."""
    with door.host(token, LEGACY) as host:
        return host.ask("get_request_status", request_id=request_id)


def by_reading(door: RunningDoor, token: str, request_id: str) -> dict[str, Any]:
    """What a client does that was woken by its subscription."""
    with door.host(token) as host:
        return dict(json.loads(host.read(f"approval://{request_id}")))


def by_task(door: RunningDoor, token: str, request_id: str) -> dict[str, Any]:
    """The result of the task, or its message while there is none."""
    task = result(sent(door, token, "tasks/get", declares=(TASKS,), taskId=request_id))
    if task["status"] != "completed":
        assert "result" not in task
        return {"message": task["statusMessage"]}
    final = task["result"]
    assert json.loads(final["content"][0]["text"]) == final["structuredContent"]
    assert final["isError"] == (final["structuredContent"]["status"] != "succeeded")
    assert final["structuredContent"]["message"] == task["statusMessage"]
    return dict(final["structuredContent"])


@pytest.mark.parametrize("way", [by_asking, by_reading, by_task])
@pytest.mark.parametrize("status", WORDS)
def test_the_agent_learns_the_outcome_and_the_reason(
    status: Status, way: Way, door: RunningDoor, token: Token, known: World
) -> None:
    course, sentence, outcome = WORDS[status]
    request = course(known)
    assert known.status(request) == status
    told = way(door, token(), str(request.pk))
    assert told["message"].startswith(sentence)
    assert told.get("status", status) == status
    # A task that goes on has room for the sentence alone.
    if "outcome" in told:
        assert bool(told["outcome"]) == bool(outcome)
        assert outcome in (told["outcome"] or {"text": ""})["text"]


def test_every_status_has_its_words_here_but_one_that_passes_in_a_moment() -> None:
    assert set(Status) - set(WORDS) == {Status.EXECUTING}
