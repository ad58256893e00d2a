"""A real receiver on loopback: keeps what it was sent, and answers as it is told."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any, TypeAlias

from tests.scan.known import secret

Reply: TypeAlias = Callable[[BaseHTTPRequestHandler], None]
PATH = "/hooks/T0PLANTED0SECRET0PATH"  # what nobody but sender and receiver may know


@dataclass(frozen=True)
class Received:
    """One POST: header names in lower case, the body as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiving:
    """`replies` are used up one by one; then every message is taken with a 200."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.received.append(Received(handler.path, headers, body))
        (self.replies.pop(0) if self.replies else answer(200))(handler)


def answer(status: int, **headers: str) -> Reply:
    return partial(_answer, status=status, headers=headers)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Take the message and close the connection without a word."""
    handler.close_connection = True


@contextmanager
def receiving(tls: SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Receiving]:
    """A receiver on a free port; with `tls` it speaks https, and `host` is the name in its URL."""
    office = Receiving()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            office.take(self)

        def log_message(self, *_: object) -> None:
            """Standard error belongs to the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    office.url = f"{'https' if tls else 'http'}://{host}:{server.server_port}{PATH}"
    secret("a receiver's URL", PATH)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield office
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"ok")
