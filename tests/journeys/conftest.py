"""A browser for the session, and the pages served for each test's own world."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from approvals.management.development import Stack
from tests.journeys.live import running_stack
from tests.journeys.site import Site, give_passwords, launch, need_a_browser, serving
from tests.world import World


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    need_a_browser()
    with pytest.MonkeyPatch.context() as patched, sync_playwright() as playwright:
        # Playwright keeps an event loop in this thread, in which Django would refuse its synchronous database.
        patched.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        running = launch(playwright)
        yield running
        running.close()


@pytest.fixture(scope="module")
def live() -> Iterator[Stack]:
    """Everything that `make run` starts."""
    with running_stack() as running:
        yield running


@pytest.fixture
def site(world: World, browser: Browser, tmp_path: Path) -> Iterator[Site]:
    give_passwords(world)
    with serving(world, tmp_path / "web.log") as url:
        yield Site(url, browser, world)
