"""The pages, served by a real web process, and a real browser to read them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, StorageState

from approvals.management.plan import SERVED_WITH
from tests.scan import known, output
from tests.world import World

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
PASSWORD = "demo-orchard-tandem"
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")


@dataclass(frozen=True)
class Site:
    """Where the pages are, for a browser. `sessions` keeps who has signed in: allauth counts the attempts."""

    url: str
    browser: Browser
    world: World
    sessions: dict[str, StorageState] = field(default_factory=dict)

    @contextmanager
    def visitor(self, *, width: int = 1440, theme: Theme = "light") -> Iterator[Page]:
        """A fresh browser window, nobody signed in."""
        with self._window(width, theme) as context:
            yield context.new_page()

    @contextmanager
    def signed_in(self, name: str, *, width: int = 1440, theme: Theme = "light") -> Iterator[Page]:
        """A window in which this person is signed in, through the form at first."""
        if name not in self.sessions:
            with self._window(width, theme) as context:
                self._sign_in(context.new_page(), name)
                self.sessions[name] = context.storage_state()
        with self._window(width, theme, self.sessions[name]) as context:
            yield context.new_page()

    def _sign_in(self, page: Page, name: str) -> None:
        page.goto("/accounts/login/")
        page.get_by_label("E-mail address").fill(self.world.people[name].email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{self.url}/")

    @contextmanager
    def _window(
        self, width: int, theme: Theme, session: StorageState | None = None
    ) -> Iterator[BrowserContext]:
        context = self.browser.new_context(
            base_url=self.url,
            viewport={"width": width, "height": 900},
            color_scheme=theme,
            storage_state=session,
        )
        try:
            yield context
        finally:
            context.close()


def need_a_browser() -> None:
    """Skip without chromium; fail where a browser was promised."""
    if CHROMIUM.exists():
        return
    if os.environ.get("CI") == "true" or os.environ.get("COUNTERSIGN_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{CHROMIUM} is missing, and this run has to test the pages in a browser.")
    pytest.skip(f"{CHROMIUM} is missing: the pages are not tested in a browser.")


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)


def give_passwords(world: World) -> None:
    known.secret("a person's password", PASSWORD)
    with world.processes.acting_as("migrator"):
        for person in world.people.values():
            person.set_password(PASSWORD)
            person.save(update_fields=["password"])


@contextmanager
def serving(world: World, log: Path, **more: str) -> Iterator[str]:
    """The web process of the product, with its role, its secrets alone and `more` settings; yields its URL."""
    # Bound here and handed over, so that nobody can take the port in between.
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("w") as out:
        output.keep(log)
        url = f"http://localhost:{listener.getsockname()[1]}"
        command = [sys.executable, "-m", "uvicorn", "approvals.asgi:application"]
        environment = _environment(world, url) | more
        known.environment("the pages", environment)
        process = subprocess.Popen(
            [*command, "--fd", str(listener.fileno()), "--log-level", "warning", *SERVED_WITH],
            cwd=ROOT,
            env=environment,
            pass_fds=[listener.fileno()],
            stdout=out,
            stderr=out,
        )
        try:
            _wait(url, process, log)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def _environment(world: World, url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "COUNTERSIGN_ENV": "test",
        "COUNTERSIGN_PROCESS": "web",
        "PAYLOAD_KEYS": settings.PAYLOAD_KEYS,
        "DJANGO_SETTINGS_MODULE": "approvals.settings",
        "DATABASE_URL": world.processes.urls["web"],
        "DATABASE_ROLE_PREFIX": settings.DATABASE_ROLE_PREFIX,
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": "demo-secret-of-one-test-run",
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "PUBLIC_URL": url,
    }


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/healthz", trust_env=False, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"The web process does not answer: {log.read_text()}")
