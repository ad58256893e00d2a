"""A database and a broker for a checkout, a demo or a test: yours if you name one, else a server of our own.

    with embedded.postgres(data) as database, embedded.valkey(data) as broker:
        connect(database.url)

The order: a URL in the environment (DATABASE_URL; REDIS_URL, else CELERY_BROKER_URL), a server installed on
this machine, the server in a wheel. COUNTERSIGN_EMBEDDED=wheels skips the middle one. Our own servers listen
on 127.0.0.1 only, ask everybody for a password, and end with the thread that started them (on Linux).
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from django.core.management.base import CommandError

from approvals.management import postgres as cluster
from approvals.management import valkey as broker
from approvals.management.children import Child, Program
from approvals.management.disk import data_folder, empty, private_folder

START_SECONDS = 30.0


@dataclass(frozen=True)
class Server:
    """Where it is (a URL with its administrator's password), and its process id if it is our own."""

    url: str = field(repr=False)
    pid: int | None = None


@dataclass(frozen=True)
class Prepared:
    """A server that can be reached once `program` runs; None when somebody else runs it."""

    url: str = field(repr=False)
    program: Program | None
    words: str


def prepare_postgres(
    data: Path, *, environ: Mapping[str, str] = os.environ, durable: bool = True
) -> Prepared:
    """See postgres(). Initialises the cluster if it is new, and starts nothing."""
    if url := environ.get("DATABASE_URL"):
        return Prepared(url, None, "as DATABASE_URL says")
    return Prepared(*cluster.prepare(data.resolve(), wheels_only=_wheels_only(environ), durable=durable))


def prepare_valkey(data: Path, *, environ: Mapping[str, str] = os.environ) -> Prepared:
    """See valkey(). A CELERY_BROKER_URL that does not speak Redis (RabbitMQ) does not replace REDIS_URL."""
    for name in ("REDIS_URL", "CELERY_BROKER_URL"):
        if (url := environ.get(name, "")).startswith(("redis://", "rediss://", "unix://")):
            return Prepared(url, None, f"as {name} says")
    return Prepared(*broker.prepare(data.resolve(), wheels_only=_wheels_only(environ)))


@contextmanager
def postgres(
    data: Path, *, environ: Mapping[str, str] = os.environ, durable: bool = True
) -> Iterator[Server]:
    """A PostgreSQL for as long as the block lasts; `server.url` is its superuser's.

    `data` keeps the cluster for the next time. `durable=False` does not wait for the disk: for tests.
    Raises CommandError, with words, when there is none to be had.
    """
    with _running(prepare_postgres(data, environ=environ, durable=durable), data) as server:
        yield server


@contextmanager
def valkey(data: Path, *, environ: Mapping[str, str] = os.environ) -> Iterator[Server]:
    """A Redis-protocol server for as long as the block lasts; it forgets everything. Raises as postgres()."""
    with _running(prepare_valkey(data, environ=environ), data) as server:
        yield server


@contextmanager
def scratch() -> Iterator[Path]:
    """A data folder for one test run, gone afterwards with all that our servers left anywhere."""
    with TemporaryDirectory(prefix="countersign-") as name:
        data = data_folder(Path(name))
        try:
            yield data
        finally:
            forget(data)


def forget(data: Path) -> None:
    """Empty a data folder, and the cluster that may lie outside of it. Nothing may be running in it."""
    cluster.forget(data)
    empty(data)


@contextmanager
def _running(prepared: Prepared, data: Path) -> Iterator[Server]:
    if prepared.program is None:
        yield Server(prepared.url)
        return
    log = private_folder(data / "log") / f"{prepared.program.name}.log"
    child = Child(prepared.program, log)
    try:
        _wait_until_ready(child)
        yield Server(prepared.url, child.pid)
    finally:
        child.stop()


def _wait_until_ready(child: Child) -> None:
    deadline = monotonic() + START_SECONDS
    while not child.program.ready(child):
        if child.exit_code is not None or monotonic() > deadline:
            lines = "\n".join(child.last_lines())
            raise CommandError(f"The {child.program.name} did not start. Its last lines:\n{lines}")
        sleep(0.02)


def _wheels_only(environ: Mapping[str, str]) -> bool:
    return environ.get("COUNTERSIGN_EMBEDDED") == "wheels"
