"""Who was let in is remembered for two seconds, counted from before it was asked; who was refused is not."""

import asyncio

import pytest

from approvals.errors import TokenRefused
from approvals.identity.requester import Requester
from mcp_bridge import known
from tests.world import World


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Tokens:
    """The look-up, as slow as it is told to be, and how often it was asked."""

    def __init__(self, clock: Clock, requester: Requester) -> None:
        self.asked = 0
        self.takes = 0.0
        self.valid = True
        self._clock, self._requester = clock, requester

    def __call__(self, raw: str) -> Requester:
        self.asked += 1
        self._clock.now += self.takes
        if not self.valid:
            raise TokenRefused(because="unknown")
        return self._requester


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(known, "monotonic", made)
    return made


@pytest.fixture
def tokens(clock: Clock, world: World, monkeypatch: pytest.MonkeyPatch) -> Tokens:
    made = Tokens(clock, world.agent)
    monkeypatch.setattr(known, "requester_of_token", made)
    monkeypatch.setattr(known, "_known", {})
    return made


def let_in(raw: str = "a token") -> Requester:
    return asyncio.run(known.requester(raw))


def test_a_token_is_looked_up_again_after_two_seconds(tokens: Tokens, clock: Clock, world: World) -> None:
    assert let_in() == let_in() == world.agent
    assert tokens.asked == 1
    clock.now += 1.9
    let_in()
    assert tokens.asked == 1
    clock.now += 0.2
    let_in()
    assert tokens.asked == 2


def test_a_revoked_token_is_refused_two_seconds_after_the_last_look_began(
    tokens: Tokens, clock: Clock
) -> None:
    tokens.takes = 1.5  # revoked while the answer was on its way
    let_in()
    tokens.valid = False
    clock.now += 0.6
    with pytest.raises(TokenRefused):
        let_in()


def test_a_refusal_is_not_remembered(tokens: Tokens) -> None:
    tokens.valid = False
    for _ in range(2):
        with pytest.raises(TokenRefused):
            let_in()
    assert tokens.asked == 2


def test_one_token_says_nothing_of_another(tokens: Tokens) -> None:
    let_in("a token")
    tokens.valid = False
    with pytest.raises(TokenRefused):
        let_in("another token")


def test_what_is_remembered_does_not_grow_without_end(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MOST", 3)
    for number in range(10):
        let_in(f"token {number}")
        assert len(known._known) <= 3
