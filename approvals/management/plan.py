"""Which processes a checkout runs, with what environment each, and how one sees that it is ready."""

import http.client
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from approvals.management.children import Child, Program
from approvals.management.keys import Keys
from approvals.management.ports import LOOPBACK

_WORKER_GRACE_SECONDS = 15.0
# What web and door are served with, here and in a deployment (docs/settings.md).
SERVED_WITH = (
    # It would believe X-Forwarded-For of whoever reaches it from this machine; TRUSTED_PROXIES says whom to believe.
    "--no-proxy-headers",
    # Connections at once, idle ones too: below the 1,024 files that a process may usually open.
    "--limit-concurrency", "800",
    # An open event stream would otherwise hold the shutdown up for ever.
    "--timeout-graceful-shutdown", "3",
    # A query string may hold a secret that somebody put there by mistake; and what we are built from is our business.
    "--no-access-log", "--no-server-header",
)  # fmt: skip
# What a person may choose for a run, and whose business it is (docs/settings.md): told to each of these processes, and
# to commands that join the run as one of them.
_ALL = frozenset({"migrator", "door", "web", "worker", "sweeper"})
_READERS, _WRITERS, _PUSHERS = frozenset({"door", "worker"}), frozenset({"worker"}), frozenset({"sweeper"})
_CHOICES = {
    "REFUNDS_BY": _ALL, "STRIPE_URL": _ALL, "STRIPE_READ_KEYS": _READERS, "STRIPE_WRITE_KEYS": _WRITERS,
    "DECLARED_ACTIONS": _ALL, "DECLARED_READ_CREDENTIALS": _READERS, "DECLARED_WRITE_CREDENTIALS": _WRITERS,
    "CHECKPOINT_TARGETS": _PUSHERS, "CHECKPOINT_STORE_CREDENTIALS": _PUSHERS, "CHECKPOINT_STORE_REGION": _PUSHERS,
    "CHECKPOINT_WEBHOOK_SECRET": _PUSHERS,
}  # fmt: skip
_PLACES = frozenset({
    "STRIPE_READ_KEYS", "STRIPE_WRITE_KEYS", "DECLARED_ACTIONS", "DECLARED_READ_CREDENTIALS",
    "DECLARED_WRITE_CREDENTIALS", "CHECKPOINT_STORE_CREDENTIALS", "CHECKPOINT_WEBHOOK_SECRET",
})  # fmt: skip
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 what a person may have asked for; nothing is bound by it here


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """`bind` is where pages and door listen; the shop is on loopback whatever it says."""

    bind: str
    web: int
    door: int
    shop: int

    @property
    def public_url(self) -> str:
        # A name, not an address: a passkey cannot be bound to an IP address (WebAuthn, relying party id).
        return f"http://localhost:{self.web}"

    @property
    def door_url(self) -> str:
        return f"http://localhost:{self.door}/mcp"

    @property
    def backing_url(self) -> str:
        return f"http://{LOOPBACK}:{self.shop}"


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What all processes stand on: the checkout, the data folder, addresses, secrets and the two servers."""

    checkout: Path
    data: Path
    addresses: Addresses
    keys: Keys
    role_prefix: str
    database_urls: Mapping[str, str]  # one for each process, with its own role
    redis_url: str
    broker_url: str


def environments(ground: Ground, environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What each process is told: its own role, and only the secrets that are its business.

    `environ` is a person's: of what they chose there, each process is told its part.
    """
    keys, addresses = ground.keys, ground.addresses
    shared = {
        "COUNTERSIGN_ENV": "development",
        "ALLOW_PRIVATE_RECEIVERS": "1",  # somebody who tries webhooks has their receiver on this machine
        "ALLOW_PRIVATE_CLIENTS": "1",  # and somebody who writes a host has its metadata document here
        "COUNTERSIGN_DATA": str(ground.data),
        "DATABASE_ROLE_PREFIX": ground.role_prefix,
        "REDIS_URL": ground.redis_url,
        "CELERY_BROKER_URL": ground.broker_url,
        "SECRET_KEY": keys.secret_key,
        "PUBLIC_URL": addresses.public_url,
        "DOOR_URL": addresses.door_url,
        "BACKING_URL": addresses.backing_url,
        "AUDIT_PUBLIC_KEYS": keys.audit_public_key,
        "BIND_HOST": addresses.bind,
    }
    reads = {"BACKING_READ_CREDENTIALS": str(keys.credentials / "read")}
    writes = {"BACKING_WRITE_CREDENTIALS": str(keys.credentials / "write")}
    encrypts = {"ENCRYPTION_KEYS": keys.encryption_key}
    opens = {"PAYLOAD_KEYS": str(keys.payload_keys)}  # a file, so that a new key needs no restart
    own = {
        "migrator": encrypts | opens,
        "door": reads | opens,
        "web": encrypts | opens,
        "worker": reads | writes | encrypts | opens,
        "sweeper": {"AUDIT_SIGNING_KEY": keys.audit_signing_key},
    }
    return {
        process: shared
        | {"COUNTERSIGN_PROCESS": process, "DATABASE_URL": ground.database_urls[process]}
        | more
        | _chosen(process, ground, environ)
        for process, more in own.items()
    }


