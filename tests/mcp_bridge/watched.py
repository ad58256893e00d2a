"""A host that listens, for tests that wait for what it is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.client.subscriptions import Subscription

from approvals.models import ApprovalRequest
from tests.mcp_bridge.hosts import Host

LIVES = 30  # seconds after which something that should come never will


def uri(request: ApprovalRequest) -> str:
    return f"approval://{request.pk}"


@dataclass
class Watching:
    """An open stream of a host."""

    host: Host
    stream: Subscription

    def next(self) -> str | None:
        """The next URI that is told; None when the server has closed the stream."""

        async def wait() -> Any:
            with anyio.fail_after(LIVES):
                return await anext(self.stream, None)

        event = self.host.portal.call(wait)
        return event.uri if event else None


@contextmanager
def watching(host: Host, *requests: ApprovalRequest | str) -> Iterator[Watching]:
    uris = [each if isinstance(each, str) else uri(each) for each in requests]
    listening = host.client.listen(resource_subscriptions=uris)
    with host.portal.wrap_async_context_manager(listening) as stream:
        yield Watching(host, stream)
