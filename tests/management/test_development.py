"""The whole run: started, healthy, closed to the outside, and kept running. On small stand-in processes."""

import base64
import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from urllib.request import urlopen

import psycopg
import pytest
import redis
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.management.base import CommandError

from approvals.management import banner, embedded, plan, roles, supervisor
from approvals.management.development import Stack, _only_run, reset, stack
from approvals.management.disk import data_folder
from approvals.management.keys import keys
from tests.management import proc
from tests.management.conftest import EXPORTED

PARTS = ("database", "broker", "shop", "web", "door", "worker", "sweeper")
SECRET = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "AUDIT_SIGNING_KEY", "ENCRYPTION_KEYS")


def test_every_part_runs_and_answers(running: Stack) -> None:
    assert proc.alive(running[part].pid for part in PARTS) == {running[part].pid for part in PARTS}
    for url in (running.addresses.public_url, running.addresses.backing_url):
        with urlopen(f"{url}/healthz") as answer:
            assert answer.status == 200
    assert redis.Redis.from_url(running.env["web"]["REDIS_URL"]).ping()


def test_migrations_ran_as_the_migrator_before_anything_else(running: Stack) -> None:
    with psycopg.connect(running.env["migrator"]["DATABASE_URL"]) as connection:
        owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'made_by_migrations'"
        assert connection.execute(owner.encode()).fetchone() == ("countersign_migrator",)


def _parts(running: Stack) -> set[int]:
    """Every process of the run, and nobody else's."""
    names = ("database", "broker", "shop", "web", "door", "worker", "sweeper")
    return {pid for name in names for pid in proc.family(running[name].pid)}


def test_everything_listens_on_loopback_only(running: Stack) -> None:
    sockets = proc.listening(_parts(running))
    assert len(sockets) == 5  # database, broker, shop, web, door
    assert all(sockets.values())


def test_no_secret_is_among_the_arguments_of_any_process(running: Stack) -> None:
    known = _secrets(running)
    for pid in _parts(running):
        arguments = "\0".join(proc.command(pid))
        assert not [secret for secret in known if secret in arguments]


def test_files_with_secrets_are_for_their_owner_alone(running: Stack) -> None:
    known = _secrets(running)
    open_files = [
        path
        for path in running.ground.data.rglob("*")
        if path.is_file() and path.stat().st_mode & 0o077 and "cluster" not in path.parts
    ]
    for path in open_files:
        content = path.read_text(errors="replace")
        assert not [secret for secret in known if secret in content], path


def test_each_process_is_told_only_the_secrets_that_are_its_business(running: Stack) -> None:
    holders = {
        name: {process for process, told in running.env.items() if name in told}
        for name in (
            "AUDIT_SIGNING_KEY",
            "ENCRYPTION_KEYS",
            "PAYLOAD_KEYS",
            "BACKING_READ_CREDENTIALS",
            "BACKING_WRITE_CREDENTIALS",
        )
    }
    assert holders == {
        "AUDIT_SIGNING_KEY": {"sweeper"},
        "ENCRYPTION_KEYS": {"migrator", "web", "worker"},
        "PAYLOAD_KEYS": {"migrator", "door", "web", "worker"},
        "BACKING_READ_CREDENTIALS": {"door", "worker"},
        "BACKING_WRITE_CREDENTIALS": {"worker"},
    }
    assert len({told["DATABASE_URL"] for told in running.env.values()}) == len(running.env)


def test_a_secret_of_the_persons_shell_reaches_no_process(running: Stack) -> None:
    for part in ("web", "door", "worker", "shop"):
        environment = Path(f"/proc/{running[part].pid}/environ").read_text()
        assert "PATH=" in environment
        assert not any(exported in environment for exported in EXPORTED.values())


def test_the_keys_fit_what_uses_them_and_say_that_they_are_demo_ones(running: Stack) -> None:
    sweeper = running.env["sweeper"]
    keys = running.ground.keys
    assert all("demo" in secret for secret in _secrets(running))
    box = Fernet(keys.encryption_key)
    assert box.decrypt(box.encrypt(b"sealed")) == b"sealed"
    private = Ed25519PrivateKey.from_private_bytes(_from_base64(sweeper["AUDIT_SIGNING_KEY"]))
    assert private.public_key().public_bytes_raw() == _from_base64(sweeper["AUDIT_PUBLIC_KEYS"])


def test_the_shops_credentials_are_those_that_the_processes_hold(running: Stack) -> None:
    folder = running.ground.keys.credentials
    known = json.loads((folder / "shop.json").read_text())
    for tenant in ("acme", "globex"):
        assert known["tenants"][tenant] == {
            "read": Path(running.env["door"]["BACKING_READ_CREDENTIALS"], tenant).read_text(),
            "write": Path(running.env["worker"]["BACKING_WRITE_CREDENTIALS"], tenant).read_text(),
        }
    assert known["control"] == running.shop_control_token


def test_another_shell_can_join_while_it_runs(running: Stack) -> None:
    for process, told in running.env.items():
        lines = (running.ground.data / "run" / f"{process}.env").read_text().splitlines()
        assert dict(line.split("=", 1) for line in lines) == told


