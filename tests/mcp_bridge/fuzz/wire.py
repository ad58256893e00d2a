"""HTTP as bytes, for what no client library would send."""

import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import TypeAlias
from urllib.parse import urlsplit

Header: TypeAlias = tuple[bytes, bytes]


@dataclass(frozen=True)
class Answer:
    """`body` is empty for a stream of events, which would not end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __contains__(self, text: str) -> bool:
        everything = [*self.headers.keys(), *self.headers.values(), self.body.decode("utf-8", "replace")]
        return any(text in one for one in everything)


def request(headers: Iterable[Header], body: bytes, *, declared: bool = True) -> bytes:
    """A POST to the endpoint, with the Content-Length that is right unless `declared` is false."""
    sent = [*headers, (b"Connection", b"close")]
    if declared:
        sent.append((b"Content-Length", str(len(body)).encode()))
    lines = [b"POST /mcp HTTP/1.1", *(name + b": " + value for name, value in sent)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes, size: int = 65_536) -> bytes:
    """The body as RFC 9112, section 7.1, frames it when its length is not declared."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def exchange(url: str, raw: bytes, *, to_the_end: bool = False) -> Answer | None:
    """What the server answers, or None when it only hangs up. `to_the_end` hangs up on our side after sending."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        # A server that has seen enough answers and closes before all is sent.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(raw)
            if to_the_end:
                connection.shutdown(socket.SHUT_WR)
        response = HTTPResponse(connection, method="POST")
        try:
            response.begin()
            streams = response.headers.get_content_type() == "text/event-stream"
            return Answer(response.status, dict(response.headers), b"" if streams else response.read())
        except (ConnectionResetError, HTTPException):
            return None
