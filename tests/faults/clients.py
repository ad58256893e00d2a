"""Agents and reviewers from outside: over MCP and over the pages' own forms, as patient as good clients are.

What fails is tried again, an agent's call under the same key, a reviewer's with the page read anew; a client that gets
nowhere for PATIENCE seconds raises Stuck.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from approvals.management.development import Stack

PATIENCE = 240.0  # seconds for one call to get its answer, however often something dies meanwhile
TOKEN_SECONDS = 600.0  # of the 900 that one lasts
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


class Stuck(Exception):
    """A client was refused, or heard nothing, for as long as its patience lasts."""


@dataclass
class Tries:
    """`async for _ in tries`: until the loop is left. What came in the way is noted in `last`."""

    what: str
    last: str = ""
    times: int = 0

    async def __aiter__(self) -> AsyncIterator[None]:
        deadline = monotonic() + PATIENCE
        while monotonic() < deadline:
            yield
            self.times += 1
            await asyncio.sleep(min(0.2 * 2**self.times, 2.0))
        raise Stuck(f"{self.what}: nothing came of it in {PATIENCE:.0f} s; at last: {self.last}")


@dataclass
class Agent:
    """The demo agent. Each call is a session of its own, over which nothing is carried to the next."""

    stack: Stack
    again: int = 0  # calls that were made once more
    _token: str = ""
    _token_at: float = -TOKEN_SECONDS

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """What the tool answers that is no refusal. Raises Stuck."""
        tries = Tries(f"{tool} {arguments.get('idempotency_key', '')}")
        async for _ in tries:
            answered, words = await self._once(tool, arguments)
            if answered is not None:
                self.again += tries.times
                return answered
            tries.last = words
        raise AssertionError

    async def withdraw(self, request_id: str) -> None:
        """Raises Stuck."""
        tries = Tries(f"withdraw {request_id}")
        async for _ in tries:
            answered, tries.last = await self._once("withdraw_request", {"request_id": request_id})
            if answered is None:  # perhaps it was, and the answer was lost
                answered = await self.call("get_request_status", request_id=request_id)
            if answered["status"] == "withdrawn":
                return

    async def _once(self, tool: str, arguments: dict[str, object]) -> tuple[dict[str, Any] | None, str]:
        try:
            headers = {"Authorization": f"Bearer {await self._bearer()}"}
            async with (
                asyncio.timeout(20),
                httpx2.AsyncClient(headers=headers, timeout=15, trust_env=False) as http,
                Client(streamable_http_client(self.stack.addresses.door_url, http_client=http)) as session,
            ):
                answer = await session.call_tool(tool, arguments)
        except Exception as error:
            # A door that was killed in the middle of a call: the SDK has many words for it.
            return None, repr(error)[:300]
        words = " ".join(part.text for part in answer.content if part.type == "text")
        return (None if answer.is_error else dict(answer.structured_content or {})), words

    async def _bearer(self) -> str:
        """Client credentials (RFC 6749, section 4.4), for this door alone (RFC 8707)."""
        if monotonic() - self._token_at > TOKEN_SECONDS:
            agent = self.stack.seed["agents"][0]
            wanted = {"grant_type": "client_credentials", "scope": agent["scope"]}
            async with httpx.AsyncClient(trust_env=False, timeout=15) as http:
                answer = await http.post(
                    f"{self.stack.addresses.public_url}/o/token/",
                    auth=(agent["client_id"], agent["client_secret"]),
                    data={**wanted, "resource": self.stack.addresses.door_url},
                )
            self._token, self._token_at = answer.raise_for_status().json()["access_token"], monotonic()
        return self._token


@dataclass
class Reviewer:
    """A person at a browser, who signs in through the real form."""

    stack: Stack
    email: str
    password: str
    again: int = 0
    _browser: httpx.AsyncClient = field(init=False, repr=False)

    async def __aenter__(self) -> "Reviewer":
        pages = self.stack.addresses.public_url
        self._browser = httpx.AsyncClient(
            base_url=pages, follow_redirects=True, trust_env=False, timeout=15, headers={"Referer": pages}
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._browser.aclose()

    async def decide(self, request_id: str, decision: str) -> None:
        """Vote on what the page shows, until it takes the vote or asks for none any more. Raises Stuck."""
        comment = "Not this one." if decision == "deny" else ""
        await self._send(request_id, "decide", {"decision": decision, "comment": comment})

    async def take_back(self, request_id: str) -> None:
        """Revoke an approval, unless a worker was faster. Raises Stuck."""
        await self._send(request_id, "revoke", {"reason": "The customer called: it is to stay."})

    async def _send(self, request_id: str, form: str, fields: dict[str, str]) -> None:
        path, tries = f"/requests/{request_id}/", Tries(f"{form} {request_id}")
        async for _ in tries:
            with suppress(httpx.HTTPError):
                page = await self._browser.get(path)
                tries.last = f"{page.status_code} {page.url.path}"
                if page.url.path == "/accounts/login/":
                    await self._sign_in(page.text)
                elif page.status_code == 200:
                    hidden = _form(page.text, f"{path}{form}/")
                    if hidden is None:  # taken before, and the answer was lost; or there is no more to decide
                        break
                    answer = await self._browser.post(f"{path}{form}/", data={**hidden, **fields})
                    tries.last = f"{answer.status_code} {answer.url.path}"
                    if answer.status_code == 200:
                        break
        self.again += tries.times

    async def _sign_in(self, page: str) -> None:
        hidden = _form(page, "/accounts/login/") or dict(_HIDDEN.findall(page))
        typed = {"login": self.email, "password": self.password}
        await self._browser.post("/accounts/login/", data={**hidden, **typed})


def _form(page: str, action: str) -> dict[str, str] | None:
    """The hidden fields of the form that goes to `action`; None where the page has none."""
    found = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.DOTALL)
    return dict(_HIDDEN.findall(found[1])) if found else None