@pytest.mark.parametrize("part", ["database", "broker", "worker"])
def test_a_part_that_is_killed_comes_back(running: Stack, part: str) -> None:
    family = proc.family(running[part].pid)
    os.kill(running[part].pid, signal.SIGKILL)
    _until(lambda: running[part].pid not in family and running[part].program.ready(running[part]))
    assert proc.gone(family)
    with (
        psycopg.connect(running.env["web"]["DATABASE_URL"]),
        redis.Redis.from_url(running.env["web"]["REDIS_URL"]) as it,
    ):
        assert it.ping()


def test_a_second_run_in_the_same_folder_is_refused(running: Stack, checkout: Path) -> None:
    data = running.ground.data
    for start in (lambda: stack(data, quiet=True, checkout=checkout).__enter__(), lambda: reset(data)):
        with pytest.raises(CommandError, match=rf"A run is live in .* \(process {os.getpid()}\)"):
            start()
    assert proc.alive({running["database"].pid})


def test_the_banner_can_be_pasted(running: Stack) -> None:
    text = banner.banner(running)
    decoder = json.JSONDecoder()
    blocks = [
        decoder.raw_decode(text, at)[0] for at in range(len(text)) if text.startswith('{\n  "mcpServers"', at)
    ]
    stdio, http = (block["mcpServers"]["countersign"] for block in blocks)
    assert stdio["env"]["COUNTERSIGN_CLIENT_SECRET"] == "it's"
    assert Path(stdio["command"]).is_absolute()
    assert Path(stdio["args"][0]).is_file()
    assert http["url"] == running.addresses.door_url
    assert "rita@example.com" in text


def test_the_banner_names_the_way_in_with_the_url_alone(running: Stack) -> None:
    text = banner.banner(running)
    assert "the door's URL alone" in text
    assert "start with DYNAMIC_REGISTRATION=1 make run" in text


def test_the_banner_does_not_say_to_start_with_what_it_was_started_with(
    running: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DYNAMIC_REGISTRATION", True)
    text = banner.banner(running)
    assert "registers itself" in text and "DYNAMIC_REGISTRATION" not in text


def test_a_run_hands_registration_on_to_the_pages() -> None:
    """What the banner says to do has to reach the process that it is for."""
    assert plan.inherited({"DYNAMIC_REGISTRATION": "1"})["DYNAMIC_REGISTRATION"] == "1"


def test_the_command_for_a_token_survives_a_shell(running: Stack) -> None:
    (agent,) = running.seed["agents"]
    command = banner.token_command(running, agent).replace("curl", "printf '%s\\n'", 1)
    words = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "id:it's" in words
    assert "scope=mcp:read mcp:ask" in words
    assert f"resource={running.addresses.door_url}" in words
    assert words[-1] == f"{running.addresses.public_url}/o/token/"


def test_the_same_secrets_serve_the_next_run(running: Stack) -> None:
    assert keys(running.ground.data, roles.PROCESSES) == running.ground.keys


def test_a_part_that_gives_up_explains_what_went_wrong_in_the_block(
    data: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.01)
    family: set[int] = set()
    with pytest.raises(CommandError, match="sweeper died 5 times"):
        _let_the_sweeper_die(data, checkout, family)
    assert proc.gone(family)


def test_resetting_empties_the_folder_and_only_a_folder_of_ours(data: Path, tmp_path: Path) -> None:
    with embedded.postgres(data):
        pass
    reset(data)
    assert list(data.iterdir()) == []
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    with pytest.raises(CommandError, match="holds files that are not Countersign's"):
        reset(tmp_path)
    assert precious.read_text() == "mine"


def test_a_run_inside_the_folder_is_reset_with_it_and_protects_it_while_it_is_live(tmp_path: Path) -> None:
    outer, inner = tmp_path / "data", tmp_path / "data" / "demo"
    with _only_run(data_folder(inner)):
        with pytest.raises(CommandError, match=r"A run is live in .*/demo"):
            reset(outer)
        assert inner.exists()
    reset(outer)
    assert list(outer.iterdir()) == []


def _let_the_sweeper_die(data: Path, checkout: Path, family: set[int]) -> None:
    with stack(data, quiet=True, checkout=checkout) as running:
        family |= proc.family(running["database"].pid) | proc.family(running["worker"].pid)
        for _ in range(supervisor.DEATHS_ALLOWED - 1):
            pid = running["sweeper"].pid
            os.kill(pid, signal.SIGKILL)
            _until(lambda pid=pid: running["sweeper"].pid != pid)  # type: ignore[misc]
        os.kill(running["sweeper"].pid, signal.SIGKILL)
        with suppress(CommandError):
            running.wait()
        raise RuntimeError("all that the block noticed is that nothing moved")


def _secrets(running: Stack) -> set[str]:
    """The secret part of each variable, and the tokens for the shop."""
    values = {told[name] for told in running.env.values() for name in SECRET if name in told}
    passwords = {value.partition("@")[0].rpartition(":")[2] if "@" in value else value for value in values}
    tokens = {path.read_text() for path in running.ground.keys.credentials.glob("*/*")}
    return passwords | tokens | {running.shop_control_token}


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _until(holds: Callable[[], bool], within: float = 20.0) -> None:
    deadline = monotonic() + within
    while not holds():
        assert monotonic() < deadline, "it did not happen in time"
        sleep(0.05)
