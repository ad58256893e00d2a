"""Signed-in people in the web process."""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from tests.world import World

SignIn = Callable[[str], Client]


@pytest.fixture
def web(world: World) -> Iterator[World]:
    """The world, as the web process sees it from here on."""
    with world.processes.acting_as("web"):
        yield world


@pytest.fixture
def sign_in(web: World) -> SignIn:
    """`sign_in("lena")` is a browser with Lena's session."""

    def signed_in(name: str) -> Client:
        client = Client()
        client.force_login(web.people[name])
        return client

    return signed_in
