"""The database and the broker that need nothing installed, and leave nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from django.core.management.base import CommandError

from approvals.management import embedded
from tests.management import proc
from tests.management.conftest import REPOSITORY

WHEELS = {"COUNTERSIGN_EMBEDDED": "wheels"}
RESOLUTIONS = [
    pytest.param(
        {}, id="installed", marks=pytest.mark.skipif(not shutil.which("postgres"), reason="none is installed")
    ),
    pytest.param(WHEELS, id="wheels"),
]


def test_a_cluster_keeps_its_rows_from_one_start_to_the_next(data: Path) -> None:
    with embedded.postgres(data) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'ü'::text AS word")
    with embedded.postgres(data) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT upper(word) FROM kept").fetchone() == ("Ü",)


@pytest.mark.parametrize("environ", RESOLUTIONS)
def test_both_servers_start_from_what_is_installed_and_from_wheels(
    data: Path, environ: dict[str, str]
) -> None:
    with (
        embedded.postgres(data, environ=environ) as database,
        embedded.valkey(data, environ=environ) as broker,
    ):
        assert database.pid
        assert broker.pid
        from_wheel = "lib/postgresql/" not in proc.command(database.pid)[0]
        assert from_wheel == (environ == WHEELS)
        assert redis.Redis.from_url(broker.url).set("a", "b")
    assert proc.gone({database.pid, broker.pid})


@pytest.fixture(scope="module")
def servers(module_data: Path) -> Iterator[tuple[embedded.Server, embedded.Server]]:
    with embedded.postgres(module_data) as database, embedded.valkey(module_data) as broker:
        yield database, broker


def test_nobody_gets_in_without_the_password(servers: tuple[embedded.Server, embedded.Server]) -> None:
    database, broker = servers
    for url in (database.url.replace(":demo-", ":wrong-"), database.url.replace(_password(database.url), "")):
        with pytest.raises(psycopg.OperationalError, match=r"password"):
            psycopg.connect(url)
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(broker.url.replace(":demo-", ":wrong-")).ping()


def test_only_loopback_is_listened_on(servers: tuple[embedded.Server, embedded.Server]) -> None:
    sockets = proc.listening(pid for server in servers for pid in proc.family(server.pid or 0))
    assert len(sockets) == 2
    assert all(sockets.values())


def test_no_password_is_among_the_arguments_of_a_server(
    servers: tuple[embedded.Server, embedded.Server],
) -> None:
    for server in servers:
        assert server.pid
        assert not any(_password(server.url) in argument for argument in proc.command(server.pid))


def test_a_killed_server_starts_again_on_the_same_folder(data: Path) -> None:
    with embedded.postgres(data) as server:
        assert server.pid
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE committed (id int)")
        os.kill(server.pid, signal.SIGKILL)
    with embedded.postgres(data) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT count(*) FROM committed").fetchone() == (0,)


def test_a_stale_lock_that_names_a_living_stranger_does_not_prevent_the_start(data: Path) -> None:
    with embedded.postgres(data) as server:
        assert server.pid
        lock = _cluster(server.pid) / "postmaster.pid"
        kept = lock.read_text()
    # A pid is used again: here by the account that Postgres runs as, which would take it for a server.
    owner = lock.parent.stat()
    with subprocess.Popen(["sleep", "60"], cwd="/", user=owner.st_uid, group=owner.st_gid) as stranger:
        lock.write_text("\n".join([str(stranger.pid), *kept.split("\n")[1:]]))
        os.chown(lock, owner.st_uid, owner.st_gid)
        try:
            with embedded.postgres(data) as server, psycopg.connect(server.url):
                assert stranger.poll() is None
        finally:
            stranger.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends its servers another account")
def test_root_can_keep_its_data_where_no_other_account_can_go(data: Path) -> None:
    folder = data / "closed" / "data"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    with embedded.postgres(folder, environ=WHEELS) as server, psycopg.connect(server.url) as connection:
        assert server.pid
        cluster = _cluster(server.pid)
        assert not cluster.is_relative_to(folder)
        connection.execute("CREATE TABLE kept (id int)")
    with embedded.postgres(folder, environ=WHEELS) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    embedded.forget(folder)
    assert not cluster.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test here already runs as an ordinary user")
def test_an_ordinary_user_starts_both(data: Path) -> None:
    home = data / "theirs"
    home.mkdir()
    os.chown(home, 65534, 65534)
    # The interpreter may live where only root can go, so it is loaded first, and gives up root afterwards.
    program = (
        "import encodings.idna, os, sys, pathlib; from approvals.management import embedded\n"
        "os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "data = pathlib.Path(sys.argv[1])\n"
        "with embedded.postgres(data) as d, embedded.valkey(data) as b:\n"
        "    print('started', d.pid, b.pid)"
    )
    command = [sys.executable, "-c", program, str(home)]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert answer.stdout.startswith("started"), answer.stderr
    assert (home / "postgres" / "cluster").owner() == "nobody"
    assert proc.gone(int(pid) for pid in answer.stdout.split()[1:])


def test_a_cluster_of_another_major_version_is_refused_and_named(data: Path) -> None:
    with embedded.postgres(data) as server:
        assert server.pid
        cluster = _cluster(server.pid)
    (cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(CommandError, match=r"was made by PostgreSQL 9; here is only .*make reset"):
        embedded.prepare_postgres(data)


def test_a_server_that_is_named_is_used_and_none_is_started(data: Path) -> None:
    environ = {"DATABASE_URL": "postgresql://a@db.example/x", "CELERY_BROKER_URL": "redis://broker.example/1"}
    with (
        embedded.postgres(data, environ=environ) as database,
        embedded.valkey(data, environ=environ) as broker,
    ):
        assert (database.url, database.pid) == (environ["DATABASE_URL"], None)
        assert (broker.url, broker.pid) == (environ["CELERY_BROKER_URL"], None)


def test_a_rabbitmq_does_not_replace_the_redis_protocol_server(data: Path) -> None:
    prepared = embedded.prepare_valkey(data, environ={"CELERY_BROKER_URL": "amqp://broker.example"})
    assert prepared.program is not None
    assert prepared.url.startswith("redis://")


def test_a_server_that_cannot_start_says_why(data: Path) -> None:
    with embedded.postgres(data) as server:
        assert server.pid
        cluster = _cluster(server.pid)
    (cluster / "postgresql.conf").write_text("no_such_setting = on\n")
    with pytest.raises(CommandError, match="no_such_setting"), embedded.postgres(data):
        pytest.fail("it started")


def _cluster(pid: int) -> Path:
    arguments = proc.command(pid)
    return Path(arguments[arguments.index("-D") + 1])


def _password(url: str) -> str:
    return url.partition("@")[0].rpartition(":")[2]
