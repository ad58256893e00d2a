"""The door over stdin and stdout, for a host that starts it as its own process."""

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from approvals import limits
from approvals.identity.credentials import requester_of_secret
from approvals.identity.requester import Requester
from mcp_bridge.lifecycle import Context
from mcp_bridge.server import Server
from mcp_bridge.threads import quick_hop

# An open stream is looked after every 1.5 seconds on top of it, and has to end within five.
FRESH_SECONDS = 3.0


class Credential:
    """A client id and secret, asked about again when the last answer is older than three seconds."""

    def __init__(self, client_id: str, secret: str) -> None:
        self._sent = client_id, secret
        self._requester: Requester | None = None
        self._asked = 0.0

    @classmethod
    def from_environment(cls) -> "Credential":
        return cls(
            os.environ.get("COUNTERSIGN_CLIENT_ID", ""), os.environ.get("COUNTERSIGN_CLIENT_SECRET", "")
        )

    def requester(self) -> Requester:
        """Raises CredentialRefused: also later, when the agent was switched off meanwhile."""
        now = time.monotonic()
        if self._requester is None or now - self._asked > FRESH_SECONDS:
            self._requester = None
            self._requester = requester_of_secret(*self._sent)
            self._asked = now
        return self._requester

    async def identify(self, _: Context) -> Requester:
        return await quick_hop(self.requester)


@asynccontextmanager
async def flushed(_: Server) -> AsyncIterator[None]:
    """What was counted is told at the end.

    What is printed while the SDK has descriptor 1 point at stderr must leave the buffer before it points back.
    """
    try:
        yield
    finally:
        await quick_hop(limits.tell)
        sys.stdout.flush()
