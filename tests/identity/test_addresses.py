"""Whom a request is counted as: nobody chooses their own address."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from allauth.core.internal.ratelimit import get_ip
from django.conf import settings
from django.test import RequestFactory

from tests.journeys.site import serving
from tests.oauth.test_headless import added
from tests.world import World

FEW = 3
SOCKET = "198.51.100.1"


@pytest.fixture
def site(world: World, tmp_path: Path) -> Iterator[httpx.Client]:
    yield from _served(world, tmp_path / "web.log")


@pytest.fixture
def behind_two(world: World, tmp_path: Path) -> Iterator[httpx.Client]:
    yield from _served(world, tmp_path / "behind.log", TRUSTED_PROXIES="2")


def _served(world: World, log: Path, **more: str) -> Iterator[httpx.Client]:
    # A secret of its own: what is counted under another one is not its business.
    own = {"LIMIT_TOKEN_FAILURES_A_MINUTE": str(FEW), "SECRET_KEY": f"demo-{uuid4().hex}"}
    with (
        serving(world, log, **own, **more) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as client,
    ):
        yield client


def guess(site: httpx.Client, client_id: str, forwarded: str) -> tuple[int, str]:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "wrong"}
    answer = site.post("/o/token/", data=form, headers={"X-Forwarded-For": forwarded})
    return answer.status_code, answer.json()["error"]


def test_nobody_gets_past_a_limit_by_naming_another_address(world: World, site: httpx.Client) -> None:
    """Attack, through the server as it is run: it listens on loopback, from where it would believe the header."""
    agent = added(world)
    for number in range(FEW):
        assert guess(site, agent.client_id, f"203.0.113.{number}") == (401, "invalid_client")
    assert guess(site, agent.client_id, "203.0.113.77") == (429, "slow_down")


def test_a_header_that_our_proxies_do_not_send_is_no_error(
    world: World, site: httpx.Client, behind_two: httpx.Client, tmp_path: Path
) -> None:
    for where, log in ((site, "web.log"), (behind_two, "behind.log")):
        for number, forwarded in enumerate(("garbage", "", ",", "1.2.3.4.5", "203.0.113.1, garbage, x")):
            assert guess(where, f"nobody-{number}", forwarded) == (401, "invalid_client")
            page = where.get("/accounts/login/", headers={"X-Forwarded-For": forwarded})
            assert page.status_code == 200
        assert "Traceback" not in (tmp_path / log).read_text()


def test_who_comes_past_fewer_proxies_is_counted_by_the_socket(
    world: World, behind_two: httpx.Client
) -> None:
    agent = added(world)
    for number in range(FEW):
        assert guess(behind_two, agent.client_id, f"203.0.113.{number}") == (401, "invalid_client")
    assert guess(behind_two, agent.client_id, "203.0.113.77") == (429, "slow_down")
    assert guess(behind_two, agent.client_id, "203.0.113.77, 10.0.0.1") == (401, "invalid_client")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "counted"),
    [
        (0, "203.0.113.1", SOCKET),
        (1, "203.0.113.1", "203.0.113.1"),
        (1, "10.9.9.9, 203.0.113.1", "203.0.113.1"),
        (1, "10.9.9.9, 203.0.113.1:4711", "203.0.113.1"),
        (2, "203.0.113.1, 10.0.0.1", "203.0.113.1"),
        (2, "203.0.113.1", SOCKET),
        (1, "unknown", SOCKET),
        (1, "203.0.113.1, ", SOCKET),
        (1, "::ffff:203.0.113.1", "203.0.113.1"),
        (1, "2001:db8:1:2:3::4", "2001:db8:1:2::"),
        (1, "[2001:db8:1:2:3::4]:4711", "2001:db8:1:2::"),
    ],
)
def test_an_address_is_what_our_first_proxy_saw_and_else_the_sockets(
    proxies: int, forwarded: str, counted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "ALLAUTH_TRUSTED_PROXY_COUNT", proxies)
    request = RequestFactory().get("/", REMOTE_ADDR=SOCKET, headers={"X-Forwarded-For": forwarded})
    assert get_ip(request) == counted


@pytest.mark.parametrize("socket", ["", "not an address"])
def test_a_socket_without_an_address_is_one_caller(socket: str) -> None:
    assert get_ip(RequestFactory().get("/", REMOTE_ADDR=socket)) == "0.0.0.0"
