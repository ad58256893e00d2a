"""The whole story as `make demo` tells it: from outside, with a real MCP client and the real sign-in form.

Nothing here reaches into the service. Each step says what happened and holds it against the sandbox shop's own
ledger, which knows nothing of our tables; a step that does not hold raises `Broken`.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import httpx2
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from approvals.management.banner import stdio_configuration
from approvals.management.development import Stack
from approvals.management.plan import inherited

REASON = "The customer sent the parcel back unopened and asks for the money."
PATIENCE = 20.0  # seconds for a worker to have acted
REFUND = {"payment_id": "pay_10001", "amount_minor": 12900, "currency": "USD", "reason": REASON}


class Broken(Exception):
    """A step of the story did not hold."""


@dataclass
class Story:
    """One telling. `say` prints a line."""

    stack: Stack
    say: Callable[[str], None]
    key: str = field(default_factory=lambda: f"demo-{uuid4()}")
    refund_id: str = ""
    second_id: str = ""

    async def tell(self) -> None:
        """Raises Broken at the first step that does not hold."""
        async with self.over_stdio() as agent:
            self.chapter("An agent connects over stdio")
            await self.sees_the_tools(agent)
            await self.looks_an_order_up(agent)
            await self.asks_for_a_refund(agent)
            await self.asks_again_with_the_same_key(agent)
            await self.is_refused_a_bad_one(agent)
        self.chapter("A reviewer signs in")
        with self.signed_in("support_lead") as browser:
            self.sees_and_approves(browser)
        async with self.over_http() as agent:
            self.chapter("The agent comes back, over HTTP")
            await self.learns_that_it_was_done(agent)
            await self.asks_for_a_second_one(agent)
            with self.signed_in("support_lead") as browser:
                self.denies(browser)
            await self.learns_why_not(agent)
        self.chapter("The trail")
        self.prints_the_trail()
        self.verifies_the_trail()

    # --- the agent ----------------------------------------------------------------------------------------

    async def sees_the_tools(self, agent: Client) -> None:
        tools = {tool.name for tool in (await agent.list_tools()).tools}
        self.check(
            {"request_refund", "lookup_order", "get_request_status"} <= tools, f"the tools are {tools}"
        )
        self.check(not [name for name in tools if "approve" in name], "there is a tool that approves")
        self.say(f"sees {len(tools)} tools, none of which approves anything: {', '.join(sorted(tools))}")

    async def looks_an_order_up(self, agent: Client) -> None:
        order = await self.call(agent, "lookup_order", order_id="ord_10001")
        self.check("INTERNAL-DO-NOT-LEAK" not in str(order), "the agent saw an internal field")
        self.say(
            f"looks up order ord_10001: {order['status']}, {order['total_minor']} minor units {order['currency']}"
        )

    async def asks_for_a_refund(self, agent: Client) -> None:
        answer = await self.call(agent, "request_refund", **REFUND, idempotency_key=self.key)
        self.refund_id = answer["request_id"]
        self.check(answer["status"] == "pending", f"the request is {answer['status']}")
        self.check(self.moved(self.refund_id) == [], "money moved before anybody agreed")
        self.say(f"asks for a refund: request {self.refund_id} is pending; the shop's ledger is empty")

    async def asks_again_with_the_same_key(self, agent: Client) -> None:
        answer = await self.call(agent, "request_refund", **REFUND, idempotency_key=self.key)
        self.check(answer["request_id"] == self.refund_id, "the same key filed a second request")
        self.say("asks again with the same key: the same request")

    async def is_refused_a_bad_one(self, agent: Client) -> None:
        bad = {**REFUND, "amount_minor": 99999999}
        answer = await agent.call_tool("request_refund", bad)
        self.check(answer.is_error is True, "a refund larger than the payment was filed")
        self.say(f"asks for far too much and is told: {text(answer)}")

    async def learns_that_it_was_done(self, agent: Client) -> None:
        state = await self.until(agent, self.refund_id, "succeeded")
        (entry,) = self.moved(self.refund_id)
        self.check(
            entry["amount_minor"] == REFUND["amount_minor"], f"the shop refunded {entry['amount_minor']}"
        )
        self.check(entry["id"] == state["backing_reference"], "our reference is not the shop's")
        self.say(
            f"asks for the status: {state['status']}, the shop's reference is {state['backing_reference']}"
        )
        self.say("the shop's ledger has exactly one refund of 12900 minor units USD for it")

    async def asks_for_a_second_one(self, agent: Client) -> None:
        answer = await self.call(
            agent,
            "request_order_cancellation",
            order_id="ord_10003",
            reason="The customer changed their mind.",
        )
        self.second_id = answer["request_id"]
        self.say(f"asks to cancel order ord_10003: request {self.second_id} is pending")

    async def learns_why_not(self, agent: Client) -> None:
        state = await self.until(agent, self.second_id, "denied")
        self.check("parcel is packed" in state["message"], "the reason did not reach the agent")
        self.check(self.moved(self.second_id) == [], "the shop cancelled an order that was denied")
        self.say(f"asks for the status: {state['message']}")

    async def until(self, agent: Client, request_id: str, status: str) -> dict[str, Any]:
        """Poll as an agent would."""
        deadline = time.monotonic() + PATIENCE
        while True:
            state = await self.call(agent, "get_request_status", request_id=request_id)
            if state["status"] == status or time.monotonic() > deadline:
                self.check(state["status"] == status, f"the request is {state['status']}, not {status}")
                return state
            time.sleep(0.2)

    async def call(self, agent: Client, tool: str, **arguments: object) -> dict[str, Any]:
        answer = await agent.call_tool(tool, arguments)
        self.check(not answer.is_error, f"{tool} answered: {text(answer)}")
        return dict(answer.structured_content or {})

    @asynccontextmanager
    async def over_stdio(self) -> AsyncIterator[Client]:
        """With the very configuration that `make run` prints."""
        server = stdio_configuration(self.stack, self.agent)["mcpServers"]["countersign"]
        log = self.stack.ground.data / "log" / "stdio.log"
        with log.open("w") as errors:
            async with Client(stdio_client(StdioServerParameters(**server), errlog=errors)) as agent:
                yield agent

    @asynccontextmanager
    async def over_http(self) -> AsyncIterator[Client]:
        door = self.stack.addresses.door_url
        headers = {"Authorization": f"Bearer {self.token()}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
            Client(streamable_http_client(door, http_client=http)) as agent,
        ):
            yield agent

    def token(self) -> str:
        """Client credentials (RFC 6749, section 4.4), for this door alone (RFC 8707)."""
        answer = httpx.post(
            f"{self.stack.addresses.public_url}/o/token/",
            auth=(self.agent["client_id"], self.agent["client_secret"]),
            data={
                "grant_type": "client_credentials",
                "scope": self.agent["scope"],
                "resource": self.stack.addresses.door_url,
            },
            trust_env=False,
        )
        self.check(answer.status_code == 200, f"the token endpoint answered {answer.status_code}")
        return str(answer.json()["access_token"])

    @property
    def agent(self) -> dict[str, Any]:
        return dict(self.stack.seed["agents"][0])

    # --- the reviewer -------------------------------------------------------------------------------------

    @contextmanager
    def signed_in(self, role: str) -> Iterator[httpx.Client]:
        """Through the real form, with its CSRF token, as a demo person who holds the role and owns no agent."""
        owner = self.agent["owner"]
        person = next(
            one
            for one in self.stack.seed["people"]
            if role in one["roles"] and one["tenant"] == self.agent["tenant"] and one["email"] != owner
        )
        pages = self.stack.addresses.public_url
        with httpx.Client(base_url=pages, follow_redirects=True, trust_env=False) as browser:
            self.submit(browser, "/accounts/login/", login=person["email"], password=person["password"])
            self.check(person["name"] in browser.get("/").text, "signing in did not work")
            self.say(f"{person['name']} signs in")
            yield browser

    def sees_and_approves(self, browser: httpx.Client) -> None:
        self.check(self.refund_id in browser.get("/").text, "the request is not in the queue")
        page = browser.get(f"/requests/{self.refund_id}/").text
        for shown in ("129.00 USD", REASON, "4242"):
            self.check(shown in page, f"the request page does not show {shown}")
        self.say("reads the request: what is claimed, and what was looked up")
        self.decide(browser, self.refund_id, "approve", "The parcel is here.")
        self.say("approves it")

    def denies(self, browser: httpx.Client) -> None:
        self.decide(browser, self.second_id, "deny", "The parcel is packed and leaves today.")
        self.say("denies it, with a reason")

    def decide(self, browser: httpx.Client, request_id: str, decision: str, comment: str) -> None:
        path = f"/requests/{request_id}/"
        self.submit(browser, path, f"{path}decide/", decision=decision, comment=comment)

    def submit(self, browser: httpx.Client, page: str, action: str = "", **fields: str) -> None:
        """Fill the page's form in: its hidden fields stay as they are."""
        found = browser.get(page).text
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', found))
        answer = browser.post(
            action or page, data={**hidden, **fields}, headers={"Referer": f"{browser.base_url}"}
        )
        self.check(answer.status_code == 200, f"{action or page} answered {answer.status_code}")

    # --- the trail and the ledger -------------------------------------------------------------------------

    def prints_the_trail(self) -> None:
        with self.signed_in("auditor") as browser:
            for request_id in (self.refund_id, self.second_id):
                page = browser.get(f"/requests/{request_id}/trail/")
                kinds = re.findall(r"<dt>kind</dt><dd><code>([a-z._]+)</code>", page.text)
                self.check(len(kinds) >= 3, f"the trail page of {request_id} shows {len(kinds)} events")
                self.say(f"{request_id}: {' > '.join(kinds)}")

    def verifies_the_trail(self) -> None:
        """The command that an auditor would type, as the process that may."""
        deadline = time.monotonic() + PATIENCE
        while True:
            verified = subprocess.run(
                [sys.executable, "manage.py", "verify_audit"],
                cwd=self.stack.ground.checkout,
                env=inherited(os.environ) | dict(self.stack.env["sweeper"]),
                capture_output=True,
                text=True,
                check=False,
            )
            self.check(verified.returncode == 0, f"verify_audit says: {verified.stderr}")
            if verified.stdout.strip().endswith(" 0 not yet sealed") or time.monotonic() > deadline:
                self.say(f"make verify: {verified.stdout.strip()}")
                return
            time.sleep(0.5)

    def moved(self, request_id: str) -> list[dict[str, Any]]:
        """What the shop really did for a request, from its own ledger."""
        answer = httpx.get(
            f"{self.stack.addresses.backing_url}/v1/ledger",
            params={"reference": request_id},
            headers={"Authorization": f"Bearer {self.stack.shop_control_token}"},
            trust_env=False,
        )
        return list(answer.raise_for_status().json()["entries"])

    def chapter(self, title: str) -> None:
        self.say(f"\n{title}")

    def check(self, held: bool, otherwise: str) -> None:
        if not held:
            raise Broken(otherwise)


def text(answer: Any) -> str:
    """The words of a tool's answer."""
    return " ".join(part.text for part in answer.content if part.type == "text")
