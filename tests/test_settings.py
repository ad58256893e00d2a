"""What a process needs to know before it starts, and what a production process refuses."""

import base64
import fcntl
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.scan import known, output
from tests.world import payload_keys

ROOT = Path(__file__).resolve().parents[1]
PRODUCTION = {
    "COUNTERSIGN_ENV": "production",
    "COUNTERSIGN_PROCESS": "web",
    "DATABASE_URL": "postgresql://countersign_web:a-real-password@db.internal:5432/countersign",
    "REDIS_URL": "redis://:a-real-password@redis.internal:6379/0",
    "PUBLIC_URL": "https://approvals.example.com",
    "DOOR_URL": "https://agents.example.com/mcp",
    "BACKING_URL": "https://shop.internal",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "AUDIT_PUBLIC_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
    "AUDIT_SIGNING_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
}


@pytest.fixture(autouse=True)
def payload_keys_file(tmp_path: Path) -> Path:
    file = payload_keys(tmp_path / "payload-keys")
    PRODUCTION["PAYLOAD_KEYS"] = str(file)
    return file


def manage(*arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """`manage.py` as a production process; a change to None takes a variable away."""
    wanted = {**PRODUCTION, **changes}
    environment = {"PATH": os.environ["PATH"], **{name: value for name, value in wanted.items() if value}}
    known.environment("manage.py", environment)
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    output.told("manage", done.stdout, done.stderr)
    return done


def test_where_nothing_was_set_and_nothing_runs_that_is_all_that_is_said(tmp_path: Path) -> None:
    nothing: dict[str, str | None] = dict.fromkeys(PRODUCTION) | {"COUNTERSIGN_DATA": str(tmp_path)}
    told = manage("verify_audit", **nothing)
    assert told.stderr == f"Nothing is running in {tmp_path}: start it with `make run`.\n"
    told = manage("verify_audit", **nothing | {"DATABASE_URL": "postgresql://db.internal/countersign"})
    assert "is missing" in told.stderr  # perhaps it is a production process that lacks a setting


@pytest.mark.parametrize("process", ["web", "door", "worker", "sweeper"])
def test_production_settings_pass_every_deployment_check(process: str) -> None:
    checked = manage("check", "--deploy", "--fail-level", "INFO", COUNTERSIGN_PROCESS=process)
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "ENCRYPTION_KEYS", "PAYLOAD_KEYS"])
def test_a_missing_secret_stops_production_and_says_how_to_set_it(name: str) -> None:
    refused = manage("check", **{name: None})
    assert refused.returncode != 0
    assert f"The setting {name} is missing" in refused.stderr


@pytest.mark.parametrize(
    ("name", "value", "process"),
    [
        ("SECRET_KEY", "demo-secret", "web"),
        ("ENCRYPTION_KEYS", "demo" + Fernet.generate_key().decode()[4:], "worker"),
        ("AUDIT_SIGNING_KEY", "demo" + PRODUCTION["AUDIT_SIGNING_KEY"][4:], "sweeper"),
        ("DATABASE_URL", "postgresql://countersign_web:demo-password@db.internal/countersign", "web"),
    ],
    ids=["django", "encryption", "signing", "database"],  # the values differ in each process of a test run
)
def test_production_refuses_to_start_with_demo_secrets(name: str, value: str, process: str) -> None:
    refused = manage("check", **{name: value, "COUNTERSIGN_PROCESS": process})
    assert refused.returncode != 0
    assert "demo secret" in refused.stderr
    assert value not in refused.stderr


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"TOKEN_JWKS_URL": None}, "TOKEN_JWKS_URL"),
        ({"TOKEN_JWKS_URL": "http://sso.example.com/certs"}, "TOKEN_JWKS_URL"),
        ({"TOKEN_JWKS_URL": "file:///etc/passwd"}, "TOKEN_JWKS_URL"),
        ({"TOKEN_TENANT_CLAIM": None}, "TOKEN_TENANT_CLAIM"),
    ],
)
def test_another_issuer_is_named_whole_or_nothing_starts(
    changes: dict[str, str | None], missing: str
) -> None:
    issuer: dict[str, str | None] = {
        "TOKEN_ISSUER": "https://sso.example.com",
        "TOKEN_JWKS_URL": "https://sso.example.com/certs",
        "TOKEN_TENANT_CLAIM": "tenant",
        "COUNTERSIGN_PROCESS": "door",
    }
    assert manage("check", **issuer).returncode == 0
    refused = manage("check", **(issuer | changes))
    assert refused.returncode != 0
    assert f"The setting {missing} is missing" in refused.stderr


