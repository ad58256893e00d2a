"""The whole product on one machine: `with stack(data) as running:` starts every part and stops it again.

Everything it keeps is in one data folder: the database, logs (log/<name>.log), secrets, and while it runs the
environment of each process (run/<process>.env, lines of NAME=value), so that another shell can join it.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.management.base import CommandError

from approvals.management import embedded, plan, roles
from approvals.management.children import Child, Program
from approvals.management.disk import data_folder, is_data_folder, private_folder, write_private
from approvals.management.embedded import Prepared
from approvals.management.keys import Keys, keys
from approvals.management.plan import Addresses, Ground
from approvals.management.ports import LOOPBACK, Ports
from approvals.management.supervisor import DEATHS_ALLOWED, Supervisor
from approvals.management.terminal import Terminal

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Stack:
    """A running product. `env` is what each process was told; `seed` is what the seed command reported."""

    ground: Ground
    env: Mapping[str, Mapping[str, str]] = field(repr=False)
    seed: dict[str, Any] = field(repr=False)
    _supervisor: Supervisor = field(repr=False)

    @property
    def addresses(self) -> Addresses:
        return self.ground.addresses

    @property
    def shop_control_token(self) -> str:
        """Opens the shop's ledger and its faults."""
        return (self.ground.keys.credentials / "control").read_text()

    def __getitem__(self, name: str) -> Child:
        """database, broker, shop, web, door, worker or sweeper; KeyError for a server that is not ours."""
        return self._supervisor[name]

    def start(self, program: Program) -> None:
        """One more process under the same supervisor; see Supervisor.start."""
        self._supervisor.start(program)

    def run(self, program: Program, *, doing: str) -> None:
        """See Supervisor.run."""
        self._supervisor.run(program, doing=doing)

    def wait(self) -> None:
        """Until Ctrl-C or SIGTERM (KeyboardInterrupt), or until a part cannot be kept running (GaveUp)."""
        self._supervisor.wait()


@contextmanager
def stack(
    data: Path,
    *,
    quiet: bool = False,
    environ: Mapping[str, str] = os.environ,
    checkout: Path = CHECKOUT,
    deaths_allowed: int = DEATHS_ALLOWED,
) -> Iterator[Stack]:
    """Start every part in this data folder, wait until all are healthy, and stop them when the block ends.

    Reads from `environ`: DATABASE_URL (an administrator's), REDIS_URL, CELERY_BROKER_URL,
    COUNTERSIGN_EMBEDDED, COUNTERSIGN_BIND, COUNTERSIGN_{WEB,DOOR,SHOP}_PORT, and what each process is to be told
    of a person's choices (plan.py). Raises CommandError when it
    refuses to start, GaveUp when a part could not be kept running, KeyboardInterrupt after a signal; nothing
    runs any more when it does.
    """
    data = data_folder(data)
    with ExitStack() as held:
        held.enter_context(_only_run(data))
        supervisor = Supervisor(data / "log", Terminal(quiet=quiet), deaths_allowed=deaths_allowed)
        held.enter_context(supervisor.signals())
        ports = Ports(environ, environ.get("COUNTERSIGN_BIND", LOOPBACK), private_folder(data / "ports"))
        held.callback(ports.close)
        held.callback(supervisor.stop)
        running = _start(data, checkout, environ, ports, supervisor, held)
        try:
            with supervisor.interruptible():
                yield running
        finally:
            # A part that gave up explains whatever went wrong in the block better than the block can.
            supervisor.raise_failure()


def reset(data: Path) -> None:
    """Remove everything a run left. Raises CommandError while one is live in this folder or in one inside it."""
    data = data.expanduser().resolve()
    if not data.exists():
        return
    with _only_run(data_folder(data)):
        for inner in filter(is_data_folder, data.iterdir()):
            reset(inner)
        embedded.forget(data)


def role_prefix(data: Path, *, is_ours: bool) -> str:
    """`countersign`; on a shared server with a mark of this data folder, so that two copies do not fight."""
    return "countersign" if is_ours else f"countersign_{hashlib.sha256(str(data).encode()).hexdigest()[:8]}"


def _start(
    data: Path,
    checkout: Path,
    environ: Mapping[str, str],
    ports: Ports,
    supervisor: Supervisor,
    held: ExitStack,
) -> Stack:
    addresses = Addresses(
        bind=environ.get("COUNTERSIGN_BIND", LOOPBACK),
        web=ports.take("web", 8000),
        door=ports.take("door", 8001),
        shop=ports.take("shop", 8002),
    )
    secrets = keys(data, roles.PROCESSES)
    database = _server(embedded.prepare_postgres(data, environ=environ), supervisor)
    broker = _server(embedded.prepare_valkey(data, environ=environ), supervisor)
    prefix = role_prefix(data, is_ours=database.program is not None)
    ground = Ground(
        checkout=checkout,
        data=data,
        addresses=addresses,
        keys=secrets,
        role_prefix=prefix,
        database_urls=_provision(database, prefix, secrets),
        redis_url=broker.url,
        broker_url=environ.get("CELERY_BROKER_URL", broker.url),
    )
    told = plan.environments(ground, environ)
    held.enter_context(_env_files(data, told))
    base = plan.inherited(environ)
    full = {process: base | own for process, own in told.items()} | {"shop": base}
    supervisor.run(plan.migrations(ground, full["migrator"]), doing="migrating")
    out = _seed(ground, full["migrator"], supervisor)
    for program in plan.services(ground, full):
        supervisor.start(program)
    return Stack(ground, told, json.loads(out.read_text()), supervisor)


def _server(prepared: Prepared, supervisor: Supervisor) -> Prepared:
    if prepared.program:
        supervisor.start(prepared.program, prepared.words)
    return prepared


def _provision(database: Prepared, prefix: str, secrets: Keys) -> dict[str, str]:
    """The database that DATABASE_URL names is used, but a maintenance one is not: one is made beside it."""
    named = unquote(urlsplit(database.url).path.lstrip("/"))
    name = prefix if named in ("", "postgres", "template1") else named
    return roles.provision(database.url, database=name, prefix=prefix, passwords=secrets.role_passwords)


def _seed(ground: Ground, env: Mapping[str, str], supervisor: Supervisor) -> Path:
    out = ground.data / "secrets" / "seed.json"
    if not out.exists():
        write_private(
            out, "{}"
        )  # the command writes into it; it holds passwords and is nobody else's to read
    supervisor.run(plan.seed(ground, env, out), doing="seeding")
    return out


@contextmanager
def _only_run(data: Path) -> Iterator[None]:
    """Held by the kernel, not by the file: after kill -9 it is free again."""
    lock = private_folder(data / "run") / "lock"
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(
                f"A run is live in {data} (process {lock.read_text()}). Stop it with Ctrl-C in its terminal, "
                "or name another folder in COUNTERSIGN_DATA."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def _env_files(data: Path, told: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
    files = {data / "run" / f"{process}.env": variables for process, variables in told.items()}
    try:
        for path, variables in files.items():
            write_private(path, "".join(f"{name}={value}\n" for name, value in variables.items()))
        yield
    finally:
        for path in files:
            path.unlink(missing_ok=True)
