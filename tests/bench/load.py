"""The one client of every measurement: keep-alive connections that ask as fast as they are answered."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeAlias
from urllib.parse import urlsplit

CONNECTIONS = 16

# Makes the body of the next request, and with it the headers that go with every request.
Bodies: TypeAlias = Callable[[], bytes]


@dataclass
class Measured:
    """What one target did in one round. Times are in seconds."""

    latencies: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.elapsed

    def quantile(self, share: float) -> float:
        return sorted(self.latencies)[int(len(self.latencies) * share)]

    @property
    def cpu_each(self) -> float:
        """Seconds of the server process's CPU per request."""
        return self.cpu / len(self.latencies)


@contextmanager
def cpu_of(pid: int, measured: Measured) -> Iterator[None]:
    before = _cpu_seconds(pid)
    yield
    measured.cpu += _cpu_seconds(pid) - before


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5), fields 14 and 15, in hundredths of a second)."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def press(url: str, headers: Mapping[str, str], body: Bodies, seconds: float) -> Measured:
    """Ask for `seconds` over 16 connections. Raises RuntimeError at the first answer that is not what we want."""
    measured, started = Measured(), perf_counter()
    await asyncio.gather(*(_ask(url, headers, body, started + seconds, measured) for _ in range(CONNECTIONS)))
    measured.elapsed = perf_counter() - started
    return measured


async def _ask(url: str, headers: Mapping[str, str], body: Bodies, until: float, measured: Measured) -> None:
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    head = f"POST {at.path} HTTP/1.1\r\nHost: {at.netloc}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    try:
        while (before := perf_counter()) < until:
            content = body()
            writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            answer = await _answer(reader)
            measured.latencies.append(perf_counter() - before)
            if b'"isError":true' in answer or b'"error"' in answer:
                raise RuntimeError(answer.decode()[:500])
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    content = await reader.readexactly(length)
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError((head + content).decode()[:500])
    return content