@pytest.mark.parametrize(
    ("targets", "hint"),
    [
        ("ftp://backup.example.com/x", "A target is file:///FOLDER"),
        ("https:///nowhere", "A target is file:///FOLDER"),
        ("file://host/folder", "A folder is written"),
        ("file:///", "A folder is written"),
        ("file:///backup/../etc", "A folder is written"),
        ("s3+https://store.example.com", "A store is written"),
        ("s3+https://store.example.com/bucket?versionId=1", "A store is written"),
        ("s3+http://127.0.0.1/bucket", "Without TLS"),
        ("http://127.0.0.1/hook", "Without TLS"),
        ("https://key:hunter2-hunter2@store.example.com/hook", "no user, password"),
        ("https://[::1/hook", "cannot be read"),
        ("https://store.example.com:x/hook", "cannot be read"),
        ("file:///backup file:///backup", "names a target twice"),
        ("s3+https://store.example.com/bucket", "name the file it needs"),
        ("https://store.example.com/hook", "name the file it needs"),
    ],
)
def test_a_target_of_checkpoints_that_cannot_be_one_stops_the_sweeper(targets: str, hint: str) -> None:
    refused = manage("check", COUNTERSIGN_PROCESS="sweeper", CHECKPOINT_TARGETS=targets)
    assert refused.returncode != 0
    assert "The setting CHECKPOINT_" in refused.stderr
    assert hint in refused.stderr
    assert "hunter2" not in refused.stderr


def test_checkpoints_go_where_the_sweeper_is_told_and_no_other_process_knows_where() -> None:
    told = {
        "CHECKPOINT_TARGETS": "file:///backup s3+https://store.example.com:9000/b/p/q https://audit.example.com/h?k=1",
        "CHECKPOINT_STORE_CREDENTIALS": "/run/secrets/store",
        "CHECKPOINT_WEBHOOK_SECRET": "/run/secrets/webhook",
        "CHECKPOINT_STORE_REGION": "eu-central-1",
        "CHECKPOINT_LAG_ALERT_SECONDS": "60",
    }
    names = ", ".join(f"s.{name}" for name in told)
    show = f"from django.conf import settings as s; print({names})"
    shown = manage("shell", "-c", show, COUNTERSIGN_PROCESS="sweeper", **told)
    for part in (
        "Target(kind='folder', address='/backup', bucket='', prefix='')",
        "Target(kind='store', address='https://store.example.com:9000', bucket='b', prefix='p/q')",
        "Target(kind='webhook', address='https://audit.example.com/h?k=1', bucket='', prefix='')",
        "/run/secrets/store /run/secrets/webhook eu-central-1 60",
    ):
        assert part in shown.stdout, shown.stderr
    for process in ("web", "door", "worker", "migrator"):
        shown = manage("shell", "-c", show, COUNTERSIGN_PROCESS=process, **told)
        assert "() " in shown.stdout, shown.stderr
        assert "/run/secrets" not in shown.stdout


@pytest.mark.parametrize("process", ["door", "web", "worker"])
@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (Fernet.generate_key().decode(), 0o644, "open to others"),
        ("no key at all", 0o600, "one Fernet key a line"),
        ("", 0o600, "is empty"),
        ("demo" + Fernet.generate_key().decode()[4:], 0o600, "demo secret"),
    ],
    ids=["open", "no-key", "empty", "demo"],
)
def test_a_file_of_payload_keys_that_is_not_in_order_stops_production(
    payload_keys_file: Path, process: str, content: str, mode: int, said: str
) -> None:
    payload_keys_file.write_text(content)
    payload_keys_file.chmod(mode)
    refused = manage("check", COUNTERSIGN_PROCESS=process)
    assert refused.returncode != 0
    assert "The setting PAYLOAD_KEYS is missing" in refused.stderr
    assert said in refused.stderr


