"""A program on the person's machine that waits for the answer of the consent page."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import AF_INET, AF_INET6
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = b"<!doctype html><html lang=en><link rel=icon href=data:,><title>Connected</title><h1>Connected</h1>"


@dataclass
class Callback:
    """Where the answer goes, and what came: the parameters of each visit."""

    url: str
    came: list[dict[str, list[str]]] = field(default_factory=list)


@contextmanager
def callback(host: str = "127.0.0.1") -> Iterator[Callback]:
    """Listens on a free port of loopback."""
    waiting: list[Callback] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path != "/callback":
                self.send_error(404)
                return
            waiting[0].came.append(parse_qs(parts.query))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(HTTPServer):
        address_family = AF_INET6 if ":" in host else AF_INET

    server = Server((host.strip("[]"), 0), Handler)
    waiting.append(Callback(f"http://{host}:{server.server_address[1]}/callback"))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield waiting[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
