"""The friendly port if it is free, another if not, and a refusal if somebody insisted."""

import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from approvals.management.ports import Ports, any_free, is_free


@pytest.fixture
def friendly() -> int:
    """A port that is free now, in the place of 8000, which this machine may be using."""
    return any_free()


@pytest.fixture
def ports() -> Iterator[Ports]:
    with closing(Ports({})) as taken:
        yield taken


def test_the_friendly_port_is_used_when_it_is_free(ports: Ports, friendly: int) -> None:
    assert ports.take("web", friendly) == friendly


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_another_port_is_used_when_the_friendly_one_is_taken(
    ports: Ports, friendly: int, address: str
) -> None:
    with closing(socket.create_server((address, friendly))):
        port = ports.take("web", friendly)
        assert port != friendly
        assert is_free(port)


def test_the_next_run_takes_the_same_port_again(friendly: int, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", friendly))), closing(Ports({}, memory=tmp_path)) as first:
        another = first.take("web", friendly)
    with closing(Ports({}, memory=tmp_path)) as second:
        assert second.take("web", friendly) == another


def test_a_port_that_only_ipv6_uses_is_taken_too(ports: Ports, friendly: int) -> None:
    """A browser asks [::1] first for localhost, and would find the stranger there."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with closing(socket.create_server(("::1", friendly), family=socket.AF_INET6)):
        assert ports.take("web", friendly) != friendly


def test_a_port_that_another_run_is_about_to_use_is_taken(ports: Ports, friendly: int) -> None:
    """Its server starts only after its migrations: until then nothing listens."""
    ports.take("web", friendly)
    with closing(Ports({})) as second:
        assert second.take("web", friendly) != friendly


def test_a_port_is_free_again_once_the_run_is_over(friendly: int) -> None:
    for _ in range(2):
        with closing(Ports({})) as ports:
            assert ports.take("web", friendly) == friendly


def test_the_port_that_was_asked_for_is_used(friendly: int) -> None:
    with closing(Ports({"COUNTERSIGN_WEB_PORT": str(friendly)})) as ports:
        assert ports.take("web", 8000) == friendly


def test_a_port_that_was_asked_for_and_is_taken_is_refused_by_name(friendly: int) -> None:
    with (
        closing(socket.create_server(("127.0.0.1", friendly))),
        closing(Ports({"COUNTERSIGN_WEB_PORT": str(friendly)})) as ports,
        pytest.raises(CommandError, match=f"COUNTERSIGN_WEB_PORT asks for port {friendly}, which is taken"),
    ):
        ports.take("web", 8000)


@pytest.mark.parametrize("asked", ["http", "0", "65536", "-1", "80.5"])
def test_what_is_no_port_is_refused_in_words(asked: str) -> None:
    with (
        closing(Ports({"COUNTERSIGN_DOOR_PORT": asked})) as ports,
        pytest.raises(
            CommandError, match=re.escape(f"COUNTERSIGN_DOOR_PORT is '{asked}', which is not a port")
        ),
    ):
        ports.take("door", 8001)