@pytest.mark.parametrize("process", ["sweeper", "migrator"])
def test_who_opens_no_payloads_starts_without_their_keys(process: str) -> None:
    assert manage("check", COUNTERSIGN_PROCESS=process, PAYLOAD_KEYS=None).returncode == 0


@pytest.mark.parametrize(
    ("full", "redacted"), [("-1", "400"), ("90", "36501"), ("90", "30"), ("0", "400"), ("a year", "400")]
)
def test_days_that_payloads_cannot_be_kept_for_stop_production(full: str, redacted: str) -> None:
    refused = manage("check", FULL_PAYLOAD_DAYS=full, REDACTED_PAYLOAD_DAYS=redacted)
    assert refused.returncode != 0
    assert "PAYLOAD_DAYS is missing" in refused.stderr


def test_production_refuses_the_demo_people() -> None:
    refused = manage("seed", COUNTERSIGN_PROCESS="migrator")
    assert refused.returncode != 0
    assert "refused in production" in refused.stderr


def test_a_process_that_was_told_nothing_is_a_production_process() -> None:
    refused = manage("check", COUNTERSIGN_ENV=None, SECRET_KEY="demo-secret")
    assert "demo secret" in refused.stderr


def test_what_a_run_left_behind_changes_nothing(tmp_path: Path) -> None:
    """A supervisor that was killed leaves its files, and nobody holds its lock."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").touch()
    (tmp_path / "run" / "web.env").write_text("COUNTERSIGN_ENV=development\nSECRET_KEY=demo-left-behind\n")
    refused = manage("check", COUNTERSIGN_ENV=None, SECRET_KEY=None, COUNTERSIGN_DATA=str(tmp_path))
    assert "The setting SECRET_KEY is missing" in refused.stderr


def test_a_live_run_changes_nothing_for_a_process_that_knows_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "web.env").write_text("COUNTERSIGN_ENV=development\nPUBLIC_URL=http://localhost:1\n")
    show = "from django.conf import settings; print(settings.ENV, settings.PUBLIC_URL)"
    with (tmp_path / "run" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for changes in ({}, {"COUNTERSIGN_ENV": None}):
            shown = manage("shell", "-c", show, COUNTERSIGN_DATA=str(tmp_path), **changes)
            assert "production https://approvals.example.com" in shown.stdout, shown.stderr


def test_a_command_that_finds_nothing_running_says_how_to_start_it(tmp_path: Path) -> None:
    lost = manage(
        "verify_audit",
        COUNTERSIGN_ENV=None,
        COUNTERSIGN_PROCESS=None,
        DATABASE_URL=None,
        SECRET_KEY=None,
        COUNTERSIGN_DATA=str(tmp_path),
    )
    assert lost.returncode == 1
    assert "start it with `make run`" in lost.stderr
    assert "Traceback" not in lost.stderr


def test_only_the_worker_learns_where_the_writing_credentials_are() -> None:
    for process in ("door", "web", "sweeper", "worker"):
        shown = manage(
            "shell",
            "-c",
            "from django.conf import settings; print(repr(settings.BACKING_WRITE_CREDENTIALS))",
            COUNTERSIGN_PROCESS=process,
            BACKING_WRITE_CREDENTIALS="/run/secrets/write",
        )
        assert ("/run/secrets/write" in shown.stdout) == (process == "worker"), shown.stderr


def read_from_the_environment() -> set[str]:
    source = (ROOT / "approvals/settings.py").read_text()
    return set(re.findall(r'(?:environ\.get|listed|secret|days)\(\s*"([A-Z_]+)"', source))


@pytest.mark.parametrize("document", ["docs/settings.md", ".env.example"])
def test_every_setting_is_documented_and_nothing_else_is(document: str) -> None:
    text = (ROOT / document).read_text()
    pattern = r"^\| `([A-Z_]+)`" if document.endswith(".md") else r"^#? ?([A-Z_]+)="
    documented = set(re.findall(pattern, text, re.MULTILINE))
    started_by_dev = {
        f"COUNTERSIGN_{name}" for name in ("BIND", "EMBEDDED", "WEB_PORT", "DOOR_PORT", "SHOP_PORT")
    }
    stdio = {"COUNTERSIGN_CLIENT_ID", "COUNTERSIGN_CLIENT_SECRET"}
    assert documented == read_from_the_environment() | started_by_dev | stdio
