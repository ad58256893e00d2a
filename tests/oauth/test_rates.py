"""How often the token endpoints may be asked, and whom the failures of somebody else do not touch."""

import json
from time import sleep
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.conf import settings
from django.test import Client

from approvals import quick_redis
from approvals.identity.agents import Added
from approvals.identity.validator import Validator
from approvals.limits import counters
from approvals.limits.seldom import times_untold
from approvals.views.oauth import rates
from tests.oauth.programs import Program, refusal, told
from tests.oauth.test_exchange import at_once
from tests.oauth.test_headless import added, ask
from tests.views.conftest import SignIn
from tests.world import World

FEW = 3
ELSEWHERE = "203.0.114.9"


@pytest.fixture(autouse=True)
def _few(web: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LIMIT_TOKEN_FAILURES_A_MINUTE", FEW)
    monkeypatch.setattr(quick_redis, "_silent_until", 0.0)


@pytest.fixture
def agent(web: World) -> Added:
    return added(web)


def right(agent: Added, address: str = "127.0.0.1", **headers: str) -> int:
    """The status of an answer to the agent itself."""
    form = {"grant_type": "client_credentials", "client_id": agent.client_id, "client_secret": agent.secret}
    return int(Client().post("/o/token/", form, REMOTE_ADDR=address, headers=headers).status_code)


def wrong(agent: Added, times: int = FEW) -> None:
    for _ in range(times):
        assert refusal(ask(agent, secret="wrong")) == (401, "invalid_client")


def test_who_fails_too_often_is_told_when_to_come_back(agent: Added) -> None:
    wrong(agent)
    answer = ask(agent, secret="wrong")
    assert refusal(answer) == (429, "slow_down")
    assert 0 < int(answer["Retry-After"]) <= 60
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/json", "no-store")


def test_over_the_limit_no_secret_is_hashed(agent: Added, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: make a slow hash be worked out, again and again, for a client id that anybody may know."""
    wrong(agent)
    monkeypatch.setattr(Validator, "_check_secret", lambda *_: pytest.fail("it was looked at"))
    assert refusal(ask(agent, secret="wrong")) == (429, "slow_down")


@pytest.mark.parametrize("redis_is", ["there", "away"])
def test_of_many_at_once_no_more_secrets_are_hashed_than_may_fail(
    agent: Added, monkeypatch: pytest.MonkeyPatch, redis_is: str
) -> None:
    """Attack: send so many guesses at the same moment that none of them has failed when the others are looked at."""
    hashed: list[str] = []

    def slowly(_: Validator, provided: str, __: str) -> bool:
        hashed.append(provided)
        sleep(1)
        return False

    monkeypatch.setattr(Validator, "_check_secret", slowly)
    if redis_is == "away":
        monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    answers = at_once(lambda: ask(agent, secret="wrong"), 4 * FEW)
    assert answers == [(401, "invalid_client")] * FEW + [(429, "slow_down")] * 3 * FEW
    assert len(hashed) == FEW


@pytest.mark.parametrize("redis_is", ["there", "away"])
def test_what_was_no_failure_is_given_back(
    agent: Added, monkeypatch: pytest.MonkeyPatch, redis_is: str
) -> None:
    if redis_is == "away":
        monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    for number in range(4 * FEW + 1):
        assert refusal(ask(agent, scope="mcp:approve", secret=agent.secret)) == (400, "invalid_scope"), number
    wrong(agent)
    assert refusal(ask(agent)) == (429, "slow_down")


def test_a_redis_that_goes_while_one_is_under_way_costs_it_a_failure_and_nobody_else(
    agent: Added, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was counted there stays there until its minute ends; the process's own counts are another matter."""
    looked_at: Any = Validator._check_secret

    def gone(*arguments: Any) -> bool:
        monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
        return bool(looked_at(*arguments))

    with monkeypatch.context() as there:
        there.setattr(Validator, "_check_secret", gone)
        assert right(agent) == 200
    assert rates._here == {}
    wrong(agent)
    assert refusal(ask(agent)) == (429, "slow_down")


def test_a_process_that_counts_for_itself_forgets_the_oldest_and_not_everything(
    agent: Added, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: while Redis is away, name so many programs that what was counted before is thrown away."""
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(rates, "MOST_HERE", 6)
    ask(Added(agent.agent, "somebody", "x"))
    wrong(agent)
    for number in range(3):
        ask(Added(agent.agent, f"nobody-{number}", "x"))
    assert refusal(ask(agent)) == (429, "slow_down")
    assert len(rates._here) <= 6


def test_nobody_elsewhere_locks_an_agent_out(agent: Added) -> None:
    """Attack: fail in the name of a known client id until its agent gets no token."""
    wrong(agent)
    assert refusal(ask(agent)) == (429, "slow_down")
    assert right(agent, ELSEWHERE) == 200


def test_at_the_same_address_a_secret_that_was_good_is_not_held_to_others_failures(agent: Added) -> None:
    """A network or a proxy has one address for many."""
    assert right(agent) == 200
    for _ in range(2 * FEW):
        ask(agent, secret="wrong")
    assert refusal(ask(agent, secret="wrong")) == (429, "slow_down")
    assert right(agent) == 200


def test_nor_is_a_refresh_token_that_was_issued_lately(web: World, program: Program, sign_in: SignIn) -> None:
    issued = program.connected(sign_in("lena"), web.tenant.pk)
    for _ in range(FEW):
        assert refusal(program.refresh("guessed")) == (400, "invalid_grant")
    assert refusal(program.refresh("guessed")) == (429, "slow_down")
    assert program.refresh(issued["refresh_token"]).status_code == 200


def test_a_secret_that_is_good_no_more_is_held_to_them_again(web: World, agent: Added) -> None:
    assert right(agent) == 200
    with web.processes.acting_as("migrator"):
        agent.agent.application.client_secret = uuid4().hex
        agent.agent.application.save()
    assert [right(agent) for _ in range(FEW + 1)] == [401] * FEW + [429]


def test_another_program_at_the_address_is_not_held_to_one_programs_failures(
    web: World, agent: Added
) -> None:
    wrong(agent)
    assert right(added(web)) == 200


def test_an_address_that_tries_many_programs_is_held_to_all_its_failures(web: World, agent: Added) -> None:
    for number in range(4 * FEW):
        answer = ask(Added(agent.agent, f"nobody-{number}", "x"))
        assert refusal(answer) == (401, "invalid_client")
    assert right(agent) == 429
    assert right(agent, ELSEWHERE) == 200


def test_codes_that_are_wrong_are_failures(web: World, program: Program, sign_in: SignIn) -> None:
    code = program.code(sign_in("lena"), web.tenant.pk)
    for _ in range(FEW):
        assert refusal(program.exchange("guessed")) == (400, "invalid_grant")
    assert refusal(program.exchange(code)) == (429, "slow_down")


def test_what_is_asked_wrongly_is_no_failure(agent: Added) -> None:
    for _ in range(2 * FEW):
        assert refusal(ask(agent, scope="mcp:approve")) == (400, "invalid_scope")
    assert right(agent) == 200


def test_an_address_asks_a_limited_number_of_times_at_both_endpoints(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LIMIT_TOKEN_CALLS_A_MINUTE", 4)
    for _ in range(2):
        assert program.revoke("nothing").status_code == 200
        assert program.exchange("x", grant_type="nonsense").status_code == 400
    assert refusal(program.revoke("nothing")) == (429, "slow_down")
    assert refusal(program.exchange("x")) == (429, "slow_down")


def test_a_caller_is_known_by_what_our_own_proxy_says(agent: Added, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: name another address with each guess. Only the entry that our proxy added counts."""
    monkeypatch.setattr(settings, "ALLAUTH_TRUSTED_PROXY_COUNT", 1)
    guess = Added(agent.agent, agent.client_id, "wrong")
    for number in range(FEW):
        assert right(guess, **{"X-Forwarded-For": f"10.0.0.{number}, 203.0.114.1"}) == 401
    assert right(guess, **{"X-Forwarded-For": "10.0.0.77, 203.0.114.1"}) == 429
    assert right(agent, **{"X-Forwarded-For": "203.0.114.2"}) == 200


def test_it_is_counted_for_all_web_processes_and_keeps_nothing_in_clear(agent: Added) -> None:
    assert right(agent) == 200
    wrong(agent)
    assert rates._here == {}  # nothing of it is this process's own
    with redis.Redis.from_url(settings.REDIS_URL) as server:
        kept = {key.decode(): server.ttl(key) for key in server.scan_iter(counters.key("oauth", "*"))}
    assert kept and all(0 < left <= rates.DAY for left in kept.values())
    for secret in (agent.client_id, agent.secret, "127.0.0.1"):
        assert not any(secret in key for key in kept)


def test_while_redis_is_away_tokens_are_issued_and_each_process_counts_for_itself(
    agent: Added, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    assert right(agent) == 200
    wrong(agent)
    assert refusal(ask(agent)) == (429, "slow_down")
    assert right(agent, ELSEWHERE) == 200


def test_a_thousand_refusals_are_one_event_and_one_line(
    web: World, agent: Added, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(told(kind="access.turned_away"))
    wrong(agent)
    caplog.clear()
    with caplog.at_level("INFO", logger="approvals.views.oauth.too_many"):
        for _ in range(5):
            assert ask(agent).status_code == 429
    (event,) = told(kind="access.turned_away")[before:]
    said: dict[str, Any] = json.loads(event.text)
    assert (said["actor"], said["data"]) == ({"kind": "system", "id": "web"}, {"429 token": 1})
    assert len(caplog.records) == 1
    assert times_untold("another") == 1


def test_who_asks_too_often_is_told_so_also_without_its_event(
    agent: Added, monkeypatch: pytest.MonkeyPatch
) -> None:
    from approvals.views.oauth import too_many
    from tests.world import break_the_trail

    break_the_trail(monkeypatch, too_many)
    wrong(agent)
    assert refusal(ask(agent)) == (429, "slow_down")
