"""Places outside that really keep checkpoints: a folder, an S3 that speaks HTTP, and a webhook's receiver."""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID

from minio import Minio
from minio.credentials.providers import StaticProvider
from moto.server import ThreadedMotoServer

from approvals.audit.targets import Target, parsed
from approvals.management.ports import any_free
from tests.scan.known import secret

BUCKET = "countersign-trail"
ACCESS_KEY, SECRET_KEY = "checkpoint-writer", "a-secret-of-the-store-in-tests"


def target(text: str) -> Target:
    (one,) = parsed(text, in_production=False)
    return one


def lines(folder: Path, tenant_id: UUID) -> list[bytes]:
    file = folder / f"{tenant_id}.jsonl"
    return file.read_bytes().splitlines(keepends=True) if file.exists() else []


def numbers(kept: list[bytes]) -> list[int]:
    return [json.loads(json.loads(line)["text"])["number"] for line in kept]


@dataclass
class Storing:
    """moto's S3 on a port of its own; what it holds survives `stop`, as a store's disk would."""

    port: int
    server: ThreadedMotoServer

    @property
    def url(self) -> str:
        return f"s3+http://127.0.0.1:{self.port}/{BUCKET}/trail/north"

    @property
    def client(self) -> Minio:
        keys = StaticProvider(ACCESS_KEY, SECRET_KEY)
        return Minio(f"127.0.0.1:{self.port}", secure=False, region="us-east-1", credentials=keys)

    def objects(self) -> dict[str, bytes]:
        found = {}
        for one in self.client.list_objects(BUCKET, recursive=True):
            answer = self.client.get_object(BUCKET, one.object_name or "")
            found[one.object_name or ""] = answer.read()
            answer.close()
            answer.release_conn()
        return found

    def stop(self) -> None:
        self.server.stop()

    def start(self) -> None:
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self.server.start()


@contextmanager
def storing() -> Iterator[Storing]:
    """An S3 with an empty bucket."""
    secret("the store's key", SECRET_KEY)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = any_free()
    store = Storing(port, ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False))
    store.server.start()
    store.client.make_bucket(BUCKET)
    try:
        yield store
    finally:
        for name in store.objects():
            store.client.remove_object(BUCKET, name)
        store.client.remove_bucket(BUCKET)
        store.stop()


def credentials(file: Path) -> str:
    """The file that CHECKPOINT_STORE_CREDENTIALS names."""
    file.write_text(
        f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n",
        encoding="utf-8",
    )
    return str(file)


@dataclass
class Dripping:
    """`has_dripped` once a byte of an answer went out that came alone."""

    port: int
    has_dripped: threading.Event

    @property
    def webhook(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def store(self) -> str:
        return f"s3+http://127.0.0.1:{self.port}/{BUCKET}/drips"


@contextmanager
def dripping(drops: int = 400, of: bytes = b" ") -> Iterator[Dripping]:
    """A server whose every answer comes drop by drop: the headers of one to POST, the body of one to GET.

    To PUT it says that it has something there already. After so many drops it has answered, for whoever stayed.
    """
    is_over, has_dripped = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._took()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drops: ")
            self._drip()
            self.wfile.write(b"\r\nContent-Length: 0\r\n\r\n")

        def do_PUT(self) -> None:
            self._took()
            self.send_response(412)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self._drip()

        def handle(self) -> None:
            with suppress(OSError):  # they have hung up
                super().handle()

        def _took(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _drip(self) -> None:
            for _ in range(drops):
                if is_over.wait(0.02):
                    return
                self.wfile.write(of)
                has_dripped.set()

        def log_message(self, *_: object) -> None:
            """Standard error belongs to the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Dripping(server.server_port, has_dripped)
    finally:
        is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()
