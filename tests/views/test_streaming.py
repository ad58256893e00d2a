"""An answer that is sent as it is made ends with its reader: who goes away, who stalls, and who never began."""

import asyncio
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pytest
import uvicorn
from django.db import connection

from approvals.views import streaming
from approvals.views.streaming import Stalled, Stream, cut, streamed
from tests.world import World

SOON = 10.0  # seconds; what is waited for comes in far less, or not at all


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "PATIENCE_SECONDS", 0.2)


class Made:
    """Pieces without an end; `ended` once nobody makes them any more."""

    def __init__(self, piece: str = "x", most: int | None = None) -> None:
        self.ended, self.piece, self.most = Event(), piece, most

    def pieces(self) -> Generator[str, None, None]:
        made = 0
        try:
            while self.most is None or made < self.most:
                made += 1
                yield self.piece
        finally:
            self.ended.set()


def test_who_asks_for_no_next_piece_is_not_waited_for() -> None:
    made = Made()

    async def stall() -> None:
        pieces = streamed(made.pieces())
        assert await anext(pieces) == "x"
        assert await asyncio.to_thread(
            made.ended.wait, SOON
        )  # while the reader is still there, and reads nothing
        with pytest.raises(Stalled):
            await anext(pieces)

    asyncio.run(stall())


def test_its_connection_to_the_database_ends_with_it(web: World) -> None:
    opened: list[Any] = []

    def asks() -> Generator[str, None, None]:
        while True:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            opened.append(connection.connection)
            yield "x"

    async def stall() -> None:
        pieces = streamed(asks())
        await anext(pieces)
        assert not opened[0].closed
        for _ in range(int(SOON / 0.05)):
            if opened[0].closed:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("it is open still")

    with web.processes.acting_as("web"):
        asyncio.run(stall())


def test_who_takes_each_piece_in_time_gets_all_however_long_it_takes() -> None:
    made = Made(most=5)

    async def read() -> list[str]:
        found = []
        async for piece in Stream(made.pieces()):
            found.append(piece)
            await asyncio.sleep(0.08)
        return found

    assert asyncio.run(read()) == ["x"] * 5
    assert made.ended.wait(SOON)


def test_what_nobody_begins_to_read_ends_by_itself_and_cannot_be_begun_then() -> None:
    made = Made()
    pieces = made.pieces()
    next(pieces)  # it has its turn
    stream = Stream(pieces)
    assert made.ended.wait(SOON)

    async def begin() -> None:
        with pytest.raises(Stalled):
            await anext(aiter(stream))

    asyncio.run(begin())


@contextmanager
def served(made: Made) -> Iterator[int]:
    """A real server, which waits for its readers without end; the port that it listens at."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async for piece in Stream(made.pieces()):
            await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
    )
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(SOON)


def test_a_client_that_does_not_read_holds_nothing_under_a_real_server() -> None:
    made = Made("x" * streaming.PIECE)
    with served(made) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert made.ended.wait(SOON)  # and the client is still there


def test_a_client_that_reads_gets_all_under_a_real_server() -> None:
    made = Made("x" * streaming.PIECE, most=20)
    with served(made) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = b"".join(iter(lambda: client.recv(65_536), b""))
    assert found.count(b"x") == 20 * streaming.PIECE and found.endswith(b"0\r\n\r\n")


def test_a_long_text_is_cut_into_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "PIECE", 3)
    assert list(cut("1234567")) == ["123", "456", "7"]
    assert list(cut("")) == []
