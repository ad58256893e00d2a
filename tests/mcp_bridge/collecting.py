"""An OpenTelemetry collector, a wire-tap before the company's API, and a worker: the far ends of a trace."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent

from tests.scan import known, output

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Span:
    """One span as it was sent; ids in hex, `parent` is "" for a root."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    about: Mapping[str, str]

    @classmethod
    def of(cls, service: str, sent: Sent) -> "Span":
        return cls(
            service=service,
            name=sent.name,
            kind=Sent.SpanKind.Name(sent.kind).removeprefix("SPAN_KIND_"),
            trace=sent.trace_id.hex(),
            id=sent.span_id.hex(),
            parent=sent.parent_span_id.hex(),
            links=tuple(f"{link.trace_id.hex()}-{link.span_id.hex()}" for link in sent.links),
            about={one.key: one.value.string_value or str(one.value.int_value) for one in sent.attributes},
        )


@dataclass
class Collector:
    """Takes OTLP over HTTP, as protobuf."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    raw: bytes = b""

    def take(self, body: bytes) -> bytes:
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            (service,) = (
                one.value.string_value for one in resource.resource.attributes if one.key == "service.name"
            )
            for scope in resource.scope_spans:
                self.spans += [Span.of(service, sent) for sent in scope.spans]
        answered: bytes = ExportTraceServiceResponse().SerializeToString()
        return answered

    def one(self, name: str, service: str, *, under: Span | None = None) -> Span:
        """The only span of this name, of a process; under a parent, where there are several."""
        named = [span for span in self.spans if (span.name, span.service) == (name, f"countersign-{service}")]
        (span,) = [span for span in named if under is None or span.parent == under.id]
        return span


@dataclass
class Tap:
    """Before the company's API: passes everything on, and keeps method, path and `traceparent`."""

    to: str
    url: str = ""
    calls: list[tuple[str, str, str]] = field(default_factory=list)

    def pass_on(self, handler: BaseHTTPRequestHandler, body: bytes) -> httpx.Response:
        self.calls.append((handler.command, handler.path, handler.headers.get("traceparent", "")))
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "host"}
        return httpx.request(
            handler.command, f"{self.to}{handler.path}", headers=headers, content=body, trust_env=False
        )


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            answer(self, 200, "application/x-protobuf", collector.take(body_of(self)))

        def log_message(self, *_: object) -> None:
            """Not on the terminal of a test run."""

    with serving(Handler) as collector.url:
        yield collector


@contextmanager
def tapped(url: str) -> Iterator[Tap]:
    tap = Tap(url)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            response = tap.pass_on(self, body_of(self))
            answer(self, response.status_code, "application/json", response.content)

        do_POST = do_PUT = do_GET  # noqa: N815 - the server calls these names

        def log_message(self, *_: object) -> None:
            """Not on the terminal of a test run."""

    with serving(Handler) as tap.url:
        yield tap


def body_of(handler: BaseHTTPRequestHandler) -> bytes:
    return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))


def answer(handler: BaseHTTPRequestHandler, status: int, content_type: str, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running_worker(environment: Mapping[str, str], log: Path) -> Iterator[Path]:
    """A Celery worker with a pool of one process, from when it is ready; yields its log. It ends in order."""
    known.environment("the worker", environment)
    command = [sys.executable, "-m", "celery", "-A", "approvals", "worker", "--concurrency", "1"]
    command += ["--loglevel", "INFO", "--without-mingle", "--without-gossip", "--without-heartbeat"]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with log.open("w") as out:
        output.keep(log)
        process = subprocess.Popen(command, cwd=ROOT, env=kept | dict(environment), stdout=out, stderr=out)
    try:
        deadline = monotonic() + 60
        while "ready." not in log.read_text():
            assert process.poll() is None and monotonic() < deadline, log.read_text()
            sleep(0.1)
        yield log
    finally:
        process.terminate()
        process.wait(timeout=60)
