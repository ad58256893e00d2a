"""`subscriptions/listen` on `approval://`: woken at any door, about one's own requests, for as long as one may."""

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.utils import timezone
from mcp.shared.exceptions import MCPError
from mcp_types import EmptyResult, SubscribeRequest, SubscribeRequestParams

from approvals import switches
from approvals.identity.models import AccessToken, Agent
from approvals.management import embedded
from approvals.management.children import Child, Program
from approvals.management.ports import any_free
from approvals.models import ApprovalRequest
from mcp_bridge import streams
from tests import courses
from tests.hearing import Hearing
from tests.mcp_bridge.collecting import running_worker
from tests.mcp_bridge.conftest import Environment, Token
from tests.mcp_bridge.hosts import LEGACY, MODERN, Host, RunningDoor, over_stdio, running_door
from tests.mcp_bridge.watched import LIVES, uri, watching
from tests.mcp_bridge.wire import TASKS, error, result, sent
from tests.world import World

CREDIT = {
    "customer_id": "cus_1001",
    "amount_minor": 500,
    "currency": "USD",
    "reason": "The parcel came a week late.",
}


@contextmanager
def another_door(environment: Environment, folder: Path, **changes: str) -> Iterator[RunningDoor]:
    """A second process of the same door, as behind one address."""
    with running_door(environment | changes, any_free(), folder / f"door-{uuid4().hex}") as door:
        yield door


def at(door: RunningDoor, environment: Environment, token: str) -> Any:
    """A host at a certain process; all of them serve the same name."""
    return door.host(token, Host=environment["DOOR_URL"].split("/")[2])


# --- woken ------------------------------------------------------------------------------------------------


def test_a_decision_wakes_the_agent_at_one_door_and_it_reads_the_outcome_at_another(
    environment: Environment, token: Token, known: World, door: RunningDoor, tmp_path: Path
) -> None:
    request = courses.pending(known)
    with another_door(environment, tmp_path) as other, at(door, environment, token()) as host:
        with watching(host, request) as stream:
            known.vote(request, "deny", "lena", comment=courses.REASON)
            assert stream.next() == uri(request)
        with at(other, environment, token()) as elsewhere:
            told = json.loads(elsewhere.read(uri(request)))
    assert (told["status"], told["message"]) == ("denied", f"Denied: {courses.REASON}")


def test_each_move_of_each_watched_request_is_told_until_the_last(
    door: RunningDoor, token: Token, known: World
) -> None:
    first, second = courses.pending(known), courses.pending(known)
    with door.host(token()) as host, watching(host, first, second) as stream:
        courses.approve(known, first)
        assert stream.next() == uri(first)
        courses.withdraw(known, second)
        assert stream.next() == uri(second)
        courses.run(known, first)
        assert stream.next() == uri(first)
        assert json.loads(host.read(uri(first)))["status"] in {"executing", "succeeded"}


def test_streams_of_one_process_are_told_of_their_own_requests_alone(
    door: RunningDoor, token: Token, known: World
) -> None:
    mine, other = courses.pending(known), courses.pending(known)
    with door.host(token()) as host, watching(host, mine) as one, watching(host, other) as two:
        courses.withdraw(known, other)
        assert two.next() == uri(other)
        courses.withdraw(known, mine)
        assert one.next() == uri(mine)


@contextmanager
def started(program: Program) -> Iterator[None]:
    child = Child(program, program.cwd / "log")
    try:
        deadline = monotonic() + LIVES
        while not program.ready(child):
            assert monotonic() < deadline
            sleep(0.05)
        yield
    finally:
        child.stop(hurry=lambda: True)


