"""The places outside that keep checkpoints: a folder, a store that speaks S3, a webhook.

Each keeps one line for each checkpoint and overwrites nothing. Putting one there again is no mistake (a crash may come
between keeping it and remembering that): a place that holds it already agrees. One that holds another says so.
"""

import asyncio
import fcntl
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import md5
from json import dumps, loads
from pathlib import Path
from ssl import SSLContext
from typing import Protocol
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from django.conf import settings
from minio import Minio
from minio.credentials.providers import AWSConfigProvider
from standardwebhooks import Webhook as Signer

from approvals.audit.format import GENESIS, digest
from approvals.audit.targets import Target

TIMEOUT = httpx.Timeout(
    10.0, connect=3.0
)  # seconds, for each read: a target that drips starts them anew each time
LONGEST_EXCHANGE = 15.0  # seconds, from connecting to the last byte of the answer that is read
LONGEST_LINE = 4096  # bytes; one is about 500
SHORTEST_SECRET = 24  # bytes (Standard Webhooks, specification 1.0)
CONFLICT, PRECONDITION_FAILED = 409, 412


class NotKept(Exception):
    """It could not be put there now. The words name no URL: one may be a secret."""


class HoldsAnother(Exception):
    """What is there is not this checkpoint, nor does it follow what is there. Nothing was overwritten."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """One checkpoint on its way out, as `tools/verify_export.py` reads it."""

    tenant_id: UUID
    number: int
    text: str
    signature: bytes

    @property
    def previous(self) -> str:
        """What its text says; "" where somebody wrote into it."""
        try:
            return str(loads(self.text)["previous"])
        except (ValueError, KeyError, TypeError):
            return ""

    @property
    def document(self) -> dict[str, str]:
        return {"line": "checkpoint", "text": self.text, "signature": b64encode(self.signature).decode()}

    @property
    def line(self) -> bytes:
        return dumps(self.document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class Place(Protocol):
    def keep(self, pushed: Pushed) -> None:
        """Once this returns, it is kept there. Raises NotKept or HoldsAnother."""


def place(target: Target) -> Place:
    kinds: dict[str, type[Folder | Store | Receiver]] = {
        "folder": Folder,
        "store": Store,
        "webhook": Receiver,
    }
    return kinds[target.kind](target)


class Folder:
    """One file a tenant, one line a checkpoint, from number 1: only ever added to, and on the disk before it counts."""

    def __init__(self, target: Target) -> None:
        self._folder = Path(target.address)

    def keep(self, pushed: Pushed) -> None:
        try:
            with self._opened(self._folder / f"{pushed.tenant_id}.jsonl") as file:
                self._keep(file, pushed)
        except OSError as error:
            raise NotKept(f"the folder cannot be written: {error.strerror}") from error

    @contextmanager
    def _opened(self, path: Path) -> Iterator[int]:
        """Locked, so that two sweepers write one after the other."""
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _keep(self, file: int, pushed: Pushed) -> None:
        last, torn = _tail(file)
        number, known_as = _numbered(last)
        if pushed.number <= number:
            held = last if pushed.number == number else _line_of(file, pushed.number)
            if held != pushed.line:
                raise HoldsAnother(f"its file has another checkpoint {pushed.number}")
        elif (pushed.number, pushed.previous) != (number + 1, known_as):
            raise HoldsAnother(f"its file ends with checkpoint {number}, which this one does not follow")
        elif not pushed.line.startswith(torn):
            raise HoldsAnother("its last line is not whole, and is no part of this checkpoint")
        else:
            _written(file, pushed.line[len(torn) :])
            self._remembered()
        os.fsync(file)

    def _remembered(self) -> None:
        """That there is a file of this name, too."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Store:
    """One object a checkpoint. minio's client signs the addresses; a put that would overwrite is refused there."""

    def __init__(self, target: Target) -> None:
        address = urlsplit(target.address)
        self._bucket, self._prefix = target.bucket, target.prefix
        self._signing = Minio(
            address.netloc,
            secure=address.scheme == "https",
            region=settings.CHECKPOINT_STORE_REGION,
            credentials=AWSConfigProvider(settings.CHECKPOINT_STORE_CREDENTIALS, "default"),
        )

    def keep(self, pushed: Pushed) -> None:
        parts = (self._prefix, str(pushed.tenant_id), f"{pushed.number:012}.json")
        name = "/".join(part for part in parts if part)
        headers = {
            "Content-Type": "application/json",
            # What a bucket with object lock asks for (Amazon S3 API, PutObject).
            "Content-MD5": b64encode(md5(pushed.line, usedforsecurity=False).digest()).decode(),
            "If-None-Match": "*",
        }
        status, _ = _asked("PUT", self._address("PUT", name), pushed.line, headers)
        if status == PRECONDITION_FAILED:
            status, held = _asked("GET", self._address("GET", name))
            if 200 <= status < 300 and held != pushed.line:
                raise HoldsAnother(f"the store has another checkpoint {pushed.number}")
        _check(status)

    def _address(self, method: str, name: str) -> str:
        """Signed, for a minute. The credentials are read each time, so that they can be changed."""
        try:
            return self._signing.get_presigned_url(method, self._bucket, name, expires=timedelta(minutes=1))
        except (ValueError, OSError) as error:
            raise NotKept("CHECKPOINT_STORE_CREDENTIALS or the bucket's name cannot be used") from error


