"""Web and door as real processes that know each other, a person in front of the pages, and an official MCP host."""

import html
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
from django.conf import settings
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyUrl

from approvals.management.ports import any_free
from tests.journeys.site import PASSWORD, give_passwords, serving
from tests.mcp_bridge.hosts import Host, RunningDoor, connected, running_door
from tests.oauth.tls import CALLBACK
from tests.world import World

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass
class Installation:
    """`url` is where the pages are."""

    url: str
    door: RunningDoor
    world: World


@contextmanager
def installed(
    world: World, folder: Path, both: Mapping[str, str] = NOTHING, **more: str
) -> Iterator[Installation]:
    """The two processes of this world; `more` settings are the web process's, those in `both` the door's too."""
    give_passwords(world)
    port = any_free()
    door_url = f"http://127.0.0.1:{port}/mcp"
    with serving(world, folder / "web.log", DOOR_URL=door_url, **both, **more) as url:
        environment = {
            "COUNTERSIGN_ENV": "test",
            "COUNTERSIGN_PROCESS": "door",
            "PAYLOAD_KEYS": settings.PAYLOAD_KEYS,
            "DATABASE_URL": world.processes.urls["door"],
            "DATABASE_ROLE_PREFIX": settings.DATABASE_ROLE_PREFIX,
            "SECRET_KEY": "demo-door",
            "REDIS_URL": settings.REDIS_URL,
            "PUBLIC_URL": url,
            "DOOR_URL": door_url,
            "BACKING_URL": world.shop.url,
            "BACKING_READ_CREDENTIALS": settings.BACKING_READ_CREDENTIALS,
            **both,
        }
        with running_door(environment, port, folder / "door.log") as door:
            yield Installation(url, door, world)


@dataclass
class Visitor:
    """A person with a browser that runs no scripts: signs in, reads the page, presses a button."""

    site: Installation
    name: str = "lena"
    pages: list[str] = field(default_factory=list)

    def answers(self, url: str, answer: str = "allow") -> dict[str, str]:
        """The parameters with which the person is sent back to the program that sent them to `url`."""
        with httpx.Client(trust_env=False, timeout=30) as browser:
            page = self.signed_in(browser, url)
            self.pages.append(page.text)
            form = hidden(page.text) | {"answer": answer}
            back = browser.post(page.url, data=form, headers={"Referer": str(page.url)})
        assert back.status_code == 303, back.text
        assert back.headers["Location"].startswith(f"{CALLBACK}?")
        query = urlsplit(back.headers["Location"]).query
        return {name: value for name, (value,) in parse_qs(query).items()}

    def signed_in(self, browser: httpx.Client, url: str) -> httpx.Response:
        """The page at `url`, by way of the sign-in that it leads to."""
        sign_in = browser.get(url, follow_redirects=True)
        person = self.site.world.people[self.name]
        form = hidden(sign_in.text) | {"login": person.email, "password": PASSWORD}
        page = browser.post(
            f"{self.site.url}/accounts/login/",
            data=form,
            headers={"Referer": str(sign_in.url)},
            follow_redirects=True,
        )
        assert page.status_code == 200, page.text
        return page


def hidden(page: str) -> dict[str, str]:
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in fields}


class Memory:
    """What an MCP host keeps about a server, in memory."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class SaidNo(Exception):
    """What a host makes of `error` in the answer."""


@dataclass
class OfficialHost:
    """The official client with its own OAuth flow. It is told the door's URL and nothing else about us."""

    site: Installation
    document: str | None = None
    answer: str = "allow"
    memory: Memory = field(default_factory=Memory)
    visitor: Visitor = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.visitor = self.visitor or Visitor(self.site)
        self.back: dict[str, str] = {}
        self.provider = OAuthClientProvider(
            server_url=self.site.door.url,
            client_metadata=OAuthClientMetadata(
                client_name="Desk helper", redirect_uris=[AnyUrl(CALLBACK)], scope=None
            ),
            storage=self.memory,
            redirect_handler=self._sends_the_person,
            callback_handler=self._hears_back,
            client_metadata_url=self.document,
        )

    async def _sends_the_person(self, url: str) -> None:
        self.back = self.visitor.answers(url, self.answer)

    async def _hears_back(self) -> AuthorizationCodeResult:
        if "code" not in self.back:
            raise SaidNo(self.back["error"])
        return AuthorizationCodeResult(
            code=self.back["code"], state=self.back.get("state"), iss=self.back.get("iss")
        )

    @contextmanager
    def connected(self) -> Iterator[Host]:
        http = httpx2.AsyncClient(auth=self.provider, trust_env=False, timeout=60)
        with connected(streamable_http_client(self.site.door.url, http_client=http)) as host:
            yield host

    @property
    def access_token(self) -> str:
        assert self.memory.tokens is not None
        return self.memory.tokens.access_token
