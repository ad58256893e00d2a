"""A loopback proxy that adds a bearer token, and takes turns where the door runs in several processes.

The conformance suite can send no token. Bytes go through as they came, so that the door meets what was sent: only
`Authorization` is replaced, and each connection is closed after one answer, so that each request is met anew.
"""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from itertools import cycle
from threading import Thread

_REPLACED = (b"authorization:", b"connection:")
_MOST_HEADER_BYTES = 256 * 1024


class Proxy:
    """`upstreams` are ports on 127.0.0.1; without a `token` the callers' own credentials go through."""

    def __init__(self, upstreams: Sequence[int], token: str | None = None) -> None:
        self._turns = cycle(upstreams)
        self._token = token
        self._over = asyncio.Event()
        self.loop: Future[asyncio.AbstractEventLoop] = Future()

    async def serve(self, port: int) -> None:
        server = await asyncio.start_server(self._met, "127.0.0.1", port, limit=_MOST_HEADER_BYTES)
        self.loop.set_result(asyncio.get_running_loop())
        await self._over.wait()
        server.close()

    def stop(self) -> None:
        """Called from another thread; connections that are open end with the loop."""
        self.loop.result().call_soon_threadsafe(self._over.set)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled is how the end of the loop looks from here.
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            inside, outward = await asyncio.open_connection("127.0.0.1", next(self._turns))
            outward.write(self._changed(head))
            sending = asyncio.create_task(_pour(reader, outward))
            await _pour(inside, writer)
            sending.cancel()
            outward.close()
        writer.close()

    def _changed(self, head: bytes) -> bytes:
        first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        replaced = _REPLACED if self._token else _REPLACED[1:]
        kept = [line for line in lines if not line.lower().startswith(replaced)]
        added = [f"Authorization: Bearer {self._token}".encode()] if self._token else []
        return b"\r\n".join([first, *kept, *added, b"Connection: close", b"", b""])


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(64 * 1024):
            target.write(chunk)
            await target.drain()


@contextmanager
def running_proxy(port: int, upstreams: Sequence[int], token: str | None = None) -> Iterator[None]:
    """Serves on 127.0.0.1, in a thread of this process."""
    proxy = Proxy(upstreams, token)
    thread = Thread(target=asyncio.run, args=(proxy.serve(port),))
    thread.start()
    try:
        proxy.loop.result(10)
        yield
    finally:
        proxy.stop()
        thread.join()
