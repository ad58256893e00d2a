"""Which address is counted at the OAuth endpoints, and by the limits on sign-in: one caller's, and nobody else's."""

import pytest
from django.conf import settings
from django.test import Client

from approvals.identity.agents import Added
from tests.oauth.test_callers import FEW, _few, agent, basic, by_header, post

__all__ = ["_few", "agent"]  # fixtures


def fail(address: str, times: int = 4 * FEW) -> None:
    """So often that the address is refused, whatever the program."""
    for number in range(times):
        assert post(basic(f"nobody-{number}:x"), address=address).status_code == 401
    assert post(basic("nobody:x"), address=address).status_code == 429


@pytest.mark.parametrize("inside", ["::ffff:{}", "64:ff9b::{}", "0:0:0:0:0:ffff:{}"])
def test_an_ipv4_address_inside_an_ipv6_one_is_counted_by_itself(agent: Added, inside: str) -> None:
    """Attack: where a process sees them so, they all have one /64. One caller then locks everybody out."""
    fail(inside.format("198.51.100.7"))
    assert by_header(agent, address=inside.format("203.0.113.200")).status_code == 200


def test_an_ipv4_address_is_the_same_one_however_it_comes(agent: Added) -> None:
    fail("::ffff:198.51.100.7")
    assert by_header(agent, address="198.51.100.7").status_code == 429


def test_it_is_so_behind_a_proxy_as_well(agent: Added, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ALLAUTH_TRUSTED_PROXY_COUNT", 1)

    def status(address: str, who: str) -> int:
        headers = {"Authorization": basic(who), "X-Forwarded-For": address}
        return int(
            Client().post("/o/token/", {"grant_type": "client_credentials"}, headers=headers).status_code
        )

    for number in range(4 * FEW):
        assert status("::ffff:198.51.100.7", f"nobody-{number}:x") == 401
    assert status("::ffff:198.51.100.7", "nobody:x") == 429
    assert status("::ffff:203.0.113.200", f"{agent.client_id}:{agent.secret}") == 200


def test_an_ipv6_network_of_one_caller_is_one_address(agent: Added) -> None:
    fail("2001:db8:1:2::1")
    assert by_header(agent, address="2001:db8:1:2:3:4:5:6").status_code == 429
    assert by_header(agent, address="2001:db8:1:3::1").status_code == 200


def test_an_address_with_a_zone_is_an_address(agent: Added) -> None:
    assert by_header(agent, address="fe80::1%eth0").status_code == 200
