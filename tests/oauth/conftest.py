"""Programs that ask, and people in the web process who answer."""

import pytest

from tests.oauth.programs import Program
from tests.views.conftest import sign_in, web  # noqa: F401 - fixtures
from tests.world import World


@pytest.fixture
def program(world: World) -> Program:
    """A program that registered itself, with a redirect to the person's own machine."""
    return Program.registered(world)