def _chosen(process: str, ground: Ground, environ: Mapping[str, str]) -> dict[str, str]:
    """A host that starts a door works in another folder: what names a place in the checkout names it whole."""
    told = {name: environ[name] for name, whose in _CHOICES.items() if process in whose and environ.get(name)}
    places = {name: str(ground.checkout / told[name]) for name in _PLACES & told.keys()}
    return told | places


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """The person's environment with nothing of ours: a secret in their shell is not for every process."""
    ours = {
        "DATABASE_URL", "DATABASE_ROLE_PREFIX", "REDIS_URL", "CELERY_BROKER_URL", "SECRET_KEY", "PUBLIC_URL",
        "DOOR_URL", "BACKING_URL", "BACKING_READ_CREDENTIALS", "BACKING_WRITE_CREDENTIALS",
        "AUDIT_SIGNING_KEY", "AUDIT_PUBLIC_KEYS", "ENCRYPTION_KEYS", "PAYLOAD_KEYS", "BIND_HOST",
        "DJANGO_SETTINGS_MODULE", *_CHOICES,
    }  # fmt: skip
    kept = {name: value for name, value in environ.items() if name not in ours}
    kept = {name: value for name, value in kept.items() if not name.startswith(("COUNTERSIGN_", "PG"))}
    return kept | {"DJANGO_SETTINGS_MODULE": "approvals.settings", "PYTHONUNBUFFERED": "1"}


def migrations(ground: Ground, environment: Mapping[str, str]) -> Program:
    return _python(ground, "migrations", "manage.py", "migrate", "--no-input", env=environment)


def seed(ground: Ground, environment: Mapping[str, str], out: Path) -> Program:
    return _python(ground, "seed", "manage.py", "seed", "--out", str(out), env=environment)


def services(ground: Ground, environment: Mapping[str, Mapping[str, str]]) -> list[Program]:
    """In the order in which they start. The shop is told nothing of ours but where its credentials are."""
    at, bind = ground.addresses, ground.addresses.bind
    return [
        _python(
            ground, "shop", "-m", "deploy.shop", "--port", str(at.shop), "--data", str(ground.data / "shop"),
            "--credentials", str(ground.keys.credentials / "shop.json"),
            env=environment["shop"], ready=_healthy(LOOPBACK, at.shop),
        ),
        _python(
            ground, "web", *_uvicorn(bind, at.web), env=environment["web"], ready=_healthy(bind, at.web)
        ),
        _python(
            ground, "door", *_uvicorn(bind, at.door), env=environment["door"], ready=_healthy(bind, at.door)
        ),
        _python(
            # Mingling and gossip only cost start-up time: no worker here needs to know another.
            ground, "worker", "-m", "celery", "-A", "approvals", "worker", "--concurrency", "2",
            "--loglevel", "INFO", "--without-mingle", "--without-gossip",
            env=environment["worker"], ready=_says(r"\bready\."), grace=_WORKER_GRACE_SECONDS,
        ),
        _python(
            ground, "sweeper", "manage.py", "sweeper",
            env=environment["sweeper"], ready=_says(r"\bsweeper ready\b"),
        ),
    ]  # fmt: skip


def _python(
    ground: Ground,
    name: str,
    *arguments: str,
    env: Mapping[str, str],
    ready: Callable[[Child], bool] = lambda _: True,
    grace: float = 5.0,
) -> Program:
    argv = (sys.executable, *arguments)
    return Program(name=name, argv=argv, env=env, cwd=ground.checkout, ready=ready, grace=grace)


def _uvicorn(host: str, port: int) -> tuple[str, ...]:
    return ("-m", "uvicorn", "approvals.asgi:application", "--host", host, "--port", str(port), *SERVED_WITH)


def _says(pattern: str) -> Callable[[Child], bool]:
    return lambda child: child.said(pattern)


def _healthy(bind: str, port: int) -> Callable[[Child], bool]:
    host = LOOPBACK if bind in _EVERYWHERE else bind

    def answers(_: Child) -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=2)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/healthz", headers={"Host": f"localhost:{port}"})
            return connection.getresponse().status == http.client.OK
        return False

    return answers