def test_what_moves_while_redis_is_away_is_told_and_what_moves_afterwards_too(
    environment: Environment, token: Token, known: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, meanwhile, after = (courses.pending(known) for _ in range(3))
    with embedded.scratch() as data:
        prepared = embedded.prepare_valkey(data, environ={})
        assert prepared.program is not None
        monkeypatch.setattr(settings, "REDIS_URL", prepared.url)
        with ExitStack() as stack:
            redis = stack.enter_context(ExitStack())
            redis.enter_context(started(prepared.program))
            door = stack.enter_context(another_door(environment, tmp_path, REDIS_URL=prepared.url))
            host = stack.enter_context(at(door, environment, token()))
            stream = stack.enter_context(watching(host, before, meanwhile, after))
            courses.withdraw(known, before)
            assert stream.next() == uri(before)
            redis.close()
            courses.withdraw(known, meanwhile)
            assert stream.next() == uri(meanwhile)
            redis.enter_context(started(prepared.program))
            courses.withdraw(known, after)
            assert stream.next() == uri(after)


def test_what_a_worker_does_wakes_the_agent_until_it_is_done(
    environment: Environment, token: Token, known: World, tmp_path: Path
) -> None:
    """With no person in between: a rule approves it, and a worker process carries it out."""
    with embedded.scratch() as data, embedded.valkey(data, environ={}) as redis, ExitStack() as stack:
        worker = environment | {
            "COUNTERSIGN_PROCESS": "worker",
            "DATABASE_URL": known.processes.urls["worker"],
            "ENCRYPTION_KEYS": settings.ENCRYPTION_KEYS[0],
            "BACKING_WRITE_CREDENTIALS": known.processes.write_credentials,
            "REDIS_URL": redis.url,
        }
        hearing = stack.enter_context(closing(Hearing(redis.url)))
        door = stack.enter_context(another_door(environment, tmp_path, REDIS_URL=redis.url))
        host = stack.enter_context(at(door, environment, token()))
        request_id = host.ask("request_store_credit", **CREDIT)["request_id"]
        stream = stack.enter_context(watching(host, f"approval://{request_id}"))
        stack.enter_context(running_worker(worker, tmp_path / "worker"))
        while json.loads(host.read(f"approval://{request_id}"))["status"] != "succeeded":
            assert stream.next() == f"approval://{request_id}"
        # Approved, taken on, done: each told by the worker's own process, after the commit that was just seen.
        told = hearing.all()
        while len(told) < 3:
            told += hearing.all()
        assert told == [request_id] * 3


# --- whose ------------------------------------------------------------------------------------------------


def test_what_is_not_ones_own_can_not_be_watched_and_reads_the_same(
    door: RunningDoor, token: Token, known: World
) -> None:
    request, missing = courses.pending(known), f"approval://{uuid4()}"
    said = set()
    for who, watched in (
        (known.another_agent(), uri(request)),
        (known.other_agent, uri(request)),
        (known.agent, missing),
        (known.agent, "approval://no-id"),
    ):
        with door.host(token(who)) as host:
            with pytest.raises(MCPError) as refused, watching(host, watched):
                pass
            with pytest.raises(MCPError) as unread:
                host.read(watched)
        assert refused.value.error == unread.value.error
        said.add(refused.value.error.message.replace(watched.removeprefix("approval://"), "ID"))
    assert len(said) == 1
    # For watching and reading within a minute one event, of each of the two that are agents here and named an id.
    assert known.events().count("access.denied") == 2


def test_one_that_is_not_ones_own_spoils_the_whole_stream(
    door: RunningDoor, token: Token, known: World
) -> None:
    mine = courses.pending(known)
    with door.host(token()) as host, pytest.raises(MCPError), watching(host, mine, f"approval://{uuid4()}"):
        pass


def test_only_what_will_be_told_is_acknowledged(door: RunningDoor, token: Token, known: World) -> None:
    request = courses.pending(known)
    asked = [f"approval://{str(request.pk).upper()}", uri(request), "policy://refunds", "file:///etc/passwd"]
    with door.host(token()) as host:
        listening = host.client.listen(
            tools_list_changed=True,
            prompts_list_changed=True,
            resources_list_changed=True,
            resource_subscriptions=asked,
        )
        with host.portal.wrap_async_context_manager(listening) as stream:
            assert stream.honored.model_dump(exclude_none=True) == {"resource_subscriptions": [uri(request)]}


def test_the_capabilities_say_what_is_true(door: RunningDoor, token: Token) -> None:
    modern = result(sent(door, token(), "server/discover"))["capabilities"]
    assert modern["resources"] == {"subscribe": True, "listChanged": False}
    assert modern["tools"] == modern["prompts"] == {"listChanged": False}


def test_an_older_host_is_offered_no_subscription(door: RunningDoor, token: Token, known: World) -> None:
    with door.host(token(), LEGACY) as host:
        declared = host.client.server_capabilities
        assert declared is not None
        assert declared.resources is not None
        assert not declared.resources.subscribe
        params = SubscribeRequestParams(uri=uri(courses.pending(known)))
        with pytest.raises(MCPError, match="Method not found"):
            host.portal.call(host.client.session.send_request, SubscribeRequest(params=params), EmptyResult)


def test_status_notifications_of_tasks_need_the_extension_and_are_not_promised(
    door: RunningDoor, token: Token, known: World
) -> None:
    """SEP-2663, Task Status Notifications: -32021 without the declaration; with it, they are optional."""
    task = str(courses.pending(known).pk)
    refusal = error(sent(door, token(), "subscriptions/listen", notifications={"taskIds": [task]}))
    assert refusal["code"] == -32021
    assert refusal["data"]["requiredCapabilities"] == {"extensions": {TASKS: {}}}


def test_watching_needs_the_scope_of_reading(door: RunningDoor, token: Token, known: World) -> None:
    notifications = {"resourceSubscriptions": [uri(courses.pending(known))]}
    answer = sent(door, token(scope="mcp:request"), "subscriptions/listen", notifications=notifications)
    assert answer.status_code == 403


# --- how much ---------------------------------------------------------------------------------------------


def test_one_stream_watches_so_many_requests(door: RunningDoor, token: Token) -> None:
    uris = [f"approval://{uuid4()}" for _ in range(streams.MOST_WATCHED + 1)]
    with door.host(token()) as host, pytest.raises(MCPError, match="watches_too_much"), watching(host, *uris):
        pass


def test_one_agent_has_so_many_streams_and_another_has_its_own(
    door: RunningDoor, token: Token, known: World
) -> None:
    request = courses.pending(known)
    with door.host(token()) as host, ExitStack() as opened:
        for _ in range(streams.MOST_OF_AN_AGENT):
            opened.enter_context(watching(host, request))
        with pytest.raises(MCPError, match="watches_too_much"), watching(host, request):
            pass
        with door.host(token(known.other_agent)) as other, watching(other):
            pass
        opened.close()
        assert within(lambda: may_watch(host, request))


def may_watch(host: Host, request: ApprovalRequest) -> bool:
    try:
        with watching(host, request):
            return True
    except MCPError:
        return False


def within(holds: Callable[[], bool]) -> bool:
    deadline = monotonic() + LIVES
    while not (held := holds()) and monotonic() < deadline:
        sleep(0.1)
    return held


# --- how long ---------------------------------------------------------------------------------------------


def expire_token(known: World, raw: str) -> None:
    mine = AccessToken.objects.filter(token_checksum=hashlib.sha256(raw.encode()).hexdigest())
    assert mine.update(expires=timezone.now()) == 1


def revoke_token(known: World, raw: str) -> None:
    AccessToken.objects.get(token_checksum=hashlib.sha256(raw.encode()).hexdigest()).delete()


def switch_agent_off(known: World, raw: str) -> None:
    assert Agent.objects.filter(pk=known.agent.id).update(is_active=False) == 1


def stop_everything(known: World, raw: str) -> None:
    switches.turn_on(tenant_id=known.tenant.pk, stops="everything", reason="For a test.", by=None)


def stop_asking(known: World, raw: str) -> None:
    switches.turn_on(tenant_id=known.tenant.pk, tool="get_request_status", reason="For a test.", by=None)


@pytest.mark.parametrize(
    "ending", [expire_token, revoke_token, switch_agent_off, stop_everything, stop_asking]
)
def test_a_stream_ends_when_its_agent_may_no_longer_come_in(
    ending: Callable[[World, str], None], door: RunningDoor, token: Token, known: World
) -> None:
    raw, request = token(), courses.pending(known)
    with door.host(raw) as host, watching(host, request) as stream:
        with known.processes.acting_as("migrator"):
            ending(known, raw)
        assert stream.next() is None


def test_a_door_that_is_told_to_stop_closes_its_streams_and_stops(
    environment: Environment, token: Token, known: World, tmp_path: Path
) -> None:
    request, running = courses.pending(known), another_door(environment, tmp_path)
    door = running.__enter__()
    with (
        at(door, environment, token()) as host,
        watching(host, request) as stream,
        ThreadPoolExecutor(1) as thread,
    ):
        stopped = thread.submit(running.__exit__, None, None, None)
        assert stream.next() is None
        stopped.result(LIVES)


def test_who_listens_and_why_it_ended_is_in_the_log(door: RunningDoor, token: Token, known: World) -> None:
    trace, request = uuid4().hex, courses.pending(known)
    with door.host(token(), traceparent=f"00-{trace}-00f067aa0ba902b7-01") as host, watching(host, request):
        (opened,) = door.logged("stream opened", trace)
        assert opened["watched"] == [str(request.pk)]
        assert opened["subject_id"] == str(known.agent.agent_id)
    assert within(lambda: bool(door.logged("stream ended", trace)))
    (ended,) = door.logged("stream ended", trace)
    assert ended["because"] == "client"
    (line,) = (line for line in door.logged("call", trace) if line["method"] == "subscriptions/listen")
    assert (line["resource_id"], line["authz_result"]) == (uri(request), "allow")


def test_over_stdio_an_agent_is_woken_and_its_stream_ends_with_its_credential(
    stdio_environment: Environment, known: World, tmp_path: Path
) -> None:
    request = courses.pending(known)
    with (
        over_stdio(stdio_environment, tmp_path / "stderr", MODERN) as host,
        watching(host, request) as stream,
    ):
        courses.withdraw(known, request)
        assert stream.next() == uri(request)
        with known.processes.acting_as("migrator"):
            switch_agent_off(known, "")
        assert stream.next() is None
