"""Places outside that really keep checkpoints: a folder, an S3 that speaks HTTP, and a webhook's receiver."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