class Receiver:
    """A webhook as Standard Webhooks has it. The id is the checkpoint's own: a receiver sees what came twice."""

    def __init__(self, target: Target) -> None:
        self._url = target.address

    def keep(self, pushed: Pushed) -> None:
        at = str(loads(pushed.text)["at"])
        payload = {"type": "audit.checkpoint", "timestamp": at, "data": pushed.document}
        body = dumps(payload, ensure_ascii=False, separators=(",", ":"))
        status, _ = _asked("POST", self._url, body.encode(), self._signed(pushed, body))
        if status == CONFLICT:
            raise HoldsAnother(f"the receiver says that it has another checkpoint {pushed.number}")
        _check(status)

    def _signed(self, pushed: Pushed, body: str) -> dict[str, str]:
        now, identifier = datetime.now(UTC), f"checkpoint_{pushed.tenant_id}_{pushed.number}"
        return {
            "Content-Type": "application/json",
            "webhook-id": identifier,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Signer(_secret()).sign(identifier, now, body),
        }


def _secret() -> str:
    """Read each time, so that it can be changed. The library would take any text for base64."""
    try:
        secret = Path(settings.CHECKPOINT_WEBHOOK_SECRET).read_text().strip()
        if len(b64decode(secret.removeprefix("whsec_"), validate=True)) >= SHORTEST_SECRET:
            return secret
    except (ValueError, OSError):
        pass
    raise NotKept("CHECKPOINT_WEBHOOK_SECRET is no file with a secret of Standard Webhooks")


def _asked(
    method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """The status, and of an answer to GET the beginning of its body. Follows no redirect. Raises NotKept."""
    every = {"User-Agent": "Countersign", "Accept-Encoding": "identity", **(headers or {})}
    try:
        return asyncio.run(_in_time(method, url, body, every))
    except TimeoutError:
        raise NotKept(f"no whole answer within {LONGEST_EXCHANGE:g} seconds") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise NotKept(f"no answer ({type(error).__name__})") from None


async def _in_time(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    """Raises TimeoutError after LONGEST_EXCHANGE, however steadily something comes."""
    async with (
        asyncio.timeout(LONGEST_EXCHANGE),
        httpx.AsyncClient(verify=_tls(), timeout=TIMEOUT, trust_env=False, follow_redirects=False) as client,
        client.stream(method, url, content=body, headers=headers) as answer,
    ):
        return answer.status_code, await _beginning(answer) if method == "GET" else b""


async def _beginning(answer: httpx.Response) -> bytes:
    """As it came, never unpacked; one byte more than a line may have tells that it is none."""
    held = b""
    async for piece in answer.aiter_raw():
        held += piece
        if len(held) > LONGEST_LINE:
            break
    return held[: LONGEST_LINE + 1]


def _check(status: int) -> None:
    if not 200 <= status < 300:
        raise NotKept(f"it answered {status}")


@lru_cache(maxsize=1)
def _tls() -> SSLContext:
    """The authorities that everybody knows, or those of SSL_CERT_FILE: a store may be in the company's own network."""
    return httpx.create_ssl_context()


def _tail(file: int) -> tuple[bytes, bytes]:
    """The last whole line of a file, b"" where there is none, and what stands behind it: b"" unless a write was cut."""
    size = os.fstat(file).st_size
    end = os.pread(file, 2 * LONGEST_LINE, max(0, size - 2 * LONGEST_LINE))
    whole, _, torn = end.rpartition(b"\n")
    return (whole.rpartition(b"\n")[2] + b"\n" if whole else b""), torn


def _numbered(line: bytes) -> tuple[int, str]:
    """The number of a checkpoint's line and the digest of its text; 0 and GENESIS where there is none."""
    if not line:
        return 0, GENESIS
    try:
        text = str(loads(line)["text"])
        return int(loads(text)["number"]), digest(text)
    except (ValueError, KeyError, TypeError):
        raise HoldsAnother("its last line is no checkpoint") from None


def _line_of(file: int, number: int) -> bytes:
    """The line with this number, counted from 1. For what was kept before a crash, or before a backup was put back."""
    with open(file, "rb", closefd=False) as lines:
        lines.seek(0)
        return next((line for count, line in enumerate(lines, 1) if count == number), b"")


def _written(file: int, line: bytes) -> None:
    while line:
        line = line[os.write(file, line) :]
