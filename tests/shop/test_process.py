"""The shop as a process: how it starts, what it keeps, how it ends and what it writes down."""

import json
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .running import ACME_WRITE, CONTROL, CREDENTIALS, REFUND, REFUND_PATH, ROOT, RunningShop, running, start

PART = REFUND | {"amount_minor": 100}


def _exit(tmp_path: Path, credentials: str) -> tuple[int, str]:
    file, log = tmp_path / "credentials.json", tmp_path / "log"
    file.write_text(credentials)
    process = start("--data", tmp_path / "data", "--credentials", file, log=log)
    process.communicate(timeout=30)
    return process.returncode, log.read_text()


def test_a_write_survives_a_kill_and_its_key_still_answers(tmp_path: Path) -> None:
    with running(tmp_path) as shop:
        first = shop.write(REFUND_PATH, PART, key="k")
        shop.process.kill()
        shop.process.wait()
    with running(tmp_path) as shop:
        assert len(shop.ledger()) == 1
        again = shop.write(REFUND_PATH, PART, key="k")
        assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
        assert shop.get("/v1/orders/ord_10001").json()["refunded_minor"] == 100


def test_sigterm_ends_it_cleanly_and_takes_the_port_file_away(tmp_path: Path) -> None:
    with running(tmp_path) as shop:
        port = int(shop.port_file.read_text())
        assert shop.url == f"http://127.0.0.1:{port}"
        assert shop.stop() == 0
        assert not shop.port_file.exists()
        assert shop.process.stdout is not None
        assert shop.process.stdout.read() == ""  # nothing but the address line was ever printed
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_its_files_are_for_their_owner_alone(running_shop: RunningShop) -> None:
    files = [running_shop.data, *running_shop.data.rglob("*"), running_shop.port_file]
    assert len(files) > 2
    assert {file: file.stat().st_mode & 0o077 for file in files} == dict.fromkeys(files, 0)


def test_it_listens_on_loopback_only(running_shop: RunningShop) -> None:
    # Bound to every interface, it would answer on the rest of 127.0.0.0/8 as well.
    port = int(running_shop.port_file.read_text())
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    with pytest.raises(OSError, match=r"refused|assign|timed out"):
        socket.create_connection(("127.0.0.2", port), timeout=5)


def test_the_log_has_a_line_a_request_and_neither_tokens_nor_bodies(tmp_path: Path) -> None:
    with running(tmp_path) as shop:
        body = PART | {"reason": "a very private reason"}
        shop.write(REFUND_PATH, body, key="k").raise_for_status()
        shop.write(REFUND_PATH, body | {"amount_minor": "a very private amount"})
        shop.get("/v1/customers/cus_1001").raise_for_status()
        shop.arm("drop_after_commit")
        shop.stop()
        log = shop.log()
    assert f'"POST {REFUND_PATH} HTTP/1.1" 201' in log
    assert f'"POST {REFUND_PATH} HTTP/1.1" 422' in log
    for secret in (ACME_WRITE, CONTROL, "private", "Ada", "INTERNAL-DO-NOT-LEAK"):
        assert secret not in log


def test_the_ledger_cannot_be_edited_even_with_the_file_in_hand(shop: RunningShop) -> None:
    shop.write(REFUND_PATH, PART).raise_for_status()
    db = sqlite3.connect(shop.data / "shop.sqlite3")
    for statement in ("UPDATE operations SET amount_minor = 1", "DELETE FROM operations"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(statement)
    db.close()
    assert [entry["amount_minor"] for entry in shop.ledger()] == [100]


def test_one_token_for_two_callers_is_refused_without_printing_it(tmp_path: Path) -> None:
    status, said = _exit(tmp_path, json.dumps(CREDENTIALS | {"control": ACME_WRITE}))
    assert status == 1
    assert "the same token appears twice" in said
    assert ACME_WRITE not in said


@pytest.mark.parametrize("wrong", ["", "{}", '{"tenants": {}, "control": ""}'])
def test_credentials_that_cannot_be_read_stop_it_in_a_sentence(tmp_path: Path, wrong: str) -> None:
    status, said = _exit(tmp_path, wrong)
    assert status == 1
    assert said.startswith("The shop cannot start: ")
    assert "Traceback" not in said


def test_data_of_another_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    db = sqlite3.connect(tmp_path / "data" / "shop.sqlite3")
    db.execute("PRAGMA user_version = 99")
    db.close()
    status, said = _exit(tmp_path, json.dumps(CREDENTIALS))
    assert (status, "has version 99" in said) == (1, True)


def test_it_knows_nothing_of_the_service_it_stands_behind() -> None:
    script = "import deploy.shop.__main__, sys, json; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True)
    loaded: list[Any] = json.loads(out.stdout)
    strangers = {"django", "celery", "mcp", "psycopg", "approvals", "policies", "mcp_bridge"}
    assert "deploy.shop.store" in loaded
    assert strangers.isdisjoint(loaded)
